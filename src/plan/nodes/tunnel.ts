/** What rules of several rooms say of the UDP tunnel between nodes, and of who may send to it. */
import { FAMILIES, type Family } from '../../model/net/ip.ts';
import { addressType, nftSetKey } from '../../model/rows/nft.ts';
import type { RowOf } from '../../model/rows/row.ts';

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
