import type { Random } from '../model/clock.ts';
import type { RowRef } from '../model/rows/row.ts';
import { backoff } from './backoff.ts';
import type { Action } from './delta.ts';

export interface Failure {
  readonly attempts: number;
  readonly message: string;
  /** Monotonic milliseconds of the next try. */
  readonly due: number;
}

/**
 * Where each key that is to be done stands. It is in exactly one place:
 *
 * ```
 *            ┌──────── ready (adds and changes | removals) ◄───────┐
 *   a need   │                       │ refused                     │ due
 *   is unmet ▼                       ▼                             │
 *         waiting ── need done ──► ready          failed (backoff) ┘
 * ```
 *
 * A key leaves only when it is done or nobody cares any more, so no edge is ever lost.
 */
export class Queue {
  readonly forward = new Set<string>();
  readonly removals = new Set<string>();
  readonly waiting = new Map<string, RowRef>();
  readonly failed = new Map<string, Failure>();
  /** When each key began to differ, monotonic milliseconds. */
  readonly #since = new Map<string, number>();
  readonly #last = new Map<string, Failure>();
  readonly #random: Random;
  /** No failed key is due before this. */
  #nextDue = Number.POSITIVE_INFINITY;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Keys whose last try failed, also while they are tried again: a failure ends when the row is done, not when it is retried. */
  get failing(): number {
    return this.#last.size;
  }

  get nextDue(): number {
    return this.#nextDue;
  }

  /** Their keys. */
  failures(): Iterable<string> {
    return this.#last.keys();
  }

  since(key: string): number | undefined {
    return this.#since.get(key);
  }

  /** There is something else to do than before: try at once, whatever was before. */
  put(key: string, action: Action, now: number): void {
    this.#leave(key);
    this.#last.delete(key);
    if (!this.#since.has(key)) this.#since.set(key, now);
    this.#ready(key, action);
  }

  /** Nothing is left to do. */
  drop(key: string): void {
    this.#leave(key);
    this.#last.delete(key);
    this.#since.delete(key);
  }

  wait(key: string, need: RowRef): void {
    this.#leave(key);
    this.#last.delete(key);
    this.waiting.set(key, need);
  }

  /** What it waited for may be there. */
  release(key: string): void {
    if (!this.waiting.delete(key)) return;
    this.forward.add(key);
  }

  fail(key: string, message: string, now: number): void {
    this.#leave(key);
    const attempts = (this.#last.get(key)?.attempts ?? 0) + 1;
    const failure = { attempts, message, due: now + backoff(attempts, this.#random) };
    this.#last.set(key, failure);
    this.failed.set(key, failure);
    this.#nextDue = Math.min(this.#nextDue, failure.due);
  }

  /** Something moved outside that may have been in the way: all failed keys are due now. Their next backoff is as long as ever. */
  hurry(now: number): void {
    for (const [key, failure] of this.failed) this.failed.set(key, { ...failure, due: now });
    if (this.failed.size > 0) this.#nextDue = now;
  }

  /** The last failure of a key that is not done yet, also while it is tried again. */
  last(key: string): Failure | undefined {
    return this.#last.get(key);
  }

  /** Makes keys ready whose backoff is over. Walks the failed ones only, and only when one of them is due. */
  retry(now: number, action: (key: string) => Action | undefined): readonly string[] {
    if (now < this.#nextDue) return [];
    const due: string[] = [];
    this.#nextDue = Number.POSITIVE_INFINITY;
    for (const [key, failure] of this.failed) {
      if (failure.due <= now) due.push(key);
      else this.#nextDue = Math.min(this.#nextDue, failure.due);
    }
    for (const key of due) {
      this.failed.delete(key);
      this.#ready(key, action(key) ?? 'change');
    }
    return due;
  }

  #ready(key: string, action: Action): void {
    (action === 'remove' ? this.removals : this.forward).add(key);
  }

  #leave(key: string): void {
    if (this.forward.delete(key) || this.removals.delete(key)) return;
    this.waiting.delete(key);
    this.failed.delete(key);
  }
}
