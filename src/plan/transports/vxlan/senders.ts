/**
 * Who may send to the tunnel, and that its packets are no connections. The kernel unpacks whatever arrives at the UDP port, from whomever, and a device's MAC
 * and VNI are no secrets: any pod could put packets with the source of another one past all policies. So only addresses of the cluster's nodes get that far,
 * and those not from pods. What such nodes send each other is not tracked: it goes one way, so it would be a new connection for ever, and pay as one.
 */
import type { Node } from '../../../model/cluster/node.ts';
import { FAMILIES, type Ip } from '../../../model/net/ip.ts';
import { type NftChain, type NftRule, nftChainKey, nftElementKey } from '../../../model/rows/nft.ts';
import type { Row, RowOf } from '../../../model/rows/row.ts';
import { daddr, dport, iifname, saddr } from '../../nft/field.ts';
import { inSet, is, isNot, notInSet } from '../../nft/match.ts';
import { has, type Part, rule } from '../../nft/rule.ts';
import { counter, drop, notrack } from '../../nft/statement.ts';
import { linkNames } from '../../nodes/pod-links.ts';
import { tunnelNodeSets, tunnelNodes } from '../../nodes/tunnel.ts';
import { peerAddresses } from '../peer.ts';
import type { Carrier } from '../transport.ts';
import type { Self } from '../underlay.ts';
import { parseCarrier, type VxlanCarrier } from './carrier.ts';

const SENDERS_CHAIN = 'vxlan-from-nodes';
const UNTRACKED_IN_CHAIN = 'vxlan-untracked-in';
const UNTRACKED_OUT_CHAIN = 'vxlan-untracked-out';

/** In LOCAL_IN before the socket that unpacks, and behind IPVS (NF_IP_PRI_NAT_SRC - 1): it may turn a Service address into this node's and go on. */
const BEHIND_IPVS = 102;
/** nft's `raw` (NF_IP_PRI_RAW): before connection tracking. */
const RAW = -300;

/** The sets, and the chains for the carriers that this node receives by. */
export function senderRows(self: Self, carriers: Iterable<Carrier>): Row[] {
  if (self.missing.nftables !== undefined) return [];
  const ours = [...carriers].map(parseCarrier).filter((carrier) => carrier !== undefined);
  if (ours.length === 0) return tunnelNodeSets();
  const between = ours.flatMap((carrier) => {
    const own = self.underlay[carrier.family]?.address;
    return own === undefined ? [] : [{ carrier, own }];
  });
  return [
    chain(
      SENDERS_CHAIN,
      'input',
      BEHIND_IPVS,
      'only nodes of the cluster may send to the tunnel',
      ours.flatMap((carrier) => strangers(self, carrier)),
    ),
    chain(
      UNTRACKED_IN_CHAIN,
      'prerouting',
      RAW,
      UNTRACKED,
      between.map(({ carrier, own }) => untrackedIn(self, carrier, own)),
    ),
    chain(
      UNTRACKED_OUT_CHAIN,
      'output',
      RAW,
      UNTRACKED,
      between.map(({ carrier, own }) => untrackedOut(carrier, own)),
    ),
    ...tunnelNodeSets(),
  ];
}

const UNTRACKED = 'the tunnel between nodes has no connections';

/** The port first: all other packets go on after that one comparison. */
const toTunnel = ({ port }: VxlanCarrier): Part[] => [is(dport('th'), `${port}`), has('udp')];

function strangers(self: Self, carrier: VxlanCarrier): NftRule[] {
  const { family } = carrier;
  const unknown = rule(
    [...toTunnel(carrier), notInSet(saddr(family), tunnelNodes(family)), counter, drop],
    'only nodes of the cluster may send to the tunnel',
  );
  const forged = linkNames(self.pods).map((link) =>
    rule([...toTunnel(carrier), is(iifname, link), counter, drop], 'no pod may, in whatever name'),
  );
  return [unknown, ...forged];
}

function untrackedIn(self: Self, carrier: VxlanCarrier, own: Ip): NftRule {
  const { family } = carrier;
  const notFromPods = linkNames(self.pods).map((link) => isNot(iifname, link));
  const ends = [inSet(saddr(family), tunnelNodes(family)), is(daddr(family), own)];
  return rule([...toTunnel(carrier), ...notFromPods, ...ends, notrack], UNTRACKED);
}

/** From our own address only: IPVS sends packets of pods through OUTPUT, too. */
function untrackedOut(carrier: VxlanCarrier, own: Ip): NftRule {
  const { family } = carrier;
  const ends = [is(saddr(family), own), inSet(daddr(family), tunnelNodes(family))];
  return rule([...toTunnel(carrier), ...ends, notrack], UNTRACKED);
}

function chain(
  name: string,
  hook: 'input' | 'prerouting' | 'output',
  priority: number,
  why: string,
  rules: readonly NftRule[],
): RowOf<'nft'> {
  const body: NftChain = {
    kind: 'chain',
    name,
    hook: { type: 'filter', hook, priority, policy: 'accept' },
    rules,
  };
  return { target: 'nft', key: nftChainKey(name), why, body };
}

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
