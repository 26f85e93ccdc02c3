import type { Node } from '../../model/cluster/node.ts';
import { nthAddress } from '../../model/net/cidr.ts';
import type { Ip } from '../../model/net/ip.ts';

const KNOWN = new WeakMap<Node, ReadonlySet<Ip>>();

/**
 * By which a Node is reached, and from which it sends. Besides what the API tells: other addresses of its underlay links; and of each range of its pods the
 * network address, which is the tunnel device's, and the first one, which is its bridge's. No pod ever gets these two; the Node listens there like everywhere.
 * A Node that has told no facts does not run as router of ours, and another network may give them to pods.
 */
export function nodeAddresses(node: Node): ReadonlySet<Ip> {
  let known = KNOWN.get(node);
  if (!known) {
    known = new Set([...node.addresses, ...node.externalAddresses, ...(node.facts ? ownOnly(node) : [])]);
    KNOWN.set(node, known);
  }
  return known;
}

function ownOnly({ facts, podCidrs }: Node): Ip[] {
  const underlay = (facts?.underlay ?? []).map((text) => text.slice(0, text.indexOf('/')) as Ip);
  return [...underlay, ...podCidrs.flatMap((cidr) => [nthAddress(cidr, 0), nthAddress(cidr, 1)])];
}
