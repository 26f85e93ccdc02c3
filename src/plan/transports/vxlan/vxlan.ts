import type { Node } from '../../../model/cluster/node.ts';
import { type Cidr, hostCidr, type IpPrefix, nthAddress, splitPrefix } from '../../../model/net/cidr.ts';
import { type Family, familyOf, type Ip } from '../../../model/net/ip.ts';
import type { Problem } from '../../../model/problem.ts';
import { addressKey } from '../../../model/rows/address.ts';
import { fdbKey } from '../../../model/rows/fdb.ts';
import { LINK_ALIAS, linkKey } from '../../../model/rows/link.ts';
import { neighborKey } from '../../../model/rows/neighbor.ts';
import { type NexthopBody, nexthopId, nexthopKey } from '../../../model/rows/nexthop.ts';
import { MAIN_TABLE, routeKey } from '../../../model/rows/route.ts';
import type { Row, RowOf, RowRef } from '../../../model/rows/row.ts';
import { sysctlKey } from '../../../model/rows/sysctl.ts';
import { nodeLinkLocal, nodeMac } from '../../nodes/identity.ts';
import { familyName, pathMtu, peerAddress } from '../peer.ts';
import type { Choice, Device, PeerPlan, Transport } from '../transport.ts';
import { LEAST_MTU, type Self, underlayFamilies } from '../underlay.ts';
import { carrierText, deviceName, parseCarrier, type VxlanCarrier } from './carrier.ts';
import { senderElements, senderRows } from './senders.ts';

/**
 * Outer IPv4 (20) or IPv6 (40) header, UDP (8), VXLAN (8), inner Ethernet (14); RFC 7348 section 5. One device a node, static
 * neighbours and forwarding entries, link-local next hops for both families. See README.md.
 */
export const vxlan: Transport = {
  name: 'vxlan',
  auto: true,
  receivesAlways: false,
  overhead: (underlay) => (underlay === 'ipv4' ? 50 : 70),
  enabled(self) {
    const [family] = underlayFamilies(self);
    return family === undefined ? [] : [carrierText({ family, ...self.config.vxlan })];
  },
  choose(self, peer): Choice {
    const usable = underlayFamilies(self);
    const family = usable.find((candidate) => peerAddress(peer, candidate) !== undefined);
    if (family === undefined) {
      const ours = usable.map(familyName).join(' and ') || 'no';
      return {
        refused: `${peer.name} and this node have no address family in common (ours: ${ours} underlay)`,
      };
    }
    const carrier = carrierText({ family, ...self.config.vxlan });
    const refused = vxlan.refuses(carrier, self, peer);
    if (refused !== undefined) return { refused };
    return {
      carrier,
      because: `${peer.name} has the ${familyName(family)} address ${peerAddress(peer, family)}`,
    };
  },
  refuses(carrier, self, peer) {
    const parsed = parseCarrier(carrier);
    if (!parsed) return `${carrier} is not known`;
    if (self.missing.vxlan !== undefined) return self.missing.vxlan;
    if (!self.underlay[parsed.family]) return `this node has no ${familyName(parsed.family)} underlay`;
    if (peerAddress(peer, parsed.family) === undefined)
      return `${peer.name} has no ${familyName(parsed.family)} address`;
    return undefined;
  },
  gaps: () => undefined,
  // The device has this IPv4 address, and no global IPv6 one: there the kernel takes what resembles the destination most, the pods' gateway.
  nodeSource({ podCidrs }, family) {
    const range = podCidrs.find((prefix) => familyOf(prefix) === family);
    return range && nthAddress(range, family === 'ipv4' ? 0 : 1);
  },
  guard: senderRows,
  admit: senderElements,
  device(carrier, self) {
    const parsed = parseCarrier(carrier);
    return parsed && self.missing.vxlan === undefined ? device(parsed, self) : undefined;
  },
  peer(carrier, self, peer, prefixes): PeerPlan {
    const parsed = parseCarrier(carrier);
    const dst = parsed && peerAddress(peer, parsed.family);
    if (!parsed || dst === undefined) return { rows: [], problems: [] };
    return { rows: peerRows(parsed, self, peer, dst, prefixes), problems: [] };
  },
};

