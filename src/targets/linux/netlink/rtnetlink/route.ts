/** Routes (rtnetlink(7) RTM_*ROUTE) and the kernel's own lookup, `ip route get`. */
import { type Family, familyOf } from '../../../../model/net/ip.ts';
import {
  afterHeader,
  attributes,
  type Codec,
  encode,
  ip,
  type NetlinkMessage,
  nested,
  u16,
  u32,
  type Values,
} from '../attributes.ts';
import { AF_INET, AF_INET6, NLM_F_DUMP, NLM_F_REPLACE, NLM_F_REQUEST } from '../constants.ts';
import { NetlinkError, type NetlinkTransport } from '../transport.ts';
import { BadNetlink, type Writer } from '../writer.ts';
import { RTM_DELROUTE, RTM_GETROUTE, RTM_NEWROUTE } from './constants.ts';

const RTMSG = 12;
const RTNEXTHOP = 8;
export const RTM_F_CLONED = 0x200;
const RTM_F_LOOKUP_TABLE = 0x1000;
export const RTNH_F_ONLINK = 0x4;
export const RT_SCOPE_LINK = 253;
/** In a deletion: any scope. */
const RT_SCOPE_NOWHERE = 255;

/** rtm_type. */
const ROUTE_TYPES = {
  unicast: 1,
  local: 2,
  broadcast: 3,
  anycast: 4,
  multicast: 5,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
  throw: 9,
} as const;
export type RouteType = keyof typeof ROUTE_TYPES;
const TYPE_NAMES: readonly (RouteType | undefined)[] = Object.entries(ROUTE_TYPES).reduce<RouteType[]>(
  (names, [name, n]) => {
    names[n] = name as RouteType;
    return names;
  },
  [],
);

/** A gateway of the other family (RTA_VIA, `struct rtvia`): u16 family, address. */
const via: Codec<string> = {
  write(out, value) {
    out.u16(familyOf(value) === 'ipv4' ? AF_INET : AF_INET6);
    ip.write(out, value, {});
  },
  read(bytes, start, end, siblings) {
    if (end - start < 2) throw new BadNetlink('RTA_VIA is cut short');
    return ip.read(bytes, start + 2, end, siblings);
  },
};

const HOP = { oif: [4, u32], gateway: [5, ip], via: [18, via] } as const;
const HOP_ATTRIBUTES = attributes({ ...HOP, encap: [21, u16] });

export interface WireHop {
  readonly index: number;
  readonly flags: number;
  readonly weight: number;
  readonly via: string | undefined;
  readonly encapsulated?: boolean;
  /** The nexthop object that the route names instead. The kernel tells its link and gateway beside it (net.ipv4.nexthop_compat_mode), else `index` is 0. */
  readonly id?: number;
  /** When written: the route's, so that a gateway of the other family becomes RTA_VIA. */
  readonly family?: Family;
}

/** RTA_MULTIPATH: `struct rtnexthop` (u16 length, u8 flags, u8 weight - 1, i32 link) with attributes, one after the other. */
const hops: Codec<readonly WireHop[]> = {
  write(out, values) {
    for (const hop of values) {
      // Its length includes its own header and is written where an attribute has its length: the same place, the same meaning.
      const start = out.beginAttribute(hop.flags | ((hop.weight - 1) << 8));
      out.u32(hop.index);
      if (hop.via !== undefined) HOP_ATTRIBUTES.write(out, gatewayOf(hop.via, hop.family), {});
      out.endAttribute(start);
    }
  },
  read(bytes, start, end) {
    const result: WireHop[] = [];
    for (let at = start; at + RTNEXTHOP <= end; ) {
      const size = bytes.readUInt16LE(at);
      if (size < RTNEXTHOP || size > end - at)
        throw new BadNetlink(`a next hop of ${size} bytes does not fit`);
      const values = HOP_ATTRIBUTES.read(bytes, at + RTNEXTHOP, at + size, {});
      result.push({
        index: bytes.readInt32LE(at + 4),
        flags: bytes.readUInt8(at + 2),
        weight: bytes.readUInt8(at + 3) + 1,
        via: values.gateway ?? values.via,
        encapsulated: values.encap !== undefined,
      });
      at += (size + 3) & ~3;
    }
    return result;
  },
};

const METRICS = attributes({ lock: [1, u32], mtu: [2, u32] });

