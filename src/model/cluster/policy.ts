import type { Cidr } from '../net/cidr.ts';
import type { Selector } from './selector.ts';

export type Direction = 'ingress' | 'egress';
export const DIRECTIONS: readonly Direction[] = ['ingress', 'egress'];

/** What policies can name: IANA protocol numbers 6, 17 and 132. */
export type PolicyProtocol = 'TCP' | 'UDP' | 'SCTP';

/** A networking.k8s.io/v1 NetworkPolicy, trimmed. */
export interface NetworkPolicy {
  /** `namespace/name`. */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Pods of its namespace. */
  readonly pods: Selector;
  /** Absent = it says nothing about this direction; empty = it allows nothing there. */
  readonly ingress?: readonly PolicyRule[];
  readonly egress?: readonly PolicyRule[];
  /** Annotation `fairlead.io/policy-audit: "true"`: what it would deny is told and passes. */
  readonly audit: boolean;
  /** What cannot be used in it, each naming the field. Not empty = the policy is closed: it allows nothing in the directions it covers. */
  readonly problems: readonly string[];
}

export interface PolicyRule {
  /** `any` = every peer, also outside the cluster. */
  readonly peers: readonly Peer[] | 'any';
  /** `any` = every port of every protocol, also ICMP. */
  readonly ports: readonly PolicyPort[] | 'any';
}

/** One of them suffices. `namespaces` absent = the policy's own namespace. */
export type Peer = PodPeer | BlockPeer;

export interface PodPeer {
  readonly kind: 'pods';
  readonly namespaces?: Selector;
  readonly pods: Selector;
}

export interface BlockPeer {
  readonly kind: 'block';
  readonly cidr: Cidr;
  readonly except: readonly Cidr[];
}

/** A port name is resolved on each destination pod; without number and name every port of the protocol. */
export interface PolicyPort {
  readonly protocol: PolicyProtocol;
  readonly from?: number;
  /** Inclusive; present with `from`, equal to it for one port. */
  readonly to?: number;
  readonly name?: string;
}

/** A policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy, trimmed. */
export interface ClusterNetworkPolicy {
  readonly name: string;
  readonly uid: string;
  readonly tier: 'Admin' | 'Baseline';
  /** 0 to 1000, the lower one first; equal ones by name. */
  readonly priority: number;
  readonly subject: { readonly namespaces: Selector; readonly pods: Selector };
  readonly ingress: readonly ClusterRule[];
  readonly egress: readonly ClusterRule[];
  /** Annotation `fairlead.io/policy-audit: "true"`: its Deny rules only tell. */
  readonly audit: boolean;
  /**
   * What cannot be used in it. Of rules with unknown peers or protocols the projection has made what the API demands: an Accept loses
   * them, a Deny or Pass becomes Deny for everything.
   */
  readonly problems: readonly string[];
}

export interface ClusterRule {
  /** The rule's name, or empty. */
  readonly name: string;
  readonly action: 'Accept' | 'Deny' | 'Pass';
  readonly peers: readonly ClusterPeer[] | 'any';
  readonly ports: readonly PolicyPort[] | 'any';
}

export type ClusterPeer =
  | { readonly kind: 'pods'; readonly namespaces: Selector; readonly pods: Selector }
  | { readonly kind: 'networks'; readonly cidrs: readonly Cidr[] }
  /** Every address of the Nodes that match. */
  | { readonly kind: 'nodes'; readonly nodes: Selector };

/** On a NetworkPolicy, a ClusterNetworkPolicy or a Namespace. */
export const AUDIT_ANNOTATION = 'fairlead.io/policy-audit';