function device(carrier: VxlanCarrier, self: Self): Device | undefined {
  const underlay = self.underlay[carrier.family];
  if (!underlay) return undefined;
  const name = deviceName(carrier);
  const link: RowRef = { target: 'link', key: linkKey(name) };
  const what = `pods of other nodes through vxlan ${carrier.vni} on ${underlay.dev}`;
  const rows: Row[] = [
    {
      target: 'link',
      key: link.key,
      why: what,
      body: {
        name,
        mtu: deviceMtu(underlay.mtu, carrier.family),
        mac: nodeMac(self.name),
        up: true,
        alias: `${LINK_ALIAS}: pod traffic over ${familyName(carrier.family)} UDP port ${carrier.port}`,
        type: {
          kind: 'vxlan',
          vni: carrier.vni,
          port: carrier.port,
          local: underlay.address,
          underlay: underlay.dev,
        },
      },
    },
    ...looseReversePath(name, link),
    ...looseReversePath(underlay.dev),
  ];
  const ready = [link];
  const ipv4 = ownIpv4(self);
  if (ipv4 !== undefined) {
    const key = addressKey(name, ipv4);
    const why = `the kernel's loose reverse path filter needs an IPv4 address on ${name}`;
    rows.push({ target: 'address', key, why, body: { dev: name, address: ipv4 }, needs: [link] });
    ready.push({ target: 'address', key });
  }
  if (self.missing.ipv6 !== undefined) return { rows, ready };
  if (!carriesIpv6(carrier, self)) return { rows, ready, problems: tooSmallForIpv6(name, carrier, self) };
  const enabled = sysctlKey(`net/ipv6/conf/${name}/disable_ipv6`);
  const address = `${nodeLinkLocal(self.name)}/64` as IpPrefix;
  rows.push(
    {
      target: 'sysctl',
      key: enabled,
      why: `next hops on ${name} are IPv6 link-local addresses, for pods of both families`,
      body: { path: enabled, value: '0' },
      needs: [link],
    },
    {
      target: 'address',
      key: addressKey(name, address),
      why: `next hop towards this node on ${name}`,
      body: { dev: name, address },
      needs: [link, { target: 'sysctl', key: enabled }],
    },
  );
  return { rows, ready: [...ready, { target: 'address', key: addressKey(name, address) }] };
}

/**
 * The kernel has no IPv6 on a link below 1280 bytes, and a vxlan device cannot be larger than its underlay allows. IPv4 pods go on
 * with IPv4 next hops.
 */
function carriesIpv6(carrier: VxlanCarrier, self: Self): boolean {
  if (self.missing.ipv6 !== undefined) return false;
  return deviceMtu(self.underlay[carrier.family]?.mtu ?? 0, carrier.family) >= LEAST_MTU.ipv6;
}

function tooSmallForIpv6(name: string, { family }: VxlanCarrier, self: Self): Problem[] {
  const underlay = self.underlay[family];
  if (!underlay || !self.podCidrs.some((prefix) => familyOf(prefix) === 'ipv6')) return [];
  const mtu = `MTU ${deviceMtu(underlay.mtu, family)} over ${underlay.dev} with ${underlay.mtu}`;
  const message = `has ${mtu}, and IPv6 needs ${LEAST_MTU.ipv6}: IPv6 pods are not reached through it`;
  const hint = `raise the MTU of ${underlay.dev} to ${LEAST_MTU.ipv6 + vxlan.overhead(family)} or more`;
  return [{ object: `link ${name}`, message, hint }];
}

/**
 * The network address of this node's IPv4 pod range, as a single address of the device. On a device without any IPv4 address the
 * kernel takes rp_filter 2 for 1 (net/ipv4/fib_frontend.c, `no_addr`): what does not route back through it is dropped, which is every packet of
 * a changeover and every answer of a node to another node's pod. It is also what our own packets to those pods get as source.
 */
function ownIpv4(self: Self): IpPrefix | undefined {
  const range = self.podCidrs.find((prefix) => familyOf(prefix) === 'ipv4');
  return range && (hostCidr(splitPrefix(range).address) as string as IpPrefix);
}

