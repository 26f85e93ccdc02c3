/**
 * fast-check for all tests, with a seed that stays the same: what is green on one machine is green on the next. Other cases come from
 * `FAIRLEAD_SEED=random` or `FAIRLEAD_SEED=17`, more of them from `FAIRLEAD_RUNS=10` (ten times as many); `npm run soak` asks for both.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import fc from 'fast-check';

export { fc };

const { FAIRLEAD_SEED = '1', FAIRLEAD_RUNS = '1' } = process.env;

/** Where chance begins in this process; fast-check says it in a failure. */
export const SEED = FAIRLEAD_SEED === 'random' ? randomInt(2 ** 31) : Number(FAIRLEAD_SEED);
assert.ok(Number.isInteger(SEED), `FAIRLEAD_SEED=${FAIRLEAD_SEED} is neither "random" nor an integer`);

const times = Number(FAIRLEAD_RUNS);
assert.ok(times > 0, `FAIRLEAD_RUNS=${FAIRLEAD_RUNS} is not a number above 0`);

/** How many cases to try where usually so many are tried. */
export function runs(usually: number): number {
  return Math.ceil(usually * times);
}

fc.configureGlobal({ seed: SEED, numRuns: runs(100) });
