import { equal } from '../model/equal.ts';
import type { RowRef, TargetName } from '../model/rows/row.ts';

/** A row as the reconciler sees it: it never looks into the body. */
export interface WantedRow {
  readonly target: TargetName;
  readonly key: string;
  readonly body: unknown;
  readonly why: string;
  readonly needs?: readonly RowRef[];
}

export type Action = 'add' | 'change' | 'remove';

/**
 * Three maps of one target, and nothing else is remembered:
 *
 * ```
 *         wanted                       found
 *   ┌──────────────────┐       ┌──────────────────┐
 *   │                ┌─┼───────┼─┐                │
 *   │      add       │ │ same  │ │     remove     │
 *   │                │ │- - - -│ │                │
 *   │                │ │change │ │                │
 *   │                └─┼───────┼─┘                │
 *   └──────────────────┘       └──────────────────┘
 *   todo = everything but "same"
 * ```
 *
 * `wanted` is what the planners ask for, `found` what the target had when it was last read and what it acknowledged since.
 * `todo` is kept up to date with each key that moves, so nobody ever walks all rows to learn what is left.
 */
export class Delta {
  readonly #wanted = new Map<string, WantedRow>();
  readonly #todo = new Map<string, Action>();
  readonly #same: (wanted: unknown, found: unknown) => boolean;
  readonly #moved: (key: string, action: Action | undefined) => void;
  #found = new Map<string, unknown>();
  #removals = 0;
  /** Rows that look right and are not. */
  readonly #spoilt = new Set<string>();

  /** `moved` hears of every key about which there is now something else to do than before, or nothing any more. */
  constructor(
    same: (wanted: unknown, found: unknown) => boolean,
    moved: (key: string, action: Action | undefined) => void,
  ) {
    this.#same = same;
    this.#moved = moved;
  }

  get wanted(): ReadonlyMap<string, WantedRow> {
    return this.#wanted;
  }

  get found(): ReadonlyMap<string, unknown> {
    return this.#found;
  }

  get todo(): ReadonlyMap<string, Action> {
    return this.#todo;
  }

  /** Things of ours that nobody wants. */
  get extra(): number {
    return this.#removals;
  }

  /** Wanted rows that are as wanted. */
  get done(): number {
    return this.#wanted.size - (this.#todo.size - this.#removals);
  }

  isDone(key: string): boolean {
    return this.#wanted.has(key) && !this.#todo.has(key);
  }

  /** Returns the row that was wanted before. */
  want(key: string, row: WantedRow | undefined): WantedRow | undefined {
    const before = this.#wanted.get(key);
    if (row) this.#wanted.set(key, row);
    else if (before) this.#wanted.delete(key);
    this.#judge(key, row, this.#found.get(key), !equal(before?.body, row?.body));
    return before;
  }

  /** The target did as told: this is what it has now. */
  applied(key: string, body: unknown): void {
    this.#spoilt.delete(key);
    if (body === undefined) this.#found.delete(key);
    else this.#found.set(key, body);
    this.#judge(key, this.#wanted.get(key), body, true);
  }

  /** The target has something else in its place: what is to be done about it has not become more urgent. */
  replaced(key: string, body: unknown): void {
    this.#spoilt.delete(key);
    this.#found.set(key, body);
    this.#judge(key, this.#wanted.get(key), body, false);
  }

  /** What is there must be written again, though it looks as wanted. */
  spoil(key: string): void {
    if (!this.#found.has(key)) return;
    this.#spoilt.add(key);
    this.#look(key);
  }

  /** The target was read in full. */
  observed(found: ReadonlyMap<string, unknown>): void {
    const before = this.#found;
    this.#found = new Map(found);
    for (const key of before.keys()) if (!this.#found.has(key)) this.#look(key);
    for (const key of this.#found.keys()) this.#look(key);
  }

  #look(key: string): void {
    this.#judge(key, this.#wanted.get(key), this.#found.get(key), false);
  }

  #judge(key: string, row: WantedRow | undefined, found: unknown, fresh: boolean): void {
    const action = this.#action(key, row, found);
    const before = this.#todo.get(key);
    if (before === action && !(fresh && action)) return;
    if (before === 'remove') this.#removals--;
    if (action === 'remove') this.#removals++;
    if (action) this.#todo.set(key, action);
    else this.#todo.delete(key);
    this.#moved(key, action);
  }

  #action(key: string, row: WantedRow | undefined, found: unknown): Action | undefined {
    if (found === undefined) return row ? 'add' : undefined;
    if (!row) return 'remove';
    return this.#same(row.body, found) && !this.#spoilt.has(key) ? undefined : 'change';
  }
}