/**
 * While two nodes change over, one sends by the link and the other by the tunnel. A strict reverse path filter would drop all of
 * it; the larger of `conf/all` and the device's own value counts (kernel, ip-sysctl: rp_filter), so 2 makes it loose.
 */
function looseReversePath(dev: string, link?: RowRef): Row[] {
  const path = sysctlKey(`net/ipv4/conf/${dev}/rp_filter`);
  const row = {
    target: 'sysctl',
    key: path,
    why: `a peer may answer by another transport than the one we send by, so ${dev} must not filter by reverse path`,
    body: { path, value: '2' },
  } as const;
  return [link ? { ...row, needs: [link] } : row];
}

function peerRows(carrier: VxlanCarrier, self: Self, peer: Node, dst: Ip, prefixes: readonly Cidr[]): Row[] {
  const dev = deviceName(carrier);
  const link: RowRef = { target: 'link', key: linkKey(dev) };
  const mac = nodeMac(peer.name);
  const withV6 = carriesIpv6(carrier, self);
  const carried = prefixes.filter((prefix) => withV6 || familyOf(prefix) === 'ipv4');
  const [first] = carried;
  if (first === undefined) return [];
  // Without IPv6 there are no link-local next hops; the network address of the peer's pods serves as one, on this device only.
  const hop = withV6 ? nodeLinkLocal(peer.name) : splitPrefix(first).address;
  const neighbor = neighborKey(dev, hop);
  const fdb = fdbKey(dev, mac);
  const needs: RowRef[] = [
    { target: 'neighbor', key: neighbor },
    { target: 'fdb', key: fdb },
  ];
  const why = `Node ${peer.name} through vxlan to ${dst}`;
  const mtu = narrowed(carrier.family, self, peer);
  const rows: Row[] = [
    { target: 'neighbor', key: neighbor, why, body: { dev, ip: hop, mac }, needs: [link] },
    { target: 'fdb', key: fdb, why, body: { dev, mac, dst }, needs: [link] },
  ];
  for (const prefix of carried) {
    const gateway = { dev, via: hop, onlink: true };
    const nexthop = nexthopRow(self, peer, prefix, gateway, needs);
    if (nexthop) rows.push(nexthop);
    rows.push({
      target: 'route',
      key: routeKey(prefix),
      why: `Node ${peer.name} ${prefix} through vxlan to ${dst}`,
      body: {
        dst: prefix,
        table: MAIN_TABLE,
        type: 'unicast',
        nextHops: [{ ...gateway, weight: 1, ...(nexthop ? { id: nexthop.body.id } : {}) }],
        source: undefined,
        mtu,
      },
      needs: nexthop ? [{ target: 'nexthop', key: nexthop.key }] : needs,
    });
  }
  return rows;
}

/**
 * The kernel finds equal next hops of IPv4 routes in a table that does not count the gateway (net/ipv4/fib_semantics.c,
 * `fib_info_hashfn_1`): all peers of one device would stand in one bucket, to be searched at each change. A nexthop object counts by its id.
 * IPv6 routes have no such table.
 */
function nexthopRow(
  self: Self,
  peer: Node,
  prefix: Cidr,
  gateway: Omit<NexthopBody, 'id'>,
  needs: readonly RowRef[],
): RowOf<'nexthop'> | undefined {
  if (familyOf(prefix) !== 'ipv4' || self.missing.nexthop !== undefined) return undefined;
  const id = nexthopId(prefix);
  const why = `the way to Node ${peer.name} that the route of ${prefix} names`;
  return { target: 'nexthop', key: nexthopKey(id), why, body: { id, ...gateway }, needs };
}

const deviceMtu = (underlay: number, family: Family): number => underlay - vxlan.overhead(family);

/** The path's MTU when the peer's underlay is smaller than ours, for the route; the device's own MTU else. */
function narrowed(family: Family, self: Self, peer: Node): number | undefined {
  const own = self.underlay[family]?.mtu ?? 0;
  const path = pathMtu(own, peer);
  return path < own ? deviceMtu(path, family) : undefined;
}
