/**
 * Who may send to the tunnel. The kernel unpacks whatever arrives at the UDP port, from whomever, and a device's MAC and VNI are no secrets: any
 * pod could put packets with the source of another one past all policies. So only addresses of the cluster's nodes get that far.
 */
import type { Node } from '../../../model/cluster/node.ts';
import { FAMILIES, type Family } from '../../../model/net/ip.ts';
import { nftChainKey, nftElementKey, nftSetKey } from '../../../model/rows/nft.ts';
import type { Row } from '../../../model/rows/row.ts';
import { dport, saddr } from '../../nft/field.ts';
import { is, notInSet } from '../../nft/match.ts';
import { rule } from '../../nft/rule.ts';
import { counter, drop } from '../../nft/statement.ts';
import { peerAddresses } from '../peer.ts';
import type { Carrier } from '../transport.ts';
import type { Self } from '../underlay.ts';
import { parseCarrier } from './carrier.ts';

const SENDERS_CHAIN = 'vxlan-from-nodes';
const senderSet = (family: Family): string => (family === 'ipv4' ? 'vxlan-nodes-v4' : 'vxlan-nodes-v6');

/** nft's `filter` (linux/netfilter_ipv4.h: NF_IP_PRI_FILTER): in LOCAL_IN, before the socket that unpacks. */
const FILTER = 0;

/** The sets, and the chain for the carriers that this node receives by. */
export function senderRows(self: Self, carriers: Iterable<Carrier>): Row[] {
  if (self.missing.nftables !== undefined) return [];
  const why = 'only nodes of the cluster may send to the tunnel';
  const ours = [...carriers].map(parseCarrier).filter((carrier) => carrier !== undefined);
  const rules = ours.map(({ family, port }) =>
    rule([is(dport('udp'), `${port}`), notInSet(saddr(family), senderSet(family)), counter, drop], why),
  );
  const hook = { type: 'filter', hook: 'input', priority: FILTER, policy: 'accept' } as const;
  const body = { kind: 'chain', name: SENDERS_CHAIN, hook, rules } as const;
  return rules.length === 0
    ? sets()
    : [{ target: 'nft', key: nftChainKey(SENDERS_CHAIN), why, body }, ...sets()];
}

function sets(): Row[] {
  return FAMILIES.map((family) => {
    const name = senderSet(family);
    const comment = 'addresses of all nodes: they send to the tunnel';
    const key = [family === 'ipv4' ? 'ipv4_addr' : 'ipv6_addr'] as const;
    return {
      target: 'nft',
      key: nftSetKey(name),
      why: comment,
      body: { kind: 'set', name, key, interval: false, comment },
    };
  });
}

/** The addresses from which this node may send to us, in whatever way we send to it. */
export function senderElements(self: Self, peer: Node): Row[] {
  if (self.missing.nftables !== undefined || peer.name === self.name) return [];
  return FAMILIES.filter((family) => self.underlay[family] !== undefined).flatMap((family) =>
    [...new Set(peerAddresses(peer, family).map(({ ip }) => ip))].map((ip): Row => {
      const set = senderSet(family);
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
