import type { Clock, Random } from '../model/clock.ts';
import type { RowRef, TargetName } from '../model/rows/row.ts';
import type { Action, Delta } from './delta.ts';
import type { DriftKind } from './drift.ts';
import type { Queue } from './queue.ts';
import type { Target } from './target.ts';

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

/** A target as it is kept, for those who look at it. */
export interface Kept {
  readonly name: TargetName;
  readonly target: Target<unknown>;
  readonly delta: Delta;
  readonly queue: Queue;
  /** Why nothing may be removed now. */
  readonly hold: string | undefined;
  whyRemoved(key: string): string;
}

/** What a keeper needs from the others. */
export interface Board {
  readonly clock: Clock;
  readonly random: Random;
  readonly sweepMs: number;
  isDone(row: RowRef): boolean;
  /** `keeper`'s row `key` is to be released when `need` is done. */
  awaits(need: RowRef, keeper: Kept, key: string): void;
  done(target: TargetName, key: string): void;
  observed(keeper: Kept, milliseconds: number): void;
  drifted(target: TargetName, key: string, kind: DriftKind): void;
  decided(keeper: Kept, decisions: readonly Decision[], milliseconds: number): void;
  /** A call ended with nobody knowing how much was done. */
  torn(keeper: Kept, error: unknown, rows: number): void;
  /** Rows of this keeper were changed or removed, and what stands on them may have gone with them. */
  shook(keeper: Kept): void;
  step(): void;
}
