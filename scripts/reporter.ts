/**
 * Reporter for node:test: silent about what passed, loud about what failed or was skipped. Counts go as one JSON line each to
 * the file that FAIRLEAD_TEST_COUNTS names, so that the runner can add up tiers.
 */
import { appendFileSync } from 'node:fs';
import type { TestEvent } from 'node:test/reporters';

interface Counts {
  passed: number;
  failed: number;
  skipped: string[];
}

export default async function* reporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const counts: Counts = { passed: 0, failed: 0, skipped: [] };
  for await (const event of source) {
    if (event.type === 'test:pass' || event.type === 'test:fail') yield* verdict(event, counts);
    if ((event.type === 'test:stdout' || event.type === 'test:stderr') && process.env.FAIRLEAD_TEST_VERBOSE)
      yield event.data.message;
  }
  const file = process.env.FAIRLEAD_TEST_COUNTS;
  if (file) appendFileSync(file, `${JSON.stringify(counts)}\n`);
}

type Verdict = Extract<TestEvent, { type: 'test:pass' | 'test:fail' }>;

function* verdict(event: Verdict, counts: Counts): Generator<string> {
  const { data } = event;
  const where = `${data.file?.replace(`${process.cwd()}/`, '') ?? '?'}:${data.line ?? '?'}`;
  if (data.skip !== undefined && data.skip !== false) {
    const reason = typeof data.skip === 'string' ? data.skip : 'no reason given';
    counts.skipped.push(`${data.name}: ${reason}`);
    yield `SKIPPED ${where} ${data.name}: ${reason}\n`;
  } else if (event.type === 'test:fail') {
    const { error } = data.details as { error: Error & { failureType?: string } };
    if (error.failureType === 'subtestsFailed') return;
    counts.failed++;
    yield `FAILED ${where} ${data.name}\n${words(error.cause ?? error.message).replace(/^/gm, '    ')}\n`;
  } else if (data.details.type !== 'suite') {
    counts.passed++;
  }
}

/** An error and what caused it: a property's failure says in its cause what was wrong. */
function words(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const text = error.stack ?? error.message;
  return error.cause === undefined ? text : `${text}\ncaused by ${words(error.cause)}`;
}
