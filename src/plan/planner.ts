import type { Problem } from '../model/problem.ts';
import type { Row } from '../model/rows/row.ts';
import type { SourceName, World, WorldChange } from '../model/world.ts';

/**
 * Turns one part of the World into rows. Pure: same World, same rows; no clock, no randomness, no I/O, no memory.
 * Work is split into units so that the cost follows the change and not the cluster.
 */
export interface Planner<Unit extends string = string> {
  readonly name: string;
  /** It runs once all of these are ready. */
  readonly reads: readonly SourceName[];
  /** Targets that it may write rows of: their deletions wait for this planner. */
  readonly writes: readonly Row['target'][];
  /** All units of this World, for a plan from scratch. */
  units(world: World): Iterable<Unit>;
  /** Units that one change may touch, also ones that no longer exist (they then plan to nothing). */
  affected(change: WorldChange, world: World): Iterable<Unit>;
  plan(unit: Unit, world: World): UnitPlan;
}

export interface UnitPlan {
  readonly rows: readonly Row[];
  /** What cannot be done and why: shown in status and log, and as an Event when an operator must act. */
  readonly problems?: readonly Problem[];
}

export const nothing: UnitPlan = { rows: [] };
