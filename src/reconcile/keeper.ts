import type { TargetStatus } from '../model/api.ts';
import { describe, FairleadError } from '../model/errors.ts';
import type { RowRef, TargetName } from '../model/rows/row.ts';
import { backoff, jittered } from './backoff.ts';
import type { Board, Decision, Kept } from './board.ts';
import { type Action, Delta, type WantedRow } from './delta.ts';
import { classify } from './drift.ts';
import { Queue } from './queue.ts';
import { targetStatus } from './status.ts';
import { type Change, type Closer, type Outcome, RolledBack, type Target } from './target.ts';

/** A call that takes longer no longer holds up other targets. */
export const PATIENCE_MS = 5_000;

/** Least time between two full reads because of notifications. */
const LOOK_AGAIN_MS = 250;

/** Least time between two tries of all failed rows because something moved. */
const HURRY_AGAIN_MS = 1_000;

interface Flight {
  readonly kind: 'observe' | 'forward' | 'remove';
  readonly since: number;
}

/**
 * Keeps one target true: at most one call is under way at any time. What it knows of the target is `unknown` until the first
 * full read and after each call that threw; nothing is applied to an unknown target.
 */
export class Keeper implements Kept {
  readonly name: TargetName;
  readonly target: Target<unknown>;
  readonly delta: Delta;
  readonly queue: Queue;
  /** Why nothing may be removed now. */
  hold: string | undefined = 'no plan yet';
  readonly #board: Board;
  readonly #whyRemoved = new Map<string, string>();
  readonly #watch: Closer | undefined;
  #flight: Flight | undefined;
  #known = false;
  #observedAt: number | undefined;
  #lookAt: number;
  #lookStarted = Number.NEGATIVE_INFINITY;
  /** Something moved while we were reading. */
  #lookAgain = false;
  /** Somebody else moved something: what failed before may succeed now. */
  #moves = false;
  #hurried = Number.NEGATIVE_INFINITY;
  #suspects: Set<string> | 'all' = 'all';
  #observeFailures = 0;
  #applyFailures = 0;
  #applyAt = 0;
  #limit = Number.POSITIVE_INFINITY;
  #error: string | undefined;
  #stamp = 0;
  #closed = false;

  constructor(target: Target<unknown>, board: Board) {
    this.name = target.name as TargetName;
    this.target = target;
    this.#board = board;
    this.queue = new Queue(board.random);
    this.#lookAt = board.clock.monotonic();
    this.delta = new Delta(
      (wanted, found) => target.same(wanted, found),
      (key, action) => this.#moved(key, action),
    );
    this.#watch = target.watch?.((keys) => this.#notified(keys));
  }

  get known(): boolean {
    return this.#known;
  }

  /** It is read, and nothing can be done now: what is left waits, failed, or may not be removed. */
  get resting(): boolean {
    return this.#known && this.queue.forward.size === 0 && !this.mayRemove;
  }

  /** Why it could not be read or written last; `undefined` when it could. */
  get error(): string | undefined {
    return this.#error;
  }

  get mayRemove(): boolean {
    return this.hold === undefined && this.queue.removals.size > 0;
  }

  /** `at`: when the event behind it came in, monotonic milliseconds. */
  want(key: string, row: WantedRow | undefined, at: number): void {
    this.#stamp = at;
    const before = this.delta.want(key, row);
    if (!row && before && this.delta.todo.has(key)) this.#whyRemoved.set(key, before.why);
    this.queue.release(key);
  }

