/**
 * What compiling makes of policies and rendering makes into nftables rows: policies resolved to sets of addresses by name, nothing of
 * the Kubernetes API left but names and words. Plain data, equal content = equal value.
 */
import type { Direction, PolicyProtocol } from '../../model/cluster/policy.ts';
import type { Cidr } from '../../model/net/cidr.ts';
import type { Family, Ip } from '../../model/net/ip.ts';

/** A policy in one direction: the unit that is programmed, once a node, when it selects at least one of its pods there. */
export interface CompiledPolicy {
  readonly tier: 'admin' | 'network-policy' | 'baseline';
  /** `x/allow-web` of a NetworkPolicy, `NAME` of a ClusterNetworkPolicy. */
  readonly name: string;
  readonly direction: Direction;
  readonly audit: boolean;
  /** In order. Of a NetworkPolicy all are `accept` and their order does not matter. */
  readonly rules: readonly CompiledRule[];
}

export interface CompiledRule {
  readonly action: 'accept' | 'deny' | 'pass';
  /** Index in the policy's own list, and the rule's name, for comments. */
  readonly index: number;
  readonly name: string;
  /** One of them suffices; empty = nobody. */
  readonly peers: readonly CompiledPeer[] | 'any';
  /** One of them suffices; empty = none. */
  readonly ports: readonly CompiledPort[] | 'any';
}

export type CompiledPeer =
  /** Pods or Nodes that a selector matches, by the set's id (`AddressSet.id`). */
  | { readonly kind: 'set'; readonly set: string }
  /** Blocks of one family; where they are several prefixes, these are in a set of ranges (`BlockSet.id`). */
  | { readonly kind: 'blocks'; readonly blocks: BlockSet };

export type CompiledPort =
  | { readonly protocol: PolicyProtocol }
  | { readonly protocol: PolicyProtocol; readonly from: number; readonly to: number }
  /** Destination pods that have a port of this name: address . protocol . number is in the set (`PortSet.id`). */
  | { readonly protocol: PolicyProtocol; readonly set: string };

/** Addresses of pods or Nodes that one selector matches. `id` is unique, `text` says it to people: `pods app=web of namespace x`. */
export interface AddressSet {
  readonly id: string;
  readonly text: string;
}

/** What blocks of one family contain. Rules with the same blocks share it: `id` says them as they are written, and so it is unique. */
export interface BlockSet {
  readonly id: string;
  /** `10.0.0.0/8 except 10.1.0.0/16` */
  readonly text: string;
  readonly family: Family;
  /** At least one: disjoint, in order, without what is excepted. */
  readonly prefixes: readonly Cidr[];
}

/** Who has a port of one name and protocol. Ingress: pods of this node; egress: all pods. */
export interface PortSet {
  readonly id: string;
  readonly text: string;
}

/** ClusterNetworkPolicies of one tier that select a pod in one direction, by priority, then name. Pods with equal ones share a chain. */
export interface Tier {
  readonly tier: 'admin' | 'baseline';
  readonly direction: Direction;
  readonly policies: readonly string[];
}

/** What the Admin tier leaves undecided is judged by these. Pods with equal ones share a chain. */
export interface Selection {
  readonly direction: Direction;
  /** NetworkPolicies `namespace/name`, sorted; `enforced` false when all of them are in audit mode. */
  readonly policies: readonly string[];
  /** The setting `policy.defaultDeny` stands for a NetworkPolicy that allows nothing. */
  readonly defaultDeny: boolean;
  readonly enforced: boolean;
  /** ClusterNetworkPolicies of the Baseline tier; none where a NetworkPolicy decides. */
  readonly baseline: readonly string[];
}

/** Who judges a pod's packets in one direction. */
export interface Judges {
  readonly admin: Tier | undefined;
  /** Absent = what the Admin tier leaves undecided passes. */
  readonly selection: Selection | undefined;
}

/** A pod of this node that policies apply to. */
export interface LocalPod extends Readonly<Record<Direction, Judges>> {
  readonly pod: string;
  readonly ips: readonly Ip[];
}
