/** What rules of several rooms say of the UDP tunnel between nodes, and of who may send to it. */
import { FAMILIES, type Family } from '../../model/net/ip.ts';
import { addressType, type NftRule, nftSetKey } from '../../model/rows/nft.ts';
import type { RowOf } from '../../model/rows/row.ts';
import { dport, iifname, saddr } from './field.ts';
import { inSet, is, isNot, notInSet } from './match.ts';
import { has, type Part, rule } from './rule.ts';
import { counter, drop } from './statement.ts';

/** Addresses of all other nodes; the transport that owns the tunnel fills it. */
export const tunnelNodes = (family: Family): string =>
  family === 'ipv4' ? 'vxlan-nodes-v4' : 'vxlan-nodes-v6';

/** Equal for all who look into them, so that they share the rows. */
export function tunnelNodeSets(): RowOf<'nft'>[] {
  return FAMILIES.map((family) => {
    const name = tunnelNodes(family);
    const comment = 'addresses of all nodes: they send to the tunnel';
    return {
      target: 'nft',
      key: nftSetKey(name),
      why: comment,
      body: { kind: 'set', name, key: [addressType(family)], interval: false, comment },
    };
  });
}

/** One end of the tunnel: what comes to that port of this node, in that family, is unpacked. */
export interface TunnelEnd {
  readonly family: Family;
  readonly port: number;
}

/** The port first: all other packets go on after that one comparison. */
export const toTunnel = ({ port }: TunnelEnd): Part[] => [is(dport('th'), `${port}`), has('udp')];

/** What a node of the cluster sends there. `pods`: names of the links by which pods' packets come, which can forge a node's address. */
export function fromNodes(end: TunnelEnd, pods: readonly string[]): Part[] {
  const notFromPods = pods.map((name) => isNot(iifname, name));
  return [...toTunnel(end), ...notFromPods, inSet(saddr(end.family), tunnelNodes(end.family))];
}

/** Drops all else. A node's packets ask only what they must: that it is UDP is asked of strangers. */
export function strangers({ family, port }: TunnelEnd, pods: readonly string[]): NftRule[] {
  const arrived = is(dport('th'), `${port}`);
  return [
    rule(
      [arrived, notInSet(saddr(family), tunnelNodes(family)), has('udp'), counter, drop],
      'only nodes of the cluster may send to the tunnel',
    ),
    ...pods.map((name) =>
      rule([arrived, is(iifname, name), has('udp'), counter, drop], 'no pod may, in whatever name'),
    ),
  ];
}
