import type { TransportName } from '../../model/cluster/config.ts';
import type { Node } from '../../model/cluster/node.ts';
import type { Cidr } from '../../model/net/cidr.ts';
import type { Family, Ip } from '../../model/net/ip.ts';
import type { Problem } from '../../model/problem.ts';
import type { Row, RowRef } from '../../model/rows/row.ts';
import type { Self } from './underlay.ts';

/**
 * A carrier: a transport together with everything that must be equal at both ends for a packet to arrive, as text:
 * `layer2`, `vxlan/ipv4/1/8472`. Nodes tell each other in carriers what they receive by and what they send by, so that a change
 * of any of these is made before the old way is broken.
 */
export type Carrier = string;

/** How packets reach another node. Adding one = one folder and one line in the registry. */
export interface Transport {
  readonly name: TransportName;
  /** `auto` may choose it. */
  readonly auto: boolean;
  /** Nothing has to be made before packets can be received by it, so every node always accepts it. */
  readonly receivesAlways: boolean;
  /** Bytes of the underlay's MTU that it takes for itself. */
  overhead(underlay: Family): number;
  /** Carriers that a node with this transport enabled receives by. */
  enabled(self: Self): readonly Carrier[];
  /** The carrier towards a peer by our own settings, with what speaks for it, or why it cannot be. */
  choose(self: Self, peer: Node): Choice;
  /** From which address a node itself sends to pods of other nodes by it; absent = from the link's own, as to anybody. */
  nodeSource?(node: Node, family: Family): Ip | undefined;
  /** Why a carrier of this transport, perhaps of other settings than ours, cannot serve this peer; `undefined` = it can. */
  refuses(carrier: Carrier, self: Self, peer: Node): string | undefined;
  /** What of this peer's pods it cannot carry although it reaches the node; `undefined` = nothing. */
  gaps(self: Self, peer: Node): string | undefined;
  /** What has to be on this machine to receive and send by the carrier. `undefined` = the carrier is not one of ours. */
  device(carrier: Carrier, self: Self): Device | undefined;
  /** What keeps strangers from sending to what these carriers receive by; carriers of other transports may be among them. */
  guard?(self: Self, carriers: Iterable<Carrier>): readonly Row[];
  /** What lets a node past the guard, in whatever way we send to it. */
  admit?(self: Self, peer: Node): readonly Row[];
  /** What sends packets for `prefixes` to the peer. */
  peer(carrier: Carrier, self: Self, peer: Node, prefixes: readonly Cidr[]): PeerPlan;
}

export type Choice = { readonly carrier: Carrier; readonly because: string } | { readonly refused: string };

export interface Device {
  readonly rows: readonly Row[];
  /** Those of the rows without which nothing is received. */
  readonly ready: readonly RowRef[];
  readonly problems?: readonly Problem[];
}

export interface PeerPlan {
  readonly rows: readonly Row[];
  readonly problems: readonly Problem[];
}
