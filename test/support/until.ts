import { Deadline } from '../../src/lab/deadline.ts';

/** Waits until something is true, letting input and output happen; fails after `ms` of a calm machine with the words of `what`. */
export async function until(what: string, condition: () => boolean, ms = 10_000): Promise<void> {
  const deadline = new Deadline(ms);
  while (!condition()) {
    if (deadline.passed) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
