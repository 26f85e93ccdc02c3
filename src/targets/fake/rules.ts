import { contains, networkOf, splitPrefix } from '../../model/net/cidr.ts';
import type { AddressBody } from '../../model/rows/address.ts';
import type { FdbBody } from '../../model/rows/fdb.ts';
import type { LinkBody } from '../../model/rows/link.ts';
import type { NeighborBody } from '../../model/rows/neighbor.ts';
import { type NexthopBody, nexthopKey } from '../../model/rows/nexthop.ts';
import { type NftBody, nftChainKey, nftSetKey } from '../../model/rows/nft.ts';
import type { NextHop, RouteBody } from '../../model/rows/route.ts';
import type { RowBodies, TargetName } from '../../model/rows/row.ts';
import type { SysctlBody } from '../../model/rows/sysctl.ts';

/** What a rule may look at. */
export interface View {
  /** Whether a link is there and up; `undefined` when it is not there. */
  linkUp(name: string): boolean | undefined;
  isVxlan(name: string): boolean;
  /** Addresses with prefix length on a link, or on all links. */
  addresses(dev?: string): Iterable<string>;
  has(target: TargetName, key: string): boolean;
  /** The Kubernetes API answers. */
  readonly api: boolean;
  readonly diskFull: boolean;
}

/** Why the kernel would refuse this body, in its words; `undefined` = it takes it. */
export function refusal(target: TargetName, body: unknown, view: View): string | undefined {
  const rule = RULES[target] as ((body: unknown, view: View) => string | undefined) | undefined;
  return rule?.(body, view);
}

const RULES: { [T in TargetName]?: (body: RowBodies[T], view: View) => string | undefined } = {
  link: (body: LinkBody, view) =>
    view.linkUp(body.type.underlay) === undefined ? `ENODEV: no device ${body.type.underlay}` : undefined,
  address: (body: AddressBody, view) => device(body.dev, view),
  neighbor: (body: NeighborBody, view) => device(body.dev, view),
  fdb: (body: FdbBody, view) =>
    device(body.dev, view) ??
    (view.isVxlan(body.dev) ? undefined : `EOPNOTSUPP: ${body.dev} is no vxlan device`),
  nexthop: (body: NexthopBody, view) => nextHopRefusal(body, view),
  route: (body: RouteBody, view) => routeRefusal(body, view),
  sysctl: (body: SysctlBody, view) => {
    const dev = /^net\/ipv[46]\/(?:conf|neigh)\/([^/]+)\//.exec(body.path)?.[1];
    if (dev === undefined || dev === 'all' || dev === 'default' || view.linkUp(dev) !== undefined)
      return undefined;
    return `ENOENT: /proc/sys/${body.path}`;
  },
  nft: (body: NftBody, view) => nftRefusal('nft', body, view),
  'nft-bridge': (body: NftBody, view) => nftRefusal('nft-bridge', body, view),
  file: (_, view) => (view.diskFull ? 'ENOSPC: no space left on device' : undefined),
  'node-status': (_, view) => (view.api ? undefined : 'ECONNREFUSED: API server'),
};

function device(dev: string, view: View): string | undefined {
  return view.linkUp(dev) === undefined ? `ENODEV: no device ${dev}` : undefined;
}

function routeRefusal(body: RouteBody, view: View): string | undefined {
  for (const hop of body.nextHops) {
    const why = hop.id === undefined ? nextHopRefusal(hop, view) : idRefusal(hop.id, view);
    if (why !== undefined) return why;
  }
  if (body.source === undefined) return undefined;
  const source = body.source;
  const known = [...view.addresses()].some((address) => address.startsWith(`${source}/`));
  return known ? undefined : `EINVAL: Invalid prefsrc address ${source}`;
}

function idRefusal(id: number, view: View): string | undefined {
  return view.has('nexthop', nexthopKey(id)) ? undefined : 'EINVAL: Nexthop id does not exist';
}

function nextHopRefusal({ dev, via, onlink }: Omit<NextHop, 'weight'>, view: View): string | undefined {
  const up = view.linkUp(dev);
  if (up === undefined) return `ENODEV: no device ${dev}`;
  if (!up) return `ENETDOWN: ${dev} is down`;
  if (via === undefined || onlink) return undefined;
  for (const address of view.addresses(dev)) {
    const { address: ip, length } = splitPrefix(address);
    if (contains(networkOf(ip, length), via)) return undefined;
  }
  return `ENETUNREACH: Nexthop ${via} has invalid gateway`;
}

function nftRefusal(table: 'nft' | 'nft-bridge', body: NftBody, view: View): string | undefined {
  if (body.kind === 'element' && !view.has(table, nftSetKey(body.set))) return `ENOENT: no set ${body.set}`;
  for (const { chain, set } of references(body)) {
    if (chain !== undefined && !view.has(table, nftChainKey(chain))) return `ENOENT: no chain ${chain}`;
    if (set !== undefined && !view.has(table, nftSetKey(set))) return `ENOENT: no set ${set}`;
  }
  return undefined;
}

/** Chains and sets that a chain's rules or a map's element name. */
function* references(value: unknown): Iterable<{ chain?: string; set?: string }> {
  if (typeof value !== 'object' || value === null) return;
  if ('verdict' in value && 'chain' in value && typeof value.chain === 'string') yield { chain: value.chain };
  if ('expr' in value && 'set' in value && typeof value.set === 'string') yield { set: value.set };
  for (const inner of Object.values(value)) yield* references(inner);
}
