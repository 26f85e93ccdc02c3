import { splitPrefix } from '../net/cidr.ts';
import { type Ip, ipBytes } from '../net/ip.ts';

/** A nexthop object (`ip nexthop`, kernel 5.3): a gateway that routes name by its id. Ours = `ROUTE_PROTOCOL`. */
export interface NexthopBody {
  /** 1 to 2^32 - 1, one space for all programs of the machine. */
  readonly id: number;
  readonly dev: string;
  readonly via: Ip;
  /** The gateway is taken to be on the link although no address says so. */
  readonly onlink: boolean;
}

export const nexthopKey = (id: number): string => String(id);

/**
 * The id of the nexthop that an IPv4 prefix is reached by: its network address as a number. Prefixes that are carried never overlap, so
 * neither do their network addresses. It is never 0, by which the kernel would choose an id itself: 0.0.0.0/0 holds every node's
 * address and is refused, and 0.0.0.0/8 is no destination (RFC 1122, 3.2.1.3).
 */
export function nexthopId(prefix: string): number {
  const [a = 0, b = 0, c = 0, d = 0] = ipBytes(splitPrefix(prefix).address);
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}
