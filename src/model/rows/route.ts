import type { Cidr } from '../net/cidr.ts';
import type { Ip } from '../net/ip.ts';

/** rtm_protocol of every route that we make: ours = this number. `ip route show proto 201`. */
export const ROUTE_PROTOCOL = 201;

export const MAIN_TABLE = 254;

/** A route. `via` may be an IPv6 address for an IPv4 prefix (RFC 5549, `via inet6`). */
export interface RouteBody {
  readonly dst: Cidr;
  readonly table: number;
  readonly type: 'unicast' | 'blackhole' | 'unreachable' | 'prohibit';
  /** Empty for the types that drop; several = equal-cost multipath. */
  readonly nextHops: readonly NextHop[];
  /** Preferred source address. */
  readonly source: Ip | undefined;
  /** Path MTU lock for this prefix; absent = the link's. */
  readonly mtu: number | undefined;
}

export interface NextHop {
  readonly dev: string;
  readonly via: Ip | undefined;
  /** The gateway is taken to be on the link although no address says so. */
  readonly onlink: boolean;
  /** 1 to 256. */
  readonly weight: number;
  /** The nexthop object that holds this gateway: the route names only its id. Never one of several. */
  readonly id?: number;
}

export const routeKey = (dst: string, table: number = MAIN_TABLE): string =>
  table === MAIN_TABLE ? dst : `${dst} table ${table}`;
