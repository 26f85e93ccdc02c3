import type { DriftRecord, RowStatus, TargetStatus } from '../model/api.ts';
import type { Clock, Random } from '../model/clock.ts';
import type { RowRef, TargetName } from '../model/rows/row.ts';
import type { Board, Decision, Kept } from './board.ts';
import type { WantedRow } from './delta.ts';
import { type DriftKind, DriftLog } from './drift.ts';
import { Keeper } from './keeper.ts';
import { failedRows, rowStatus, rowStatuses } from './status.ts';
import type { Target } from './target.ts';
import { Waiters } from './waiters.ts';

/** What the reconciler tells of itself, for log and metrics. Called synchronously; must not throw. */
export interface ReconcileHooks {
  /** One call to a target ended: what became of each row. */
  decided?(target: TargetName, decisions: readonly Decision[], milliseconds: number): void;
  /** A call to a target threw: how much was done is unknown until it was read again. */
  torn?(target: TargetName, error: unknown, rows: number): void;
  observed?(target: TargetName, milliseconds: number): void;
  drifted?(record: DriftRecord): void;
  /** Something in the status may be different. */
  changed?(): void;
}

export interface ReconcilerOptions {
  readonly targets: readonly Target<unknown>[];
  readonly clock: Clock;
  readonly random: Random;
  readonly hooks?: ReconcileHooks;
  /** Milliseconds between two full reads when nothing is notified. Default 60,000. */
  readonly sweepMs?: number;
}

/** Up to this stage targets live in the kernel, on top of stage 0. */
const LAST_STANDING_ON_BASE = 3;

/**
 * Keeps all targets true, in the order of the stages. See README.md.
 *
 * There is no pass with a beginning and an end: `step` looks at where every target stands and starts what may start. It is called
 * whenever anything moved: a row, an answer, a notification, the clock.
 */
export class Reconciler {
  readonly #keepers: ReadonlyMap<string, Keeper>;
  /** By stage, ascending. */
  readonly #stages: readonly (readonly Keeper[])[];
  readonly #clock: Clock;
  readonly #hooks: ReconcileHooks;
  readonly #waiters = new Waiters<Kept>();
  readonly #drift = new DriftLog();
  #timer: { at: number; cancel(): void } | undefined;
  #stepping = false;
  #stepAgain = false;
  #settled = false;
  #closed = false;
  #removalsHeldSince: number | undefined;

  constructor(options: ReconcilerOptions) {
    this.#clock = options.clock;
    this.#hooks = options.hooks ?? {};
    const board = this.#board(options);
    // A watch may call back at once, so nothing steps before all keepers stand.
    this.#stepping = true;
    this.#keepers = new Map(options.targets.map((target) => [target.name, new Keeper(target, board)]));
    this.#stepping = false;
    const numbers = [...new Set(options.targets.map((target) => target.stage))].sort((a, b) => a - b);
    this.#stages = numbers.map((stage) =>
      [...this.#keepers.values()].filter((k) => k.target.stage === stage),
    );
  }

  /** Takes over what is wanted. `at`: when the event behind it came in, monotonic. Call `step` afterwards. */
  want(changes: Iterable<{ target: TargetName; key: string; row: WantedRow | undefined }>, at: number): void {
    for (const { target, key, row } of changes) this.#keepers.get(target)?.want(key, row, at);
  }

  /** Nothing is wanted any more. */
  wantNothing(): void {
    const now = this.#clock.monotonic();
    for (const keeper of this.#keepers.values()) {
      for (const key of [...keeper.delta.wanted.keys()]) keeper.want(key, undefined, now);
    }
  }

