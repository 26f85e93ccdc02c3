/** Small helpers of the benches. */
import { spawnSync } from 'node:child_process';
import { setImmediate, setTimeout } from 'node:timers/promises';

/** Runs `ip` once for each argument line; returns what it printed. Errors are left to what the caller checks next. */
export function ip(...lines: readonly string[]): string {
  return lines.map((line) => spawnSync('ip', line.split(' '), { encoding: 'utf8' }).stdout).join('');
}

/** Waits until `done` is true, looking every `pause` milliseconds (0: at every turn of the event loop). Throws after `deadline` milliseconds. */
export async function until(what: string, done: () => boolean, deadline: number, pause = 5): Promise<void> {
  const end = performance.now() + deadline;
  while (!done()) {
    if (performance.now() > end) throw new Error(`no ${what} within ${deadline} ms`);
    await (pause === 0 ? setImmediate() : setTimeout(pause));
  }
}
