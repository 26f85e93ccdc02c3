import type { Direction, PolicyProtocol } from '../../model/cluster/policy.ts';
import type { Ip } from '../../model/net/ip.ts';

/** The first packet of a connection, as policies see it: after the destination was translated, before the source is. */
export interface Flow {
  readonly from: Ip;
  readonly to: Ip;
  /** A name, or the IANA number of a protocol that policies cannot name. */
  readonly protocol: PolicyProtocol | number;
  /** Destination port; absent for protocols without. */
  readonly port?: number;
}

/** What policies say of a flow. It passes when neither end denies it. */
export interface Decision {
  readonly allowed: boolean;
  /** Of the end that is a pod, by its direction; absent when that end is no pod, or a hostNetwork pod. */
  readonly egress?: Verdict;
  readonly ingress?: Verdict;
}

export interface Verdict {
  readonly direction: Direction;
  /** `namespace/name` of the pod that the policies select. */
  readonly pod: string;
  readonly allowed: boolean;
  /** It would have been denied, but what denies it is in audit mode. */
  readonly audit: boolean;
  /**
   * Who decided: a tier; `default` = no policy selects the pod in this direction; `unknown-pod` = an address of our pod CIDRs that is
   * no known pod's; `own-node` = a node's traffic to its own pods, always allowed; `default-deny` = the setting.
   */
  readonly by:
    | 'admin'
    | 'network-policy'
    | 'baseline'
    | 'default'
    | 'default-deny'
    | 'unknown-pod'
    | 'own-node';
  /** The policy, as `NetworkPolicy x/allow-web` or `ClusterNetworkPolicy deny-all`; all that select the pod when none of them allows. */
  readonly policies: readonly string[];
  /** Index of the deciding rule in that policy's list. */
  readonly rule?: number;
  /** For people: `allowed by ingress rule 2 of NetworkPolicy x/allow-web`. */
  readonly text: string;
}
