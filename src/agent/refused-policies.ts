import type { RowStatus } from '../model/api.ts';
import type { Problem } from '../model/problem.ts';
import { isPolicyRow } from '../plan/policy/render/names.ts';

/** More are one more line. */
const ONE_BY_ONE = 20;
/** The first try again comes within 100 ms: what is over by then is nothing to tell. */
const LEAST_ATTEMPTS = 2;

/** Policies whose rules the kernel refuses, from the failed rows of nft. */
export function refusedPolicies(failed: readonly RowStatus[]): readonly Problem[] {
  const rows = failed.filter(
    ({ key, attempts = 0 }) => attempts >= LEAST_ATTEMPTS && isPolicyRow(key.split(' ')[1] ?? ''),
  );
  const problems = rows.slice(0, ONE_BY_ONE).map(problemOf);
  if (rows.length <= ONE_BY_ONE) return problems;
  const message = `the kernel refuses ${rows.length - ONE_BY_ONE} more rows`;
  return [...problems, { object: 'network policy', message, hint: 'fairlead rows nft shows them all' }];
}

function problemOf({ key, why, message = 'refused' }: RowStatus): Problem {
  const closed = HAS_FALLBACK.test(key) ? '; what it selects is closed meanwhile' : '';
  return {
    object: /^(?:Cluster)?NetworkPolic/.test(why) ? why : `network policy (${why})`,
    message: `the kernel refuses nft ${key}: ${message}${closed}`,
    hint: 'its log (dmesg) tells of missing modules and memory; it is tried again by itself',
  };
}

/** Chains of policies and of those whom they select. See plan/policy/render/refused.ts. */
const HAS_FALLBACK = /^chain (?:policy\/|(?:ingress|egress)-)/;
