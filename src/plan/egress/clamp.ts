/**
 * Lowers the MSS of connections of our pods to what the routes of both directions carry; never raises it. Each SYN asks the routing tables for it and each packet passes a
 * base chain, so it is there only while a pod of this node may send more than one of this node's links carries. See README.md.
 */
import type { BridgePort, HostLink } from '../../model/cluster/host.ts';
import type { Cidr } from '../../model/net/cidr.ts';
import { familyOf } from '../../model/net/ip.ts';
import type { NftRule } from '../../model/rows/nft.ts';
import type { RowOf } from '../../model/rows/row.ts';
import type { World } from '../../model/world.ts';
import { daddr, saddr } from '../nft/field.ts';
import { is, opensTcp } from '../nft/match.ts';
import { rule } from '../nft/rule.ts';
import { clampMss, jump } from '../nft/statement.ts';
import { linkNames } from '../nodes/pod-links.ts';
import { podMtu } from '../transports/mtu.ts';
import type { Self } from '../transports/underlay.ts';
import { CLAMP_CHAIN, CLAMP_PODS_CHAIN, chainRow } from './names.ts';

/** nft's `mangle` (linux/netfilter_ipv4.h: NF_IP_PRI_MANGLE). */
const MANGLE = -150;

export function clampChains(podCidrs: readonly Cidr[]): RowOf<'nft'>[] {
  const why = 'TCP fits the narrowest link of its path';
  const hook = { type: 'filter', hook: 'forward', priority: MANGLE, policy: 'accept' } as const;
  const rules = podCidrs.flatMap((cidr) =>
    ([saddr, daddr] as const).map((end) => rule([is(end(familyOf(cidr)), cidr), clampMss])),
  );
  return [
    chainRow(why, { kind: 'chain', name: CLAMP_PODS_CHAIN, hook: undefined, rules }),
    chainRow(why, { kind: 'chain', name: CLAMP_CHAIN, hook, rules: [TO_CLAMP] }),
  ];
}

/** All packets but the first of a connection get past it for the price of one comparison. */
const TO_CLAMP: NftRule = rule([opensTcp, jump(CLAMP_PODS_CHAIN)], 'SYN without RST: the MSS is told');

/**
 * Whether a pod of this node, or one that comes now, has a larger MTU than some link of it. Where others make the pods' links, nobody knows, and the
 * answer is yes. Other nodes do not count: what their pods tell and send fits their own links, or they clamp it.
 */
export function podsAreWide(self: Self, { links, ports }: Pick<World, 'links' | 'ports'>): boolean {
  if (!self.config.cni.write) return true;
  let narrowest = Number.POSITIVE_INFINITY;
  for (const { up, mtu } of links.objects.values()) if (up) narrowest = Math.min(narrowest, mtu);
  if (podMtu(self) > narrowest) return true;
  const pods = linkNames(self.pods);
  return (
    some(ports.objects, ({ bridge, mtu }: BridgePort) => mtu > narrowest && pods.includes(bridge)) ||
    some(links.objects, (link: HostLink) => link.mtu > narrowest && isPod(link, pods))
  );
}

/** A pod's own end, as plugin `ptp` makes it: on no bridge. */
function isPod({ kind, name }: HostLink, pods: readonly string[]): boolean {
  return kind === 'veth' && pods.some((text) => text.endsWith('*') && name.startsWith(text.slice(0, -1)));
}

function some<T>(objects: ReadonlyMap<string, T>, test: (object: T) => boolean): boolean {
  for (const object of objects.values()) if (test(object)) return true;
  return false;
}
