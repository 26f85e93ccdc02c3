import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Clock } from '../model/clock.ts';
import { socketAddon } from '../targets/linux/netlink/addon.ts';

const MADV_DONTNEED = 4;

/**
 * Milliseconds after everything was tried for the first time. The first plan of a large cluster leaves twice as much garbage as it leaves rows,
 * and V8 keeps the emptied pages for a load that does not come again (5,000 nodes: 213 MB resident instead of 135). The second time is for
 * what was read meanwhile and no planner waits for: all pods.
 */
const AFTER_MS = [300, 30_000];

/** Gives back to the kernel what starting up took and running does not need. Each time stops the agent: 20 ms in a small cluster, 0.25 s at 5,000 nodes. */
export function giveBackMemory(converged: Promise<void>, clock: Clock): void {
  void converged.then(() => {
    for (const ms of AFTER_MS)
      clock.after(ms, () => {
        collect();
        dropProgramText();
      });
  });
}

/** A collection as if memory ran out: the only kind after which V8 keeps no empty pages. */
function collect(): void {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as (options: object) => void;
  setFlagsFromString('--no-expose-gc');
  gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}

/**
 * Of the 47 MB of Node.js' own code and constants that starting touches, running needs a quarter. They are pages of files: dropping them costs nothing,
 * and what is needed again is mapped again from the page cache, a microsecond for sixteen pages.
 */
function dropProgramText(): void {
  const addon = socketAddon();
  for (const { start, end } of untouchedFilePages(readFileSync('/proc/self/smaps', 'utf8')))
    addon.madvise(start, end - start, MADV_DONTNEED);
}

/**
 * Mappings that hold nothing but a file's bytes: not writable, and no page of them is our own copy (`Anonymous`: relocated constants are).
 * Only these come back from the file as they were.
 */
export function untouchedFilePages(smaps: string): { start: number; end: number }[] {
  const found: { start: number; end: number }[] = [];
  for (const [, start = '', end = '', counters = ''] of smaps.matchAll(MAPPING)) {
    if (!/^Anonymous: +0 kB$/m.test(counters)) continue;
    found.push({ start: Number.parseInt(start, 16), end: Number.parseInt(end, 16) });
  }
  return found;
}

/** proc_pid_smaps(5): a line with the range and the file of a private mapping that is not writable, then its counters. */
const MAPPING = /^([0-9a-f]+)-([0-9a-f]+) r-[x-]p \S+ \S+ \S+ +\/.*\n((?:\w+:.*\n)*)/gm;
