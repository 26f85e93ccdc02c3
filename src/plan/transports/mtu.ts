import { familyOf } from '../../model/net/ip.ts';
import type { Problem } from '../../model/problem.ts';
import { familyName } from './peer.ts';
import { enabledTransports } from './registry.ts';
import { LEAST_MTU, type Self, underlayFamilies, underlayMtu } from './underlay.ts';

/**
 * MTU of pods on this node: the setting, or the smallest that all enabled transports carry over our underlay, so that `auto`
 * may choose any of them for any peer. A narrower path to single peers is told by the route (PMTU, MSS clamp).
 */
export function podMtu(self: Self): number {
  return self.config.podMtu ?? largestPodMtu(self);
}

function largestPodMtu(self: Self): number {
  const [family = 'ipv4'] = underlayFamilies(self);
  const overheads = enabledTransports(self.config).map((transport) => transport.overhead(family));
  return underlayMtu(self) - Math.max(0, ...overheads);
}

export function mtuProblems(self: Self): Problem[] {
  const problems: Problem[] = [];
  const largest = largestPodMtu(self);
  const mtu = podMtu(self);
  const family = self.podCidrs.some((cidr) => familyOf(cidr) === 'ipv6') ? 'ipv6' : 'ipv4';
  const least = LEAST_MTU[family];
  if (mtu < least) {
    problems.push({
      object: self.config.podMtu === undefined ? `Node ${self.name}` : 'setting podMtu',
      message: `pods would have an MTU of ${mtu}, and ${familyName(family)} needs ${least}`,
      hint: `raise the MTU of the underlay link (${underlayMtu(self)} now)`,
    });
  }
  if (mtu > largest) {
    problems.push({
      object: 'setting podMtu',
      message: `${mtu} is more than the ${largest} that the enabled transports carry over an underlay of ${underlayMtu(self)}`,
      hint: `set podMtu to ${largest} or less, or leave it out`,
    });
  }
  return problems;
}