  /** Reads, if it is time to. */
  look(now: number): void {
    if (!this.#flight && now >= this.#lookAt) void this.#observe(now);
  }

  /** Makes failed rows ready again whose backoff is over. */
  retry(now: number): void {
    for (const key of this.queue.retry(now, (key) => this.delta.todo.get(key))) {
      if (this.target.atomic) this.#board.done(this.name, key);
    }
  }

  /** Starts on adds and changes (and removals, for an atomic target), when there are any and nothing is under way. */
  forward(now: number): void {
    if (!this.#runnable(now)) return;
    if (this.queue.forward.size === 0 && !(this.target.atomic && this.mayRemove)) return;
    const batch = this.#forwardBatch();
    if (batch.length > 0) void this.#apply('forward', batch, now);
  }

  remove(now: number): void {
    if (!this.mayRemove || !this.#runnable(now)) return;
    void this.#apply('remove', this.#changes(this.queue.removals), now);
  }

  /** Whether later stages must wait for this target. */
  holdsForward(now: number): boolean {
    if (!this.#flight || now - this.#flight.since >= PATIENCE_MS) return false;
    if (this.#flight.kind === 'forward') return true;
    return !this.#known || this.queue.forward.size > 0;
  }

  /** Whether removals of earlier stages must wait for this target. */
  holdsRemovals(now: number): boolean {
    if (!this.#flight || now - this.#flight.since >= PATIENCE_MS) return false;
    return this.#flight.kind === 'remove' || this.mayRemove;
  }

  /** When to call again at the latest, monotonic milliseconds. */
  wakeAt(now: number): number {
    if (this.#flight) {
      const overdue = this.#flight.since + PATIENCE_MS;
      return overdue > now ? overdue : Number.POSITIVE_INFINITY;
    }
    const work = this.queue.forward.size > 0 || this.mayRemove;
    return Math.min(
      this.#lookAt,
      this.queue.nextDue,
      work && this.#applyAt > now ? this.#applyAt : Number.POSITIVE_INFINITY,
    );
  }

  /** What our rows stand on moved: read again now. `byUs`: differences found then are our own doing and not drift. */
  disturb(byUs: boolean): void {
    if (byUs) this.#suspects = 'all';
    this.#moves = true;
    this.#lookSoon(0);
  }

  /** What was out of reach may be there again: try what failed now and not when its backoff is over. */
  hurry(): void {
    const now = this.#now();
    if (this.#observeFailures > 0) this.#lookAt = Math.min(this.#lookAt, now);
    this.queue.hurry(now);
  }

  status(): TargetStatus {
    return targetStatus(this, this.#board.clock, { observed: this.#observedAt, error: this.#error });
  }

  whyRemoved(key: string): string {
    const found = this.delta.found.get(key);
    const reason = found === undefined ? undefined : this.target.reason?.(found);
    return this.#whyRemoved.get(key) ?? reason ?? 'ours, and nothing asks for it';
  }

  close(): void {
    this.#closed = true;
    this.#watch?.close();
  }

  #moved(key: string, action: Action | undefined): void {
    if (action) {
      this.queue.put(key, action, this.#stamp);
      return;
    }
    this.queue.drop(key);
    this.#whyRemoved.delete(key);
    this.#board.done(this.name, key);
  }

  #notified(keys: Iterable<string> | 'unknown'): void {
    if (this.#closed) return;
    if (keys !== 'unknown' && keys[Symbol.iterator]().next().done) return;
    this.#moves = true;
    this.#lookSoon(LOOK_AGAIN_MS);
    this.#board.step();
  }

  /** Reads as soon as `spacing` milliseconds have passed since the last read began. */
  #lookSoon(spacing: number): void {
    if (this.#flight?.kind === 'observe') this.#lookAgain = true;
    if (this.#observeFailures > 0) return;
    const at = Math.max(this.#board.clock.monotonic(), this.#lookStarted + spacing);
    this.#lookAt = Math.min(this.#lookAt, at);
  }

  #runnable(now: number): boolean {
    return !this.#flight && this.#known && now >= this.#applyAt;
  }

  async #observe(now: number): Promise<void> {
    const suspects = this.#suspects;
    this.#suspects = new Set();
    this.#flight = { kind: 'observe', since: now };
    this.#lookStarted = now;
    this.#lookAgain = false;
    try {
      const seen = await this.target.observe();
      if (!this.#closed) this.#saw(seen, suspects);
    } catch (error) {
      this.#suspects = joined(suspects, this.#suspects);
      this.#error = describe(error);
      this.#observeFailures++;
      this.#lookAt = this.#now() + backoff(this.#observeFailures, this.#board.random);
    }
    this.#landed();
  }

  #saw(seen: ReadonlyMap<string, unknown>, suspects: ReadonlySet<string> | 'all'): void {
    const now = this.#now();
    const same = (wanted: unknown, found: unknown) => this.target.same(wanted, found);
    const untold = this.target.reason ? 'all' : suspects;
    for (const { key, kind } of classify(this.delta, seen, same, untold)) {
      this.#board.drifted(this.name, key, kind);
    }
    if (this.#moves && now - this.#hurried >= HURRY_AGAIN_MS) {
      this.#hurried = now;
      this.queue.hurry(now);
    }
    this.#moves = false;
    this.#stamp = now;
    this.#known = true;
    this.delta.observed(seen);
    this.#observedAt = this.#board.clock.wall();
    this.#observeFailures = 0;
    // The call that broke off may have done it all: then there is nothing left to fail.
    if (this.queue.forward.size === 0 && this.queue.removals.size === 0) this.#applyFailures = 0;
    if (this.#applyFailures === 0) this.#error = undefined;
    this.#lookAt = this.#lookAgain
      ? Math.max(now, this.#lookStarted + LOOK_AGAIN_MS)
      : now + jittered(this.#board.sweepMs, this.#board.random);
    this.#board.observed(this, now - this.#lookStarted);
  }

  #forwardBatch(): Change<unknown>[] {
    for (const key of this.queue.forward) {
      const need = this.#unmet(key, 0);
      if (!need) continue;
      this.queue.wait(key, need);
      this.#board.awaits(need, this, key);
    }
    const batch = this.#changes(this.queue.forward);
    // One transaction: what is added must not be seen without what is taken away. With nothing added it goes alone.
    if (this.target.atomic && this.mayRemove) batch.push(...this.#changes(this.queue.removals));
    return batch;
  }

  #changes(keys: Iterable<string>): Change<unknown>[] {
    const batch: Change<unknown>[] = [];
    for (const key of keys) {
      if (batch.length >= this.#limit) break;
      batch.push({ key, wanted: this.delta.wanted.get(key)?.body, found: this.delta.found.get(key) });
    }
    return batch;
  }

  /** The first need of a row that is not there yet. In a transaction a row may need one that goes with it. */
  #unmet(key: string, depth: number): RowRef | undefined {
    for (const need of this.delta.wanted.get(key)?.needs ?? []) {
      if (this.#board.isDone(need)) continue;
      if (this.target.atomic && need.target === this.name) {
        // Something else may be in its place; and a row that is refused for want of it may have a stricter one itself.
        if (this.queue.last(need.key) !== undefined) continue;
        if (this.queue.forward.has(need.key) && depth < 8 && !this.#unmet(need.key, depth + 1)) continue;
      }
      return need;
    }
    return undefined;
  }

  async #apply(kind: Flight['kind'], batch: readonly Change<unknown>[], now: number): Promise<void> {
    this.#flight = { kind, since: now };
    try {
      const outcomes = await this.target.apply(batch, (key) => this.delta.wanted.has(key));
      if (outcomes.length !== batch.length) {
        throw new FairleadError(
          'bad-outcomes',
          `target ${this.name} gave ${outcomes.length} outcomes for ${batch.length} changes`,
        );
      }
      if (!this.#closed) this.#settle(batch, outcomes, now);
    } catch (error) {
      if (!this.#closed) this.#tear(batch, error);
    }
    this.#landed();
  }

  #settle(batch: readonly Change<unknown>[], outcomes: readonly Outcome[], started: number): void {
    const now = this.#now();
    const culprits = outcomes.some((outcome) => !outcome.ok && !(outcome.error instanceof RolledBack));
    const decisions: Decision[] = [];
    let shaken = false;
    batch.forEach((change, i) => {
      const outcome = outcomes[i];
      if (!outcome || (!outcome.ok && culprits && outcome.error instanceof RolledBack)) return;
      decisions.push(this.#decide(change, outcome, now));
      shaken ||= change.found !== undefined;
    });
    this.#applyFailures = 0;
    this.#limit *= 2;
    if (this.#observeFailures === 0) this.#error = undefined;
    this.#board.decided(this, decisions, now - started);
    if (shaken) this.#board.shook(this);
  }

  #decide(change: Change<unknown>, outcome: Outcome, now: number): Decision {
    const { key, wanted } = change;
    const why = this.delta.wanted.get(key)?.why ?? this.whyRemoved(key);
    const action = wanted === undefined ? 'remove' : change.found === undefined ? 'add' : 'change';
    const latency = now - (this.queue.since(key) ?? now);
    const head = { target: this.name, key, action, why, latency } as const;
    this.#stamp = now;
    if (outcome.ok) {
      this.delta.applied(key, wanted);
      if (this.delta.todo.has(key) && this.#stillSame(change)) {
        this.queue.fail(key, 'done, and yet not as wanted: a fault in the target', now);
      }
      return head;
    }
    const error = describe(outcome.error);
    if (outcome.instead !== undefined) this.delta.replaced(key, outcome.instead);
    for (const spoilt of outcome.spoils ?? []) this.delta.spoil(spoilt);
    // What was wanted may have changed under way: then the new wish has not failed yet.
    if (this.#stillSame(change) && this.delta.todo.has(key)) this.queue.fail(key, error, now);
    // A replacement may have failed half-way, so look before the next try.
    if (this.#suspects !== 'all') this.#suspects.add(key);
    this.#lookSoon(LOOK_AGAIN_MS);
    return { ...head, error };
  }

  #stillSame(change: Change<unknown>): boolean {
    return this.delta.wanted.get(change.key)?.body === change.wanted;
  }

  /** Nobody knows how much of the batch was done: read before anything else, then try smaller ones if it happens again. */
  #tear(batch: readonly Change<unknown>[], error: unknown): void {
    const now = this.#now();
    this.#known = false;
    this.#suspects = joined(this.#suspects, new Set(batch.map((change) => change.key)));
    this.#error = describe(error);
    this.#applyFailures++;
    this.#lookAt = now;
    if (this.#applyFailures > 1) this.#applyAt = now + backoff(this.#applyFailures - 1, this.#board.random);
    const [only] = batch;
    if (batch.length === 1 && only && this.delta.todo.has(only.key)) {
      this.queue.fail(only.key, describe(error), now);
    } else if (this.#applyFailures > 1 && !this.target.atomic) {
      this.#limit = Math.ceil(batch.length / 2);
    }
    this.#board.torn(this, error, batch.length);
  }

  #landed(): void {
    this.#flight = undefined;
    if (!this.#closed) this.#board.step();
  }

  #now(): number {
    return this.#board.clock.monotonic();
  }
}

function joined(a: ReadonlySet<string> | 'all', b: ReadonlySet<string> | 'all'): Set<string> | 'all' {
  return a === 'all' || b === 'all' ? 'all' : new Set([...a, ...b]);
}
