/**
 * Who may send to the tunnel. The kernel unpacks whatever arrives at the UDP port, from whomever, and a device's MAC and VNI are no secrets: any pod could put
 * packets with the source of another one past all policies. So only addresses of the cluster's nodes get that far, and those not from pods.
 */
import type { Node } from '../../../model/cluster/node.ts';
import { FAMILIES } from '../../../model/net/ip.ts';
import { type NftChain, nftChainKey, nftElementKey } from '../../../model/rows/nft.ts';
import type { Row } from '../../../model/rows/row.ts';
import { strangers, tunnelNodeSets, tunnelNodes } from '../../nft/tunnel.ts';
import { linkNames } from '../../nodes/pod-links.ts';
import { peerAddresses } from '../peer.ts';
import type { Carrier } from '../transport.ts';
import type { Self } from '../underlay.ts';
import { parseCarrier } from './carrier.ts';

const SENDERS_CHAIN = 'vxlan-from-nodes';

/** In LOCAL_IN before the socket that unpacks, and behind IPVS (NF_IP_PRI_NAT_SRC - 1): it may turn a Service address into this node's and go on. */
const BEHIND_IPVS = 102;

/** The sets, and the chain for the carriers that this node receives by. */
export function senderRows(self: Self, carriers: Iterable<Carrier>): Row[] {
  if (self.missing.nftables !== undefined) return [];
  const ours = [...carriers].map(parseCarrier).filter((carrier) => carrier !== undefined);
  if (ours.length === 0) return tunnelNodeSets();
  const body: NftChain = {
    kind: 'chain',
    name: SENDERS_CHAIN,
    hook: { type: 'filter', hook: 'input', priority: BEHIND_IPVS, policy: 'accept' },
    rules: ours.flatMap((carrier) => strangers(carrier, forgers(self))),
  };
  const why = 'only nodes of the cluster may send to the tunnel';
  return [{ target: 'nft', key: nftChainKey(body.name), why, body }, ...tunnelNodeSets()];
}

/** Without policies nobody is asked: a pod that forges a node's address can forge any pod's as well, and needs no tunnel to be heard. */
const forgers = ({ config, pods }: Self): readonly string[] => (config.policy.enabled ? linkNames(pods) : []);

/** The addresses from which this node may send to us, in whatever way we send to it. */
export function senderElements(self: Self, peer: Node): Row[] {
  if (self.missing.nftables !== undefined || peer.name === self.name) return [];
  return FAMILIES.filter((family) => self.underlay[family] !== undefined).flatMap((family) =>
    [...new Set(peerAddresses(peer, family).map(({ ip }) => ip))].map((ip): Row => {
      const set = tunnelNodes(family);
      // Without a comment, so that two Nodes that claim the same share one element.
      return {
        target: 'nft',
        key: nftElementKey(set, [ip]),
        why: `Node ${peer.name} sends to the tunnel`,
        body: { kind: 'element', set, key: [ip] },
      };
    }),
  );
}
