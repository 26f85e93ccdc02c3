/** Whose route holds a prefix, in words for an error. */
import type { Family } from '../../model/net/ip.ts';
import { FAMILIES } from '../../model/net/ip.ts';
import { routeKey } from '../../model/rows/route.ts';
import { dumpRoutes, type KernelRoute, readRoute } from './netlink/rtnetlink/route.ts';
import type { NetlinkTransport } from './netlink/transport.ts';
import { namesOf } from './own-links.ts';

/** rtm_protocol numbers as `ip route` shows them (linux/rtnetlink.h RTPROT_…, /etc/iproute2/rt_protos). */
const PROTOCOLS: Readonly<Record<number, string>> = {
  1: 'redirect',
  2: 'kernel',
  3: 'boot',
  4: 'static',
  9: 'ra',
  11: 'zebra',
  12: 'bird',
  16: 'dhcp',
  17: 'mrouted',
  18: 'keepalived',
  42: 'babel',
  186: 'bgp',
  187: 'isis',
  188: 'ospf',
  189: 'rip',
  192: 'eigrp',
};

export const protocolName = (protocol: number): string => PROTOCOLS[protocol] ?? String(protocol);

export interface RouteHolder {
  readonly route: KernelRoute;
  /** `proto static via 192.0.2.9 dev eth0`. */
  readonly words: string;
}

/** Dumps all routes once and answers by prefix and table, looking only at routes of the default metric. */
export async function routeHolders(
  nl: NetlinkTransport,
  metric: Readonly<Record<Family, number>>,
): Promise<(dst: string, table: number) => RouteHolder | undefined> {
  const holders = new Map<string, KernelRoute>();
  for (const family of FAMILIES) {
    for (const route of await nl.dump(dumpRoutes(family), readRoute)) {
      if (route.family !== family || route.metric !== metric[family] || route.tos !== 0) continue;
      holders.set(routeKey(`${route.dst}/${route.length}`, route.table), route);
    }
  }
  const names = await namesOf(
    nl,
    [...holders.values()].flatMap((route) => route.hops.map((hop) => hop.index)),
  );
  return (dst, table) => {
    const route = holders.get(routeKey(dst, table));
    return route && { route, words: wordsOf(route, names) };
  };
}

function wordsOf(route: KernelRoute, names: ReadonlyMap<number, string>): string {
  const hops = route.hops.map(
    (hop) =>
      `${hop.id === undefined ? '' : ` nhid ${hop.id}`}${hop.via === undefined ? '' : ` via ${hop.via}`} dev ${names.get(hop.index)}`,
  );
  const type = route.type === 'unicast' ? '' : `${route.type} `;
  return `${type}proto ${protocolName(route.protocol)}${hops.join(',')}`;
}
