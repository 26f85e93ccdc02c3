/**
 * Lowers the MSS of connections of our pods to what the routes of both directions carry; never raises it. The chain is jumped to from FORWARD: from the
 * base chain of policy where there is one, so that packets do not pay for another, else from one of its own (../egress).
 */
import type { Cidr } from '../../model/net/cidr.ts';
import { familyOf } from '../../model/net/ip.ts';
import { type NftRule, nftChainKey } from '../../model/rows/nft.ts';
import type { RowOf } from '../../model/rows/row.ts';
import { daddr, saddr } from './field.ts';
import { is, opensTcp } from './match.ts';
import { rule } from './rule.ts';
import { clampMss, jump } from './statement.ts';

export const CLAMP_PODS_CHAIN = 'clamp-mss-of-pods';

export function clampPodsChain(podCidrs: readonly Cidr[]): RowOf<'nft'> {
  const rules = podCidrs.flatMap((cidr) =>
    ([saddr, daddr] as const).map((end) => rule([is(end(familyOf(cidr)), cidr), clampMss])),
  );
  return {
    target: 'nft',
    key: nftChainKey(CLAMP_PODS_CHAIN),
    // Whoever jumps here must not wait for a kernel that cannot do it.
    body: { kind: 'chain', name: CLAMP_PODS_CHAIN, hook: undefined, rules, ifRefused: { rules: [] } },
    why: 'TCP fits the narrowest link of its path',
  };
}

/** All packets but the first of a connection get past it for the price of one comparison. */
export const TO_CLAMP: NftRule = rule([opensTcp, jump(CLAMP_PODS_CHAIN)], 'SYN without RST: the MSS is told');
