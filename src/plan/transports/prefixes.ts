import type { Node } from '../../model/cluster/node.ts';
import type { Cidr } from '../../model/net/cidr.ts';
import { FAMILIES } from '../../model/net/ip.ts';
import type { Problem } from '../../model/problem.ts';
import { cidrConflict, identityConflict } from '../nodes/claims.ts';
import type { NodeIndex } from '../nodes/node-index.ts';
import { overlaps } from '../nodes/prefix.ts';
import { peerAddress } from './peer.ts';
import type { Self } from './underlay.ts';

/** Which pod CIDRs of another node this node sends there, and what is wrong with the others. */
export function carriedPrefixes(
  self: Self,
  index: NodeIndex,
  peer: Node,
): { prefixes: Cidr[]; problems: Problem[] } {
  if (peer.name === self.name) return { prefixes: [], problems: [] };
  const problems: Problem[] = [];
  const refused = wholeNode(self, index, peer);
  if (refused) return { prefixes: [], problems: [refused] };
  const prefixes = peer.podCidrs.filter((cidr) => {
    const problem =
      ours(self, index, peer, cidr) ?? cidrConflict(index, peer, cidr) ?? cutsUnderlay(self, peer, cidr);
    if (problem) problems.push(problem);
    return !problem;
  });
  return { prefixes, problems };
}

function wholeNode(self: Self, index: NodeIndex, peer: Node): Problem | undefined {
  const object = `Node ${peer.name}`;
  const ipv4 = peerAddress(peer, 'ipv4');
  const ipv6 = peerAddress(peer, 'ipv6');
  if (ipv4 === undefined && ipv6 === undefined) {
    return {
      object,
      message: 'has no InternalIP in status.addresses, so its pods cannot be reached',
      hint: 'its kubelet or cloud controller has to set it',
    };
  }
  if (peer.podCidrs.length === 0) {
    return {
      object,
      message: 'has no pod CIDR (spec.podCIDRs), so its pods cannot be reached',
      hint: 'run the controller-manager with --allocate-node-cidrs=true and a large enough --cluster-cidr',
    };
  }
  const same = self.addresses.find((address) => address === ipv4 || address === ipv6);
  if (same !== undefined) {
    return {
      object,
      message: `has ${same}, which is this node's own address; nothing is sent to ${peer.name}`,
      hint: 'delete the Node object that is left over, or correct its InternalIP',
    };
  }
  return identityConflict(index, peer);
}

/** A route for our own pods to somewhere else would cut them off, whoever is right. */
function ours(self: Self, index: NodeIndex, peer: Node, cidr: Cidr): Problem | undefined {
  if (index.cidrs.alone(cidr)) return undefined;
  const own = self.podCidrs.find((mine) => overlaps(mine, cidr));
  if (own === undefined) return undefined;
  return {
    object: `Node ${peer.name}`,
    message: `its pod CIDR ${cidr} overlaps ${own} of this node ${self.name}; this node keeps its own`,
    hint: 'delete and re-create one of the two Nodes so that it gets another pod CIDR',
  };
}

function cutsUnderlay(self: Self, peer: Node, cidr: Cidr): Problem | undefined {
  for (const family of FAMILIES) {
    const underlay = self.underlay[family];
    if (!underlay || !overlaps(underlay.prefix, cidr)) continue;
    return {
      object: `Node ${peer.name}`,
      message: `its pod CIDR ${cidr} overlaps ${underlay.prefix} of ${underlay.dev}; a route for it would cut off the underlay`,
      hint: 'pod CIDRs and node networks must not overlap: change the cluster CIDR',
    };
  }
  return undefined;
}
