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
  const { meanwhile = '', needs = [] } = KINDS.find(({ of }) => of.test(key)) ?? {};
  const lacks = needs.length > 0 && UNKNOWN.test(message) ? `this kernel may lack ${needs.join(', ')}; ` : '';
  return {
    object: /^(?:Cluster)?NetworkPolic/.test(why) ? why : `network policy (${why})`,
    message: `the kernel refuses nft ${key}: ${message}${meanwhile && `; ${meanwhile}`}`,
    hint: `${lacks}its log (dmesg) tells of missing modules and memory; it is tried again by itself`,
  };
}

/** What the kernel says of an expression that it does not know. */
const UNKNOWN = /\((?:ENOENT|EOPNOTSUPP|ENOTSUP)\)$/;

interface Kind {
  readonly of: RegExp;
  /** What holds instead. See plan/policy/render/refused.ts. */
  readonly meanwhile: string;
  /** Options of the kernel that rules of these chains need besides nf_tables itself. */
  readonly needs: readonly string[];
}

const KINDS: readonly Kind[] = [
  {
    of: /^chain policy-(?:forward|output|input)-/,
    meanwhile: "answers and the node's own traffic are judged like first packets meanwhile",
    needs: ['CONFIG_NFT_CT', 'CONFIG_NFT_FIB_INET'],
  },
  {
    of: /^chain policy-(?:denied|unknown)-/,
    meanwhile: 'what comes there is dropped without a word meanwhile',
    needs: ['CONFIG_NFT_LOG', 'CONFIG_NFT_LIMIT', 'CONFIG_NFT_REJECT_INET'],
  },
  {
    of: /^chain policy-audit-/,
    meanwhile: 'what comes there passes without a word meanwhile',
    needs: ['CONFIG_NFT_LOG', 'CONFIG_NFT_LIMIT'],
  },
  {
    of: /^chain policy-(?:ingress|egress)$/,
    meanwhile: 'all pods of this node are closed meanwhile',
    needs: [],
  },
  {
    of: /^chain (?:policy\/|(?:ingress|egress)-)/,
    meanwhile: 'what it selects is closed meanwhile',
    needs: [],
  },
];
