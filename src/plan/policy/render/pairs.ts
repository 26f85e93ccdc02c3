/** Sources of what pods send over pairs of links of their own, where no bridge is in between that could look at them. See ../README.md. */
import { iifname } from '../../nft/field.ts';
import { is, unroutedBack } from '../../nft/match.ts';
import { rule } from '../../nft/rule.ts';
import { counter, drop } from '../../nft/statement.ts';
import { PAIRS } from '../../nodes/pod-links.ts';
import type { Closing } from './base.ts';
import { chainRow, type NftRow } from './rows.ts';

/** nft's `raw` (NF_IP_PRI_RAW): before connection tracking, which would take a forged packet for one of somebody else's connection. */
const RAW = -300;
const PAIRS_CHAIN = 'pairs-of-pods';

/**
 * The kernel has a route to each address of a pod over its pair, and to none else: what it would not send back there does not come from there. So this holds for
 * pods of whatever time, without a word from anybody. The setting `rp_filter` would do the same for IPv4 only, and be overruled by `conf/all`.
 */
export function pairRows({ unknownPods, pods }: Closing): NftRow[] {
  if (!pods.pairs || unknownPods === 'open') return [];
  const hook = { type: 'filter', hook: 'prerouting', priority: RAW, policy: 'accept' } as const;
  const forged = rule([is(iifname, PAIRS), unroutedBack, counter, drop], "not its pod's address");
  return [chainRow('pods send under their own addresses', PAIRS_CHAIN, [forged], { hook })];
}
