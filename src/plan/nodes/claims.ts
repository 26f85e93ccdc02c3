import type { Node } from '../../model/cluster/node.ts';
import type { Problem } from '../../model/problem.ts';
import { type NodeIndex, precedes } from './node-index.ts';

/**
 * Who may have what two Nodes claim. The precedence: the older Node (creationTimestamp), then the first by name; every node
 * of the cluster decides alike, whatever it heard first. Only claims that overlap directly are compared, so a verdict depends on
 * those Nodes alone.
 */
export function cidrConflict(index: NodeIndex, node: Node, prefix: string): Problem | undefined {
  const rival = index.cidrs.alone(prefix) ? undefined : bestRival(index, node, prefix);
  if (rival) {
    const what = rival.prefix === prefix ? prefix : `${prefix}, which overlaps ${rival.prefix},`;
    return {
      object: `Node ${node.name}`,
      message: `its pod CIDR ${what} belongs to Node ${rival.owner.name}, which is older; nothing is sent to ${node.name} for it`,
      hint: 'delete and re-create one of the two Nodes so that it gets another pod CIDR',
    };
  }
  for (const host of index.addresses.inside(prefix)) {
    const [owner] = [...index.addresses.values(host)].sort();
    return {
      object: `Node ${node.name}`,
      message: `its pod CIDR ${prefix} contains ${host}, the address of Node ${owner}; a route to it would cut that node off`,
      hint: 'pod CIDRs and node addresses must not overlap: change the cluster CIDR',
    };
  }
  return undefined;
}

/** Of the older Nodes with an overlapping claim the one that all others yield to. */
function bestRival(
  index: NodeIndex,
  node: Node,
  prefix: string,
): { owner: Node; prefix: string } | undefined {
  let best: { owner: Node; prefix: string } | undefined;
  for (const other of index.cidrs.overlapping(prefix)) {
    for (const name of index.cidrs.values(other)) {
      const owner = index.get(name);
      if (!owner || name === node.name || !precedes(owner, node)) continue;
      if (!best || precedes(owner, best.owner)) best = { owner, prefix: other };
      else if (owner === best.owner && other < best.prefix) best = { owner, prefix: other };
    }
  }
  return best;
}

/** A Node that has the address (or, by an accident of hashing, the tunnel MAC address) of an older one gets nothing. */
export function identityConflict(index: NodeIndex, node: Node): Problem | undefined {
  for (const address of node.addresses) {
    const owner = older(index, node, index.withAddress(address));
    if (owner === undefined) continue;
    return {
      object: `Node ${node.name}`,
      message: `its address ${address} is also that of Node ${owner}, which is older; nothing is sent to ${node.name}`,
      hint: 'delete the Node object that is left over, or correct its InternalIP',
    };
  }
  const owner = older(index, node, index.withMac(node.name));
  if (owner === undefined) return undefined;
  return {
    object: `Node ${node.name}`,
    message: `its name gives the same tunnel MAC address as that of Node ${owner}, which is older; nothing is sent to ${node.name}`,
    hint: 'give the node another name',
  };
}

function older(index: NodeIndex, node: Node, names: readonly string[]): string | undefined {
  if (names.length < 2 && names.includes(node.name)) return undefined;
  for (const name of [...names].sort()) {
    const other = index.get(name);
    if (other && name !== node.name && precedes(other, node)) return name;
  }
  return undefined;
}