const ROUTE = attributes({
  dst: [1, ip],
  src: [2, ip],
  iif: [3, u32],
  ...HOP,
  priority: [6, u32],
  source: [7, ip],
  metrics: [8, nested(METRICS)],
  multipath: [9, hops],
  table: [15, u32],
  mark: [16, u32],
  encap: [21, u16],
  nexthopId: [30, u32],
});
type WireRoute = Values<typeof ROUTE>;

/** A route as the kernel has it. */
export interface KernelRoute {
  readonly family: Family;
  /** Address of the prefix; the unspecified address for a default route. */
  readonly dst: string;
  readonly length: number;
  readonly tos: number;
  readonly table: number;
  readonly protocol: number;
  readonly scope: number;
  readonly type: RouteType | undefined;
  /** `rtm_flags`: RTM_F_CLONED and the only next hop's RTNH_F_…. */
  readonly flags: number;
  readonly metric: number;
  readonly source: string | undefined;
  readonly mtu: number | undefined;
  readonly hops: readonly WireHop[];
  /** It uses something that we never ask for: encapsulation, a locked metric. */
  readonly special: boolean;
}

export type RouteSpec = Omit<KernelRoute, 'flags' | 'special' | 'type'> & { readonly type: RouteType };

/** RTA_VIA where the gateway is of the other family. */
function gatewayOf(gateway: string, family: Family | undefined): { gateway?: string; via?: string } {
  return family === undefined || familyOf(gateway) === family ? { gateway } : { via: gateway };
}

function rtmsg(out: Writer, route: { family: Family; length: number } & Partial<RtmFields>): void {
  out.u8(route.family === 'ipv4' ? AF_INET : AF_INET6);
  out.u8(route.length);
  out.u8(route.sourceLength ?? 0);
  out.u8(route.tos ?? 0);
  out.u8(0); // table: RTA_TABLE has room for all
  out.u8(route.protocol ?? 0);
  out.u8(route.scope ?? 0);
  out.u8(route.type ?? 0);
  out.u32(route.flags ?? 0);
}

interface RtmFields {
  readonly sourceLength: number;
  readonly tos: number;
  readonly protocol: number;
  readonly scope: number;
  readonly type: number;
  readonly flags: number;
}

/** `flags`: NLM_F_CREATE with NLM_F_EXCL or NLM_F_REPLACE. */
export function newRoute(route: RouteSpec, flags: number): Buffer {
  return encode(
    RTM_NEWROUTE,
    NLM_F_REQUEST | flags,
    (out) =>
      rtmsg(out, {
        ...route,
        type: ROUTE_TYPES[route.type],
        flags: route.hops.length === 1 ? (route.hops[0]?.flags ?? 0) : 0,
      }),
    ROUTE,
    wire(route, (flags & NLM_F_REPLACE) !== 0),
  );
}

/** Removes a route of this prefix, table, protocol and (when not 0) metric, whatever its next hops. */
export function deleteRoute(
  route: Pick<KernelRoute, 'family' | 'dst' | 'length' | 'tos' | 'table' | 'protocol' | 'metric'>,
): Buffer {
  const head = (out: Writer) =>
    rtmsg(out, {
      family: route.family,
      length: route.length,
      tos: route.tos,
      protocol: route.protocol,
      scope: RT_SCOPE_NOWHERE,
    });
  return encode(RTM_DELROUTE, NLM_F_REQUEST, head, ROUTE, {
    dst: route.length === 0 ? undefined : route.dst,
    table: route.table,
    priority: route.metric === 0 ? undefined : route.metric,
  });
}

function wire(route: RouteSpec, replaces: boolean): WireRoute {
  const only = route.hops.length === 1 ? route.hops[0] : undefined;
  // An IPv4 replacement by the same id that says nothing of metrics is given those of the route before it
  // (net/ipv4/fib_semantics.c, fib_find_info_nh): empty ones say none.
  const bare = replaces && only?.id !== undefined ? {} : undefined;
  return {
    dst: route.length === 0 ? undefined : route.dst,
    ...(only === undefined ? {} : wayOf(only, route.family)),
    priority: route.metric === 0 ? undefined : route.metric,
    source: route.source,
    metrics: route.mtu === undefined ? bare : { mtu: route.mtu },
    multipath:
      route.hops.length > 1 ? route.hops.map((hop) => ({ ...hop, family: route.family })) : undefined,
    table: route.table,
  };
}

