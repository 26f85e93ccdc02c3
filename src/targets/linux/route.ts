/**
 * Target `route`: ours = protocol 201, in every table. A prefix that somebody else's route holds is left to it and reported;
 * a change of our own route is one atomic replace, also between a next hop and the id of a nexthop object. Metric and TOS are always the default, because they are part of the kernel's key.
 */
import { FairleadError } from '../../model/errors.ts';
import { type Cidr, splitPrefix } from '../../model/net/cidr.ts';
import { FAMILIES, type Family, familyOf, type Ip } from '../../model/net/ip.ts';
import { type NextHop, ROUTE_PROTOCOL, type RouteBody, routeKey } from '../../model/rows/route.ts';
import type { Change, Outcome, Target } from '../../reconcile/target.ts';
import type { BatchPlan } from './batch.ts';
import { watchDrift } from './drift.ts';
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from './netlink/constants.ts';
import {
  RTM_DELNEXTHOP,
  RTNLGRP_IPV4_ROUTE,
  RTNLGRP_IPV6_ROUTE,
  RTNLGRP_LINK,
  RTNLGRP_NEXTHOP,
} from './netlink/rtnetlink/constants.ts';
import { readNexthop } from './netlink/rtnetlink/nexthop.ts';
import {
  deleteRoute,
  dumpRoutes,
  type KernelRoute,
  newRoute,
  type RouteSpec,
  RT_SCOPE_LINK,
  RTM_F_CLONED,
  RTNH_F_ONLINK,
  readRoute,
  type WireHop,
} from './netlink/rtnetlink/route.ts';
import type { NetlinkTransport } from './netlink/transport.ts';
import { indexesInUse, namesOf } from './own-links.ts';
import { applyToPlaces, type Holder } from './places.ts';
import { routeHolders } from './route-holders.ts';

/** What the kernel gives a route that asks for no metric (IP6_RT_PRIO_USER). */
const DEFAULT_METRIC: Readonly<Record<Family, number>> = { ipv4: 0, ipv6: 1024 };

/** A route of our protocol as found; what we never make is kept so that it can be told apart and removed. */
interface FoundRoute extends RouteBody {
  readonly metric?: number;
  readonly tos?: number;
  readonly altered?: true;
}

/** The link of a route by id where net.ipv4.nexthop_compat_mode is 0: then the id is all that the kernel tells. */
const UNTOLD = '';

export function routeTarget(nl: NetlinkTransport): Target<RouteBody> {
  /** Links that our routes use: only their events can take a route away. 0 = the kernel does not tell of some, so any link may be meant. */
  const used = new Set<number>();
  return {
    name: 'route',
    stage: 3,
    same,
    observe: () => observe(nl, used),
    apply: (batch) => apply(nl, batch, used),
    watch: (onDrift) =>
      watchDrift(
        {
          nl,
          groups: [RTNLGRP_LINK, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_NEXTHOP],
          linkMatters: (link) => used.has(link.index) || used.has(0),
          keyOf(message) {
            const route = readRoute(message);
            return route && isOurs(route) ? keyOf(route) : undefined;
          },
          // With a nexthop go the routes that use it, and nobody says so.
          shakes: (message) =>
            message.type === RTM_DELNEXTHOP && readNexthop(message)?.protocol === ROUTE_PROTOCOL,
        },
        onDrift,
      ),
  };
}

const isOurs = (route: KernelRoute) =>
  route.protocol === ROUTE_PROTOCOL && (route.flags & RTM_F_CLONED) === 0;

function keyOf(route: KernelRoute): string {
  const key = routeKey(`${route.dst}/${route.length}`, route.table);
  const stray = strayOf(route);
  return stray ? `${key} metric ${route.metric} tos ${route.tos}` : key;
}

/** A route of our protocol beside the place where ours stands. */
function strayOf(route: KernelRoute): { metric: number; tos: number } | undefined {
  const { metric, tos } = route;
  return metric === DEFAULT_METRIC[route.family] && tos === 0 ? undefined : { metric, tos };
}

async function observe(nl: NetlinkTransport, used: Set<number>): Promise<ReadonlyMap<string, FoundRoute>> {
  const routes: KernelRoute[] = [];
  for (const family of FAMILIES) {
    const found = await nl.dump(dumpRoutes(family, { protocol: ROUTE_PROTOCOL }), readRoute);
    for (const route of found) if (route.family === family && isOurs(route)) routes.push(route);
  }
  used.clear();
  for (const route of routes) for (const hop of route.hops) used.add(hop.index);
  const names = await namesOf(nl, used);
  return new Map(routes.map((route) => [keyOf(route), bodyOf(route, names)]));
}

