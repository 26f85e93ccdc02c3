import type { DriftRecord, PlannedChange, RowStatus, SourceStatus, Status } from '../model/api.ts';
import type { Clock, Random } from '../model/clock.ts';
import type { Config } from '../model/cluster/config.ts';
import type { Problem } from '../model/problem.ts';
import type { RowRef, TargetName } from '../model/rows/row.ts';
import { SOURCE_NAMES, type WorldStore } from '../model/world-store.ts';
import { PlanEngine } from '../plan/engine.ts';
import type { Planner } from '../plan/planner.ts';
import { type ReconcileHooks, Reconciler } from '../reconcile/reconciler.ts';
import type { Closer, Target } from '../reconcile/target.ts';
import { type LogLine, logDecisions, logDrift, logProblems, logTorn } from './loop-log.ts';
import { plannedChanges, withConfig } from './loop-planned.ts';

export interface LoopHooks extends ReconcileHooks {
  /** One plan was made: for how many changes of the World, how many units, how many rows came out different. */
  planned?(milliseconds: number, size: { changes: number; units: number; rows: number }): void;
  readonly log?: LogLine;
  /** Puts off what these hooks are told, and the log; at once by default. Keeps the order. */
  later?(work: () => void): void;
}

export interface LoopOptions {
  readonly store: WorldStore;
  /** In the order of precedence. */
  readonly planners: readonly Planner[];
  readonly targets: readonly Target<unknown>[];
  readonly clock: Clock;
  readonly random: Random;
  readonly hooks?: LoopHooks;
  /** Milliseconds between two full reads of a target when nothing is notified. Default 60,000. */
  readonly sweepMs?: number;
}

export interface CleanupResult {
  readonly removed: number;
  /** What could not be removed, each with the reason. */
  readonly left: readonly RowStatus[];
}

/** The pause after a turn, in which changes gather for the next one: twice as long as the turn was, within these limits. */
const LEAST_PAUSE_MS = 1;
const BATCH_MS = 5;
const HEARTBEAT_MS = 1_000;
/** After this long, removals that adds keep waiting get a pause in which to happen. */
const REMOVALS_WAIT_MS = 1_000;

/**
 * The one loop of the agent: what changed in the World is planned, and what came out of it is handed to the reconciler. A change on
 * an idle machine is planned at once; under load a turn takes all that came in during a pause of up to 5 ms.
 */
export class Loop {
  /** Fulfilled once everything was read, planned and tried for the first time. */
  readonly converged: Promise<void>;
  readonly #options: LoopOptions;
  readonly #engine: PlanEngine;
  readonly #reconciler: Reconciler;
  readonly #listeners = new Set<() => void>();
  /** Whoever waits for something to come true. */
  readonly #waiting = new Set<() => void>();
  readonly #reads: ReadonlySet<string>;
  #ready: ReadonlySet<string> = new Set();
  #markConverged: () => void = () => {};
  #hasConverged = false;
  #problems: readonly Problem[] = [];
  #scheduled = false;
  #timers = new Set<{ cancel(): void }>();
  #lastTurn: number;
  /** No turn before this, monotonic milliseconds. */
  #pauseEnds = Number.NEGATIVE_INFINITY;
  #telling = false;
  #cleaning = false;
  #removed = 0;
  #started = false;
  #closed = false;

  constructor(options: LoopOptions) {
    const { clock, random, targets, sweepMs } = options;
    this.#options = options;
    this.#lastTurn = clock.monotonic();
    this.#engine = new PlanEngine(options.planners);
    this.#reads = new Set(options.planners.flatMap((planner) => planner.reads));
    this.converged = new Promise((resolve) => {
      this.#markConverged = resolve;
    });
    const hooks = this.#reconcileHooks();
    this.#reconciler = new Reconciler({ targets, clock, random, hooks, ...(sweepMs ? { sweepMs } : {}) });
  }

