import { FAMILIES, type Family, familyOf } from '../../model/net/ip.ts';
import { addressType, type NftRule, type NftSet, nftSetKey } from '../../model/rows/nft.ts';
import type { RowOf } from '../../model/rows/row.ts';
import { daddr, saddr } from '../nft/field.ts';
import { inSet, is, prefixInSet } from '../nft/match.ts';
import { rule } from '../nft/rule.ts';
import { goBack, jump, masquerade } from '../nft/statement.ts';
import type { Self } from '../transports/underlay.ts';
import { chainRow, excludeSet, FROM_PODS_CHAIN, MASQUERADE_CHAIN, nodeIpSet, podCidrSet } from './names.ts';

/** nft's `srcnat` (linux/netfilter_ipv4.h: NF_IP_PRI_NAT_SRC). */
const SRCNAT = 100;

/** Never to be sent out under a node's address: nobody could answer. */
const MULTICAST: Readonly<Record<Family, readonly string[]>> = {
  ipv4: ['224.0.0.0/4', '255.255.255.255'],
  ipv6: ['ff00::/8', 'fe80::/10'],
};

/**
 * Lengths of the pod CIDRs of all nodes: one, in most clusters. Each has a hash set of network addresses. One set of ranges would do for
 * all, but the kernel goes over all its ranges at each change: 1.3 ms at 10,000 of them, against 0.05 ms.
 */
export type PodLengths = (family: Family) => readonly number[];

/** Families of this node's pods: only these leave it. */
export function podFamilies(self: Self): readonly Family[] {
  return FAMILIES.filter((family) => self.podCidrs.some((cidr) => familyOf(cidr) === family));
}

/**
 * Two chains: the first sorts out packets of this node's pods and lets all others pass at once; the second lets those go that
 * keep their source and masquerades the rest.
 */
export function masqueradeChains(self: Self, podLengths: PodLengths): RowOf<'nft'>[] {
  const entry = self.podCidrs.map((cidr) =>
    rule([is(saddr(familyOf(cidr)), cidr), jump(MASQUERADE_CHAIN)], `from pods of ${self.name}`),
  );
  const rules = podFamilies(self).flatMap((family) => exemptions(family, podLengths(family)));
  return [
    chainRow('pods reach the outside under the address of their node', {
      kind: 'chain',
      name: MASQUERADE_CHAIN,
      hook: undefined,
      rules: [...rules, rule([masquerade('fully-random')], 'to the outside')],
    }),
    chainRow('pods reach the outside under the address of their node', {
      kind: 'chain',
      name: FROM_PODS_CHAIN,
      hook: { type: 'nat', hook: 'postrouting', priority: SRCNAT, policy: 'accept' },
      rules: entry,
    }),
  ];
}

function exemptions(family: Family, lengths: readonly number[]): NftRule[] {
  const destination = daddr(family);
  return [
    ...lengths.map((length) =>
      rule(
        [prefixInSet(destination, length, podCidrSet(family, length)), goBack],
        'pod to pod keeps its source',
      ),
    ),
    rule([inSet(destination, nodeIpSet(family)), goBack], 'pod to node keeps its source'),
    rule([inSet(destination, excludeSet(family)), goBack], 'setting masquerade.exclude'),
    ...MULTICAST[family].map((prefix) => rule([is(destination, prefix), goBack], 'stays on the link')),
  ];
}

export function masqueradeSets(self: Self, podLengths: PodLengths): RowOf<'nft'>[] {
  return podFamilies(self).flatMap((family) => {
    const key = [addressType(family)];
    const sets: NftSet[] = [
      ...podLengths(family).map((length) => ({
        kind: 'set' as const,
        name: podCidrSet(family, length),
        key,
        interval: false,
        comment: `pods of all nodes: prefixes of length ${length}`,
      })),
      { kind: 'set', name: nodeIpSet(family), key, interval: false, comment: 'addresses of all nodes' },
      {
        kind: 'set',
        name: excludeSet(family),
        key,
        interval: true,
        comment: 'setting masquerade.exclude',
      },
    ];
    return sets.map((body) => ({
      target: 'nft',
      key: nftSetKey(body.name),
      body,
      why: `${body.comment}: not masqueraded towards`,
    }));
  });
}
