import type { DriftRecord } from '../model/api.ts';
import { describe } from '../model/errors.ts';
import type { Problem } from '../model/problem.ts';
import type { TargetName } from '../model/rows/row.ts';
import type { Decision } from '../reconcile/board.ts';

/** Where lines go. The composition root gives the program's logger. */
export type LogLine = (level: 'info' | 'warn', message: string, fields: Record<string, unknown>) => void;

/** More rows than this in one call become one line. */
const ONE_BY_ONE = 10;

const DONE = { add: 'added', change: 'changed', remove: 'removed' } as const;
const WISH = { add: 'add', change: 'change', remove: 'remove' } as const;

/** One line a decision, as long as somebody could read them. */
export function logDecisions(log: LogLine, target: TargetName, decisions: readonly Decision[]): void {
  const done = decisions.filter((decision) => decision.error === undefined);
  const failed = decisions.filter((decision) => decision.error !== undefined);
  if (done.length > ONE_BY_ONE) {
    log('info', `${target}: ${summary(done)}`, { target, ...counts(done) });
  } else {
    for (const { action, key, why, latency } of done) {
      log('info', `${DONE[action]} ${target} ${key}: ${why}`, {
        target,
        key,
        action,
        why,
        ms: round(latency),
      });
    }
  }
  for (const { action, key, why, error } of failed.slice(0, ONE_BY_ONE)) {
    log('warn', `could not ${WISH[action]} ${target} ${key}: ${error} (${why})`, {
      target,
      key,
      action,
      why,
      error,
    });
  }
  if (failed.length > ONE_BY_ONE) {
    log('warn', `${target}: ${failed.length - ONE_BY_ONE} more rows failed`, {
      target,
      failed: failed.length,
    });
  }
}

export function logTorn(log: LogLine, target: TargetName, error: unknown, rows: number): void {
  const text = `${target}: a call with ${rows} row(s) broke off: ${describe(error)}; reading what was done`;
  log('warn', text, { target, rows, error: describe(error) });
}

export function logDrift(log: LogLine, { target, key, kind }: DriftRecord): void {
  const text = {
    missing: 'was removed by somebody else',
    altered: 'was changed by somebody else',
    foreign: 'bears our mark but is not ours',
  }[kind];
  log('warn', `${target} ${key} ${text}`, { target, key, drift: kind });
}

/** Problems that came and went. */
export function logProblems(log: LogLine, before: readonly Problem[], after: readonly Problem[]): void {
  if (before.length === 0 && after.length === 0) return;
  const old = new Set(before.map(text));
  const now = new Set(after.map(text));
  for (const problem of after)
    if (!old.has(text(problem))) log('warn', text(problem), { object: problem.object });
  for (const problem of before) {
    if (!now.has(text(problem))) log('info', `no longer: ${text(problem)}`, { object: problem.object });
  }
}

function text({ object, message, hint }: Problem): string {
  return `${object}: ${message}${hint ? ` (${hint})` : ''}`;
}

function counts(decisions: readonly Decision[]): Record<string, number> {
  const result: Record<string, number> = {};
  for (const { action } of decisions) result[DONE[action]] = (result[DONE[action]] ?? 0) + 1;
  return result;
}

function summary(decisions: readonly Decision[]): string {
  const parts = Object.entries(counts(decisions)).map(([what, count]) => `${count} ${what}`);
  return `${parts.join(', ')}, the first for: ${decisions[0]?.why ?? ''}`;
}

const round = (milliseconds: number): number => Math.round(milliseconds * 100) / 100;