  /** Begins to read the targets and to follow the World. */
  start(): void {
    if (this.#started || this.#closed) return;
    this.#started = true;
    this.#options.store.onDirty(() => this.#schedule());
    this.#heartbeat();
    this.#turn();
  }

  get hasConverged(): boolean {
    return this.#hasConverged;
  }

  /** Everything that is known was acted on: nothing is under way, and what is left waits or has failed. */
  get settled(): boolean {
    return this.#options.store.dirtySince === undefined && this.#reconciler.settled;
  }

  /** When the loop last moved, monotonic milliseconds. More than a few seconds ago: it hangs. */
  get lastTurn(): number {
    return this.#lastTurn;
  }

  status(): Pick<Status, 'state' | 'sources' | 'targets' | 'problems'> {
    const sources = this.#sources();
    const targets = this.#reconciler.status();
    const away = sources.some((source) => !source.ready && this.#reads.has(source.name));
    const failing = targets.some((target) => target.failed > 0 || target.error !== undefined);
    const settledState = away || failing ? 'degraded' : 'ready';
    const state = !this.#engine.planned ? 'waiting' : !this.#hasConverged ? 'converging' : settledState;
    return { state, sources, targets, problems: this.#problems };
  }

  rows(target?: TargetName): readonly RowStatus[] {
    return this.#reconciler.rows(target);
  }

  /** Rows of a target whose last try failed. */
  failed(target: TargetName): readonly RowStatus[] {
    return this.#reconciler.failed(target);
  }

  row(ref: RowRef): RowStatus | undefined {
    return this.#reconciler.row(ref);
  }

  /**
   * Why what the World says now is not in a target yet, in words; `undefined` when it is. A row that waits or failed counts when
   * `mine` accepts its key.
   */
  unapplied(target: TargetName, mine: (key: string) => boolean): string | undefined {
    if (this.#options.store.dirtySince !== undefined) return 'not planned yet';
    return this.#engine.waits(target) ?? this.#reconciler.unapplied(target, mine);
  }

  /** Resolves as soon as `unmet` has no reason any more, else after `deadlineMs` with the last one. Asks whenever anything moved. */
  async whenMet(unmet: () => string | undefined, deadlineMs: number): Promise<string | undefined> {
    if (unmet() !== undefined) await this.#until(() => unmet() === undefined, deadlineMs);
    return unmet();
  }

  /** Oldest first, the last 256. */
  drift(): readonly DriftRecord[] {
    return this.#reconciler.drift();
  }

  /** Since start. */
  driftCounts(): Readonly<Record<DriftRecord['kind'], number>> {
    return this.#reconciler.driftCounts();
  }

  /** What a target had when it was last read; `undefined` while that is not known. */
  found(target: TargetName): ReadonlyMap<string, unknown> | undefined {
    return this.#reconciler.found(target);
  }

  /** What would be done to the machine now, or under another configuration; nothing is done. Works without `start`, too. */
  planned(config?: Config): Promise<readonly PlannedChange[]> {
    const { planners, store } = this.#options;
    const world = config ? withConfig(store.world, config) : store.world;
    const found = (target: string) => this.#reconciler.found(target);
    return plannedChanges(planners, world, this.#reconciler.targets(), found);
  }

  /** Called after anything in the status may have changed, at most once a turn of the event loop. */
  onChange(listener: () => void): Closer {
    this.#listeners.add(listener);
    return { close: () => this.#listeners.delete(listener) };
  }

  /**
   * Removes everything that is ours and nothing else, whatever the World says, and from then on wants nothing. Gives up on what
   * still cannot be removed after `deadlineMs`.
   */
  async cleanup(deadlineMs = 10_000): Promise<CleanupResult> {
    this.#cleaning = true;
    this.#removed = 0;
    this.start();
    this.#reconciler.wantNothing();
    this.#reconciler.gate(() => undefined);
    const finished = this.#until(() => this.#isClean(), deadlineMs);
    this.#reconciler.step();
    await finished;
    return { removed: this.#removed, left: this.#reconciler.rows() };
  }

  /** Leaves everything as it is. */
  close(): void {
    this.#closed = true;
    this.#reconciler.close();
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#listeners.clear();
    this.#waiting.clear();
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed || this.#cleaning) return;
    this.#scheduled = true;
    const pause = this.#pauseEnds - this.#options.clock.monotonic();
    // A microtask still joins what a source learns in one go.
    if (pause <= 0) queueMicrotask(() => this.#turn());
    else this.#after(pause, () => this.#turn());
  }

  #turn(): void {
    this.#scheduled = false;
    if (this.#closed || this.#cleaning) return;
    const held = this.#reconciler.removalsHeld;
    if (held > REMOVALS_WAIT_MS && held < 2 * REMOVALS_WAIT_MS) {
      this.#scheduled = true;
      this.#after(BATCH_MS, () => this.#turn());
      return;
    }
    const began = this.#options.clock.monotonic();
    this.#plan();
    if (this.#sourceCameBack()) this.#reconciler.hurry();
    this.#reconciler.step();
    const ended = this.#options.clock.monotonic();
    this.#pauseEnds = ended + Math.min(BATCH_MS, Math.max(LEAST_PAUSE_MS, 2 * (ended - began)));
    this.#lastTurn = ended;
  }

  #plan(): void {
    const { store, clock, hooks } = this.#options;
    const began = clock.monotonic();
    const since = store.dirtySince ?? began;
    const changes = store.take();
    const { rows, units } = this.#engine.run(store.world, changes);
    this.#reconciler.want(rows, since);
    this.#reconciler.gate((target) => this.#engine.holdsDeletes(target));
    if (units > 0) this.#tellProblems();
    const took = clock.monotonic() - began;
    this.#later(() => hooks?.planned?.(took, { changes: changes.length, units, rows: rows.length }));
  }

  /** Whatever kept a source away, the API server for one, kept targets from being read and rows from being done, too. */
  #sourceCameBack(): boolean {
    const { world } = this.#options.store;
    const ready = SOURCE_NAMES.filter((name) => world[name].ready);
    const cameBack = ready.some((name) => !this.#ready.has(name));
    this.#ready = new Set(ready);
    return cameBack;
  }

  #tellProblems(): void {
    const before = this.#problems;
    const problems = this.#engine.problems();
    if (before.length + problems.length === 0) return;
    this.#problems = problems;
    const log = this.#options.hooks?.log;
    if (log) this.#later(() => logProblems(log, before, problems));
  }

  #sources(): SourceStatus[] {
    const { world } = this.#options.store;
    return SOURCE_NAMES.filter((name) => this.#reads.has(name) || world[name].ready).map((name) => {
      const { ready, since, reason, objects } = world[name];
      return { name, ready, since, reason, objects: objects.size };
    });
  }

  #reconcileHooks(): ReconcileHooks {
    const { hooks = {} } = this.#options;
    const { log } = hooks;
    return {
      observed: (target, ms) => this.#later(() => hooks.observed?.(target, ms)),
      decided: (target, decisions, ms) => {
        if (this.#cleaning)
          for (const { action, error } of decisions) if (action === 'remove' && !error) this.#removed++;
        this.#later(() => {
          if (log) logDecisions(log, target, decisions);
          hooks.decided?.(target, decisions, ms);
        });
      },
      torn: (target, error, rows) =>
        this.#later(() => {
          if (log) logTorn(log, target, error, rows);
          hooks.torn?.(target, error, rows);
        }),
      drifted: (record) =>
        this.#later(() => {
          if (log) logDrift(log, record);
          hooks.drifted?.(record);
        }),
      changed: () => this.#changed(),
    };
  }

  #later(work: () => void): void {
    const { later } = this.#options.hooks ?? {};
    if (later) later(work);
    else work();
  }

  #changed(): void {
    if (!this.#hasConverged && this.#engine.planned && this.settled) {
      this.#hasConverged = true;
      this.#markConverged();
    }
    this.#options.hooks?.changed?.();
    if (this.#waiting.size > 0) queueMicrotask(() => this.#askAgain());
    if (this.#telling) return;
    this.#telling = true;
    // Behind all that one change does: who only looks on must not stand between two targets of it.
    setImmediate(() => {
      this.#telling = false;
      for (const listener of [...this.#listeners]) listener();
    });
  }

  #isClean(): boolean {
    return this.#reconciler.settled && this.#reconciler.status().every((target) => target.extra === 0);
  }

  #until(condition: () => boolean, deadlineMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#after(deadlineMs, () => end());
      const check = () => {
        if (condition()) end();
      };
      const end = () => {
        this.#waiting.delete(check);
        timer.cancel();
        resolve();
      };
      this.#waiting.add(check);
    });
  }

  #askAgain(): void {
    for (const check of [...this.#waiting]) check();
  }

  #heartbeat(): void {
    this.#lastTurn = this.#options.clock.monotonic();
    this.#after(HEARTBEAT_MS, () => this.#heartbeat());
  }

  #after(milliseconds: number, callback: () => void): { cancel(): void } {
    const timer = this.#options.clock.after(milliseconds, () => {
      this.#timers.delete(timer);
      if (!this.#closed) callback();
    });
    this.#timers.add(timer);
    return timer;
  }
}
