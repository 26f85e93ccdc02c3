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

/** The agent's settings after defaults, file, environment and flags were put together and checked. */
export interface Config {
  /** Name of the Node that this agent works for. */
  readonly nodeName: string;
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
  };
  readonly masquerade: {
    readonly enabled: boolean;
    /** Destinations never masqueraded towards, besides pod CIDRs and node addresses. */
    readonly exclude: readonly Cidr[];
  };
  /** Clamp TCP MSS where a path is narrower than the pod MTU. */
  readonly clampMss: boolean;
}
