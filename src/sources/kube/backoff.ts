import type { Random } from '../../model/clock.ts';

/** Bounds of the wait between tries, milliseconds. */
export interface BackoffBounds {
  readonly first: number;
  readonly longest: number;
}

/**
 * Wait before the next try: doubles with each failure in a row (1 = the first), and lies at random between half of that and all of it,
 * so that the nodes of a cluster do not come back in step. Never shorter than the server asked for (`retryAfter`, up to a minute).
 */
export function backoff(
  failures: number,
  bounds: BackoffBounds,
  random: Random,
  retryAfter: number | undefined = undefined,
): number {
  const full = Math.min(bounds.longest, bounds.first * 2 ** Math.min(30, Math.max(0, failures - 1)));
  const jittered = full / 2 + (full / 2) * random();
  const asked = Math.min(60_000, retryAfter ?? 0);
  return asked > jittered ? asked + (full / 2) * random() : jittered;
}