function bodyOf(route: KernelRoute, names: ReadonlyMap<number, string>): FoundRoute {
  const dropping = route.type === 'blackhole' || route.type === 'unreachable' || route.type === 'prohibit';
  const type = dropping ? route.type : 'unicast';
  const altered = route.special || (!dropping && route.type !== 'unicast');
  return {
    dst: `${route.dst}/${route.length}` as Cidr,
    table: route.table,
    type,
    // IPv6 shows the loopback link as the next hop of routes that drop.
    nextHops: dropping ? [] : route.hops.map((hop) => nextHopOf(hop, names)),
    source: route.source as Ip | undefined,
    mtu: route.mtu,
    ...strayOf(route),
    ...(altered ? { altered: true as const } : {}),
  };
}

function nextHopOf(hop: WireHop, names: ReadonlyMap<number, string>): NextHop {
  return {
    dev: hop.index === 0 ? UNTOLD : (names.get(hop.index) ?? `#${hop.index}`),
    via: hop.via as Ip | undefined,
    onlink: (hop.flags & RTNH_F_ONLINK) !== 0,
    weight: hop.weight,
    ...(hop.id === undefined ? {} : { id: hop.id }),
  };
}

function same(wanted: RouteBody, found: FoundRoute): boolean {
  return (
    found.altered === undefined &&
    wanted.type === found.type &&
    wanted.source === found.source &&
    wanted.mtu === found.mtu &&
    sameHops(wanted.nextHops, found.nextHops)
  );
}

/** The order of next hops means nothing, nor does the weight of an only one. */
function sameHops(wanted: readonly NextHop[], found: readonly NextHop[]): boolean {
  if (wanted.length !== found.length) return false;
  if (wanted.length === 1) {
    if (wanted[0]?.id !== found[0]?.id) return false;
    return found[0]?.dev === UNTOLD || hopText(wanted[0], false) === hopText(found[0], false);
  }
  const a = wanted.map((hop) => hopText(hop, true)).sort();
  const b = found.map((hop) => hopText(hop, true)).sort();
  return a.every((text, i) => text === b[i]);
}

function hopText(hop: NextHop | undefined, weighted: boolean): string {
  return hop === undefined ? '' : `${hop.dev} ${hop.via} ${hop.onlink} ${weighted ? hop.weight : ''}`;
}

async function apply(
  nl: NetlinkTransport,
  batch: readonly Change<RouteBody>[],
  used: Set<number>,
): Promise<readonly Outcome[]> {
  const devs = batch.flatMap(({ wanted }) => wanted?.nextHops.map((hop) => hop.dev) ?? []);
  const indexOf = await indexesInUse(nl, devs, used);
  const plan: BatchPlan<RouteBody> = {
    title: (change) => `route ${change.key}`,
    gone: ['ESRCH', 'ENODEV'],
    encode({ wanted, found }) {
      if (wanted) {
        const flags = NLM_F_CREATE | (found === undefined ? NLM_F_EXCL : NLM_F_REPLACE);
        return [newRoute(specOf(wanted, indexOf), flags)];
      }
      return found === undefined ? [] : [deleteRoute(placeOf(found))];
    },
  };
  return applyToPlaces(nl, batch, plan, () => holdersOf(nl));
}

async function holdersOf(nl: NetlinkTransport): Promise<(key: string, wanted: RouteBody) => Holder> {
  const holderOf = await routeHolders(nl, DEFAULT_METRIC);
  return (key, { dst, table }) => {
    const holder = holderOf(dst, table);
    if (!holder) return undefined;
    if (holder.route.protocol === ROUTE_PROTOCOL) return 'ours';
    const message = `route ${key}: the prefix is held by another's route: ${holder.words}`;
    return new FairleadError('foreign-route', message, { hint: 'remove that route, or give the prefix up' });
  };
}

function specOf(body: RouteBody, indexOf: (dev: string) => number): RouteSpec {
  const { address, length, family } = splitPrefix(body.dst);
  if (body.nextHops.length === 0 && body.type === 'unicast') {
    throw new FairleadError('bad-route', `route ${body.dst} has no next hop`);
  }
  const hops = body.nextHops.map((hop) => wireHop(hop, indexOf));
  // IPv4: a route without gateway reaches what is on the link, and the kernel refuses gateways that only a wider scope covers.
  const direct = body.type === 'unicast' && hops.every((hop) => hop.via === undefined);
  return {
    family,
    dst: address,
    length,
    tos: 0,
    table: body.table,
    protocol: ROUTE_PROTOCOL,
    scope: direct && family === 'ipv4' ? RT_SCOPE_LINK : 0,
    type: body.type,
    metric: 0,
    source: body.source,
    mtu: body.mtu,
    hops,
  };
}

function wireHop({ dev, via, onlink, weight, id }: NextHop, indexOf: (dev: string) => number): WireHop {
  if (id !== undefined) return { index: 0, flags: 0, weight, via, id };
  return { index: indexOf(dev), flags: onlink ? RTNH_F_ONLINK : 0, weight, via };
}

function placeOf(found: FoundRoute) {
  const { address, length } = splitPrefix(found.dst);
  const family = familyOf(address);
  return {
    family,
    dst: address,
    length,
    tos: found.tos ?? 0,
    table: found.table,
    protocol: ROUTE_PROTOCOL,
    metric: found.metric ?? DEFAULT_METRIC[family],
  };
}
