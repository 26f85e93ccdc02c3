import type { Random } from '../model/clock.ts';

const FIRST_MS = 100;
const LONGEST_MS = 30_000;

/** Milliseconds until the next try after `attempts` failures: doubled each time, up to 30 s, of which a random half. */
export function backoff(attempts: number, random: Random): number {
  const full = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempts - 1, 20));
  return full * (0.5 + random() / 2);
}

/** `ms` give or take a quarter, so that many nodes, or many targets, do not do the same at the same time. */
export function jittered(ms: number, random: Random): number {
  return ms * (0.75 + random() / 2);
}
