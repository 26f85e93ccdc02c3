import type { Cidr } from '../net/cidr.ts';

/** Pod network transports. The registry in `plan/transports` says which are built. */
export type TransportName =
  | 'layer2'
  | 'vxlan'
  | 'gre'
  | 'ipip'
  | 'fou'
  | 'wireguard'
  | 'ipsec'
  | 'bgp'
  | 'cloud';

/** File name of the agent's API socket in its state folder. */
export const AGENT_SOCKET = 'agent.sock';

/** The agent's settings after defaults, file, environment and flags were put together and checked. */
export interface Config {
  /** Name of the Node that this agent works for. */
  readonly nodeName: string;
  /** Whether we carry the pods' packets (`--run-router`). Without it another network does, and we only enforce policies beside it. */
  readonly router: { readonly enabled: boolean };
  /** One transport for all pairs, or `auto`: decided per node pair. */
  readonly transport: TransportName | 'auto';
  /** Underlay link by name; absent = the link that carries the Node's InternalIP. */
  readonly underlayLink: string | undefined;
  /** Which underlay family tunnels prefer where both nodes have both. */
  readonly underlayFamily: 'ipv4' | 'ipv6';
  readonly vxlan: { readonly vni: number; readonly port: number };
  /** Fixed pod MTU; absent = the smallest that all enabled transports carry. */
  readonly podMtu: number | undefined;
  readonly cni: {
    readonly write: boolean;
    readonly dir: string;
    readonly file: string;
    readonly plugin: 'bridge' | 'ptp';
    readonly bridge: string;
    readonly hairpin: boolean;
    readonly portmap: boolean;
    /** Path of the agent's API socket, which our CNI plugin calls. */
    readonly socket: string;
  };
  readonly masquerade: {
    readonly enabled: boolean;
    /** Destinations never masqueraded towards, besides pod CIDRs and node addresses. */
    readonly exclude: readonly Cidr[];
  };
  /** Clamp TCP MSS where a path is narrower than the pod MTU. */
  readonly clampMss: boolean;
  readonly policy: {
    /** Whether policies are enforced at all (`--run-firewall`). */
    readonly enabled: boolean;
    /** Packets of addresses in our pod CIDRs that belong to no pod that we know. */
    readonly unknownPods: 'closed' | 'open';
    /** Namespaces without any NetworkPolicy: their pods as if one selected them all and allowed nothing, in these directions. */
    readonly defaultDeny: 'none' | 'ingress' | 'egress' | 'both';
    /** Namespaces that `defaultDeny` spares. */
    readonly defaultDenyExcept: readonly string[];
    /** What a packet that no NetworkPolicy allows gets. A ClusterNetworkPolicy always drops. */
    readonly denied: 'drop' | 'reject';
    /** Flows that a change of policies denies: ended at once, or kept until they end. */
    readonly established: 'recheck' | 'keep';
    /** Netlink log group of denied packets, and how many of them a second are told; 0 = none. */
    readonly logGroup: number;
    readonly logRate: number;
  };
}