  /** Asks for each target why nothing of it may be removed (`undefined`: it may). */
  gate(reason: (target: TargetName) => string | undefined): void {
    for (const keeper of this.#keepers.values()) keeper.hold = reason(keeper.name);
  }

  /** Something that was out of reach has come back: what failed is tried again now. Call `step` afterwards. */
  hurry(): void {
    for (const keeper of this.#keepers.values()) keeper.hurry();
  }

  /** Starts everything that may start now. Cheap when there is nothing. */
  step(): void {
    this.#stepAgain = true;
    if (this.#stepping || this.#closed) return;
    this.#stepping = true;
    let now = 0;
    while (this.#stepAgain) {
      this.#stepAgain = false;
      now = this.#clock.monotonic();
      this.#advance(now);
    }
    this.#stepping = false;
    this.#setTimer(now);
    this.#hooks.changed?.();
  }

  /** All targets are read, and all that can be done now is done: what is left waits, failed, or may not be removed yet. */
  get settled(): boolean {
    return this.#settled;
  }

  /** For how long removals have been kept waiting by adds that never ended, in milliseconds. */
  get removalsHeld(): number {
    return this.#removalsHeldSince === undefined ? 0 : this.#clock.monotonic() - this.#removalsHeldSince;
  }

  targets(): readonly Target<unknown>[] {
    return [...this.#keepers.values()].map((keeper) => keeper.target);
  }

  /** What the target had when last read; `undefined` while that is not known. */
  found(target: string): ReadonlyMap<string, unknown> | undefined {
    const keeper = this.#keepers.get(target);
    return keeper?.known ? keeper.delta.found : undefined;
  }

  status(): readonly TargetStatus[] {
    return this.#stages.flat().map((keeper) => keeper.status());
  }

  rows(target?: TargetName): readonly RowStatus[] {
    const keepers = this.#stages.flat().filter((keeper) => target === undefined || keeper.name === target);
    return keepers.flatMap((keeper) => rowStatuses(keeper, this.#clock));
  }

  /** Those whose last try failed. Walks no others. */
  failed(target: TargetName): readonly RowStatus[] {
    const keeper = this.#keepers.get(target);
    return keeper ? failedRows(keeper, this.#clock) : [];
  }

  /** One row, wanted or to be removed; `undefined` when it is neither. */
  row(ref: RowRef): RowStatus | undefined {
    const keeper = this.#keepers.get(ref.target);
    if (!keeper?.delta.wanted.has(ref.key) && !keeper?.delta.todo.has(ref.key)) return undefined;
    return rowStatus(keeper, this.#clock, ref.key);
  }

  /**
   * Why a target is not as wanted, in words; `undefined` when it is. Rows that wait, failed or may not be removed count only when
   * `mine` accepts their key.
   */
  unapplied(target: TargetName, mine: (key: string) => boolean): string | undefined {
    const keeper = this.#keepers.get(target);
    if (!keeper) return undefined;
    if (!keeper.resting) return `target ${target}: ${keeper.error ?? 'at work'}`;
    for (const key of keeper.delta.todo.keys()) {
      if (!mine(key)) continue;
      const { state, message } = rowStatus(keeper, this.#clock, key);
      return `${target} ${key}: ${message ?? state}`;
    }
    return undefined;
  }

  drift(): readonly DriftRecord[] {
    return this.#drift.records();
  }

  driftCounts(): Readonly<Record<DriftKind, number>> {
    return this.#drift.counts;
  }

  /** Starts nothing any more. Calls under way end by themselves and are ignored. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    for (const keeper of this.#keepers.values()) keeper.close();
  }

  #advance(now: number): void {
    for (const keeper of this.#keepers.values()) {
      keeper.retry(now);
      keeper.look(now);
    }
    const forwardDone = this.#forward(now);
    const removalsDone = forwardDone && this.#backward(now);
    this.#settled = removalsDone && [...this.#keepers.values()].every((keeper) => keeper.resting);
    const held = !forwardDone && [...this.#keepers.values()].some((keeper) => keeper.mayRemove);
    this.#removalsHeldSince = held ? (this.#removalsHeldSince ?? now) : undefined;
  }

  /** Adds and changes, lowest stage first: a stage begins when the one before has nothing more to do or to wait for. */
  #forward(now: number): boolean {
    for (const stage of this.#stages) {
      for (const keeper of stage) keeper.forward(now);
      if (stage.some((keeper) => keeper.holdsForward(now))) return false;
    }
    return true;
  }

  /** Removals, highest stage first: what is announced is withdrawn before what carries it goes. */
  #backward(now: number): boolean {
    for (const stage of this.#stages.toReversed()) {
      for (const keeper of stage) keeper.remove(now);
      if (stage.some((keeper) => keeper.holdsRemovals(now))) return false;
    }
    return true;
  }

  /** `now` as it was when work was looked for: what has become due since then was not found, and must not count as begun. */
  #setTimer(now: number): void {
    let at = Number.POSITIVE_INFINITY;
    for (const keeper of this.#keepers.values()) at = Math.min(at, keeper.wakeAt(now));
    // One that fires too early costs less than setting another at each step.
    if (this.#closed || (this.#timer && this.#timer.at <= at && at !== Number.POSITIVE_INFINITY)) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (at === Number.POSITIVE_INFINITY) return;
    const timer = this.#clock.after(Math.max(0, at - this.#clock.monotonic()), () => {
      this.#timer = undefined;
      this.step();
    });
    this.#timer = { at, cancel: () => timer.cancel() };
  }

  #board(options: ReconcilerOptions): Board {
    return {
      clock: options.clock,
      random: options.random,
      sweepMs: options.sweepMs ?? 60_000,
      isDone: (row) => {
        const keeper = this.#keepers.get(row.target);
        return keeper?.known === true && keeper.delta.isDone(row.key);
      },
      awaits: (need, keeper, key) => this.#waiters.add(need, keeper, key),
      done: (target, key) => {
        this.#drift.repaired(target, key, this.#clock.wall());
        for (const [keeper, waiting] of this.#waiters.take({ target, key })) keeper.queue.release(waiting);
      },
      observed: (keeper, milliseconds) => {
        this.#releaseAll(keeper);
        this.#hooks.observed?.(keeper.name, milliseconds);
      },
      drifted: (target, key, kind) => {
        this.#shaken(target, false);
        const record = this.#drift.add(target, key, kind, this.#clock.wall());
        this.#hooks.drifted?.(record);
      },
      decided: (keeper, decisions, milliseconds) =>
        this.#hooks.decided?.(keeper.name, decisions, milliseconds),
      torn: (keeper, error, rows) => this.#hooks.torn?.(keeper.name, error, rows),
      shook: (keeper) => this.#shaken(keeper.name, true),
      step: () => this.step(),
    };
  }

  /** A target is known again, so rows that wait for its rows may go on. */
  #releaseAll(keeper: Kept): void {
    for (const key of [...this.#waiters.awaited(keeper.name)]) {
      if (!keeper.delta.isDone(key)) continue;
      for (const [waiter, waiting] of this.#waiters.take({ target: keeper.name, key })) {
        waiter.queue.release(waiting);
      }
    }
  }

  /**
   * The kernel takes along, often without a word, what stands on a link or an address that goes down or away. So when a row of
   * stage 0 was changed or removed, by us or by others, everything that may stand on it is read again.
   */
  #shaken(target: TargetName, byUs: boolean): void {
    if (this.#keepers.get(target)?.target.stage !== 0) return;
    for (const keeper of this.#keepers.values()) {
      if (keeper.name !== target && keeper.target.stage <= LAST_STANDING_ON_BASE) keeper.disturb(byUs);
    }
  }
}