/** An id, or a link and a gateway: the kernel takes no more than one of the two. */
function wayOf(hop: WireHop, family: Family): WireRoute {
  if (hop.id !== undefined) return { nexthopId: hop.id };
  return { oif: hop.index, ...(hop.via === undefined ? {} : gatewayOf(hop.via, family)) };
}

export interface RouteFilter {
  readonly protocol?: number;
  readonly table?: number;
}

/** Asks for the routes of one family that pass the filter (kernels before 4.20 filter nothing: look again). */
export function dumpRoutes(family: Family, filter: RouteFilter = {}): Buffer {
  const head = (out: Writer) => rtmsg(out, { family, length: 0, protocol: filter.protocol ?? 0 });
  return encode(RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP, head, ROUTE, { table: filter.table });
}

/** Reads RTM_NEWROUTE and RTM_DELROUTE of IPv4 and IPv6; `undefined` for all else. */
export function readRoute(message: NetlinkMessage): KernelRoute | undefined {
  if (message.type !== RTM_NEWROUTE && message.type !== RTM_DELROUTE) return undefined;
  const from = afterHeader(message, RTMSG);
  const { bytes, start, end } = message;
  const af = bytes.readUInt8(start);
  if (af !== AF_INET && af !== AF_INET6) return undefined;
  const family: Family = af === AF_INET ? 'ipv4' : 'ipv6';
  const flags = bytes.readUInt32LE(start + 8);
  const values = ROUTE.read(bytes, from, end, {});
  const length = bytes.readUInt8(start + 1);
  return {
    family,
    dst: values.dst ?? (family === 'ipv4' ? '0.0.0.0' : '::'),
    length,
    tos: bytes.readUInt8(start + 3),
    table: values.table ?? bytes.readUInt8(start + 4),
    protocol: bytes.readUInt8(start + 5),
    scope: bytes.readUInt8(start + 6),
    type: TYPE_NAMES[bytes.readUInt8(start + 7)],
    flags,
    metric: values.priority ?? 0,
    source: values.source,
    mtu: values.metrics?.mtu,
    hops: hopsOf(values, flags),
    special:
      values.encap !== undefined ||
      (values.metrics?.lock ?? 0) !== 0 ||
      values.multipath?.some((hop) => hop.encapsulated) === true,
  };
}

function hopsOf(values: WireRoute, flags: number): readonly WireHop[] {
  const hops = values.multipath ?? onlyHop(values, flags);
  if (values.nexthopId === undefined) return hops;
  return [{ index: 0, flags: 0, via: undefined, ...hops[0], weight: 1, id: values.nexthopId }];
}

function onlyHop(values: WireRoute, flags: number): readonly WireHop[] {
  if (values.oif === undefined) return [];
  return [{ index: values.oif, flags: flags & 0xff, weight: 1, via: values.gateway ?? values.via }];
}

/** What a packet looks like to the routing decision. */
export interface LookupQuery {
  readonly to: string;
  readonly from?: string;
  /** Link by which it came; absent = sent by this machine. */
  readonly inputIndex?: number;
  readonly mark?: number;
}

/**
 * The kernel's answer to "where would this packet go" (`ip route get`). Throws `NetlinkError` when it would be dropped: ENETUNREACH,
 * EHOSTUNREACH, EACCES (prohibit), EINVAL (blackhole).
 */
export async function lookUpRoute(nl: NetlinkTransport, query: LookupQuery): Promise<KernelRoute> {
  const family = familyOf(query.to);
  const bits = family === 'ipv4' ? 32 : 128;
  const head = (out: Writer) =>
    rtmsg(out, {
      family,
      length: bits,
      sourceLength: query.from === undefined ? 0 : bits,
      // IPv6 always says which table answered, and refuses the flag.
      flags: family === 'ipv4' ? RTM_F_LOOKUP_TABLE : 0,
    });
  const message = encode(RTM_GETROUTE, NLM_F_REQUEST, head, ROUTE, {
    dst: query.to,
    src: query.from,
    iif: query.inputIndex,
    mark: query.mark,
  });
  const [route] = await nl.request(message, readRoute);
  if (!route) throw new NetlinkError(2, 'the kernel answered no route');
  return route;
}
