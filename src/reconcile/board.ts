import type { Clock, Random } from '../model/clock.ts';
import type { RowRef, TargetName } from '../model/rows/row.ts';
import type { Action } from './delta.ts';
import type { DriftKind } from './drift.ts';
import type { Keeper } from './keeper.ts';

/** What was done about one row, for the log and the metrics. */
export interface Decision {
  readonly target: TargetName;
  readonly key: string;
  readonly action: Action;
  readonly why: string;
  /** Absent = done. */
  readonly error?: string;
  /** Milliseconds from the event to the target's acknowledgement. */
  readonly latency: number;
}

/** What a keeper needs from the others. */
export interface Board {
  readonly clock: Clock;
  readonly random: Random;
  readonly sweepMs: number;
  isDone(row: RowRef): boolean;
  /** `keeper`'s row `key` is to be released when `need` is done. */
  awaits(need: RowRef, keeper: Keeper, key: string): void;
  done(target: TargetName, key: string): void;
  observed(keeper: Keeper, milliseconds: number): void;
  drifted(target: TargetName, key: string, kind: DriftKind): void;
  decided(keeper: Keeper, decisions: readonly Decision[], milliseconds: number): void;
  /** A call ended with nobody knowing how much was done. */
  torn(keeper: Keeper, error: unknown, rows: number): void;
  /** Rows of this keeper were changed or removed, and what stands on them may have gone with them. */
  shook(keeper: Keeper): void;
  step(): void;
}
