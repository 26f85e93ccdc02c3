import type { RowStatus, TargetStatus } from '../model/api.ts';
import type { Clock } from '../model/clock.ts';
import type { RowRef } from '../model/rows/row.ts';
import type { Kept } from './board.ts';

/** Rows shown in a target's status; all of them are in `/v1/rows`. */
const SHOWN = 20;

/** Counts are kept as rows move; only the few rows shown are looked at. */
export function targetStatus(
  keeper: Kept,
  clock: Clock,
  seen: Pick<TargetStatus, 'observed' | 'error'>,
): TargetStatus {
  const { delta, queue } = keeper;
  return {
    name: keeper.name,
    stage: keeper.target.stage,
    wanted: delta.wanted.size,
    done: delta.done,
    waiting: queue.waiting.size,
    failed: queue.failing,
    extra: delta.extra,
    ...seen,
    rows: [...firstOf(SHOWN, queue.failed.keys(), queue.waiting.keys(), queue.forward, queue.removals)].map(
      (key) => rowStatus(keeper, clock, key),
    ),
  };
}

/** Rows whose last try failed. */
export function failedRows(keeper: Kept, clock: Clock): RowStatus[] {
  return Array.from(keeper.queue.failures(), (key) => rowStatus(keeper, clock, key));
}

/** All wanted rows and all that wait to be removed. */
export function rowStatuses(keeper: Kept, clock: Clock): RowStatus[] {
  const keys = new Set([...keeper.delta.wanted.keys(), ...keeper.delta.todo.keys()]);
  return [...keys].map((key) => rowStatus(keeper, clock, key));
}

export function rowStatus(keeper: Kept, clock: Clock, key: string): RowStatus {
  const { delta, queue } = keeper;
  const row = delta.wanted.get(key);
  const head = { target: keeper.name, key, why: row?.why ?? keeper.whyRemoved(key) };
  const action = delta.todo.get(key);
  if (!action) return { ...head, state: 'done' };
  const failure = queue.failed.get(key);
  if (failure) {
    const nextTry = clock.wall() + (failure.due - clock.monotonic());
    return { ...head, state: 'failed', message: failure.message, attempts: failure.attempts, nextTry };
  }
  const need = queue.waiting.get(key);
  if (need) return { ...head, state: 'waiting', message: `waits for ${nameOf(need)}` };
  const last = queue.last(key);
  if (last) return { ...head, state: 'failed', message: last.message, attempts: last.attempts };
  if (action === 'remove') {
    return keeper.hold === undefined
      ? { ...head, state: 'removing' }
      : { ...head, state: 'held', message: keeper.hold };
  }
  return { ...head, state: 'pending' };
}

export const nameOf = (row: RowRef): string => `${row.target} ${row.key}`;

function* firstOf(count: number, ...lists: Iterable<string>[]): Iterable<string> {
  let left = count;
  for (const list of lists) {
    for (const key of list) {
      if (left-- <= 0) return;
      yield key;
    }
  }
}
