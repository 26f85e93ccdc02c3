import { familyOf } from '../../model/net/ip.ts';
import type { Problem } from '../../model/problem.ts';
import { enabledTransports } from './registry.ts';
import { type Self, underlayFamilies, underlayMtu } from './underlay.ts';

/** The smallest MTU that a link with IPv6 may have (RFC 8200 section 5). */
const LEAST_IPV6 = 1280;
/** The smallest that every IPv4 host can take (RFC 791 section 3.1). */
const LEAST_IPV4 = 576;

/**
 * MTU of pods on this node: the setting, or the smallest that all enabled transports carry over our underlay, so that `auto`
 * may choose any of them for any peer. A narrower path to single peers is told by the route (PMTU, MSS clamp).
 */
export function podMtu(self: Self): number {
  return self.config.podMtu ?? largestPodMtu(self);
}

export function largestPodMtu(self: Self): number {
  const [family = 'ipv4'] = underlayFamilies(self);
  const overheads = enabledTransports(self.config).map((transport) => transport.overhead(family));
  return underlayMtu(self) - Math.max(0, ...overheads);
}

export function mtuProblems(self: Self): Problem[] {
  const problems: Problem[] = [];
  const largest = largestPodMtu(self);
  const mtu = podMtu(self);
  const least = self.podCidrs.some((cidr) => familyOf(cidr) === 'ipv6') ? LEAST_IPV6 : LEAST_IPV4;
  if (mtu < least) {
    const family = least === LEAST_IPV6 ? 'IPv6' : 'IPv4';
    problems.push({
      object: self.config.podMtu === undefined ? `Node ${self.name}` : 'setting podMtu',
      message: `pods would have an MTU of ${mtu}, and ${family} needs ${least}`,
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
