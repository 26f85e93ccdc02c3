import type { Node } from '../../model/cluster/node.ts';
import { type Family, familyOf, type Ip } from '../../model/net/ip.ts';
import { contains, prefixOf } from '../nodes/prefix.ts';
import type { Self } from './underlay.ts';

/** An address of another node's underlay link, with the prefix that its link holds to be on-link, when that node told us. */
export interface PeerAddress {
  readonly ip: Ip;
  readonly prefix: string | undefined;
}

/**
 * Addresses of a family by which another node is reached, best first: InternalIPs that its underlay link has, other addresses of
 * that link, other InternalIPs. A node that has told nothing is reached by its InternalIPs.
 */
export function peerAddresses(peer: Node, family: Family): readonly PeerAddress[] {
  // Asked some ten times a peer; Node objects never change.
  let known = ADDRESSES.get(peer);
  if (!known) {
    known = { ipv4: readAddresses(peer, 'ipv4'), ipv6: readAddresses(peer, 'ipv6') };
    ADDRESSES.set(peer, known);
  }
  return known[family];
}

const ADDRESSES = new WeakMap<Node, Readonly<Record<Family, readonly PeerAddress[]>>>();

function readAddresses(peer: Node, family: Family): readonly PeerAddress[] {
  const told: PeerAddress[] = [];
  for (const text of peer.facts?.underlay ?? []) {
    const parsed = parse(text);
    if (parsed && familyOf(parsed.ip) === family) told.push(parsed);
  }
  const internal = peer.addresses.filter((address) => familyOf(address) === family);
  const both = internal.flatMap((ip) => told.filter((address) => address.ip === ip));
  const onlyTold = told.filter((address) => !internal.includes(address.ip));
  const onlyInternal = internal
    .filter((ip) => !told.some((address) => address.ip === ip))
    .map((ip) => ({ ip, prefix: undefined }));
  return [...both, ...onlyTold, ...onlyInternal];
}

export function peerAddress(peer: Node, family: Family): Ip | undefined {
  return peerAddresses(peer, family)[0]?.ip;
}

/** The peer's address of this family that is on-link at both ends, or the reason why there is none. */
export function onLink(self: Self, peer: Node, family: Family): { ip: Ip } | { refused: string } {
  const own = self.underlay[family];
  const addresses = peerAddresses(peer, family);
  if (!own) return { refused: `this node has no ${familyName(family)} underlay` };
  if (addresses.length === 0) return { refused: `${peer.name} has no ${familyName(family)} address` };
  const mine = addresses.filter((address) => contains(own.prefix, address.ip));
  // Without its facts the peer's own prefix is not known, and ours has to do.
  const both = mine.find((address) => address.prefix === undefined || contains(address.prefix, own.address));
  if (both) return { ip: both.ip };
  const ip = mine[0]?.ip ?? addresses[0]?.ip;
  return mine.length > 0
    ? {
        refused: `${own.address} is outside ${mine[0]?.prefix}, the prefix that ${peer.name} has on its link`,
      }
    : { refused: `${ip} is outside ${own.prefix} of ${own.dev}` };
}

/** The MTU that both underlay links carry. */
export function pathMtu(mtu: number, peer: Node): number {
  const theirs = peer.facts?.mtu;
  return theirs === undefined || theirs < 576 ? mtu : Math.min(mtu, theirs);
}

export const familyName = (family: Family): string => (family === 'ipv4' ? 'IPv4' : 'IPv6');

/** `address/length` of another agent's annotation, which may hold anything. */
function parse(text: string): PeerAddress | undefined {
  try {
    return { ip: prefixOf(text).address, prefix: text };
  } catch {
    return undefined;
  }
}
