import type { IpPrefix } from '../net/cidr.ts';
import type { Mac } from '../net/mac.ts';

/** A network link of this machine as the kernel shows it; ours and other software's alike. */
export interface HostLink {
  readonly index: number;
  readonly name: string;
  /** rtnetlink kind: `vxlan`, `bridge`, `veth`; empty for a physical link. */
  readonly kind: string;
  readonly mtu: number;
  readonly up: boolean;
  readonly carrier: boolean;
  readonly mac: Mac | undefined;
  readonly alias: string;
  readonly addresses: readonly IpPrefix[];
  /** Index of the bridge or bond that it belongs to. */
  readonly master: number | undefined;
  /** net.ipv6.conf.NAME.accept_ra when it could be read: a link that listens to routers must go on when we turn forwarding on. */
  readonly acceptRa?: number;
}

/** A pod's end of a bridge; ours or other software's. */
export interface BridgePort {
  readonly name: string;
  readonly bridge: string;
  /** The pod's own, too: both ends are made with one. */
  readonly mtu: number;
}

/** What this machine and its kernel can do, found by asking it once at start. */
export interface KernelFacts {
  readonly release: string;
  /** Words for what is missing, by feature: `{ vxlan: "kernel has no vxlan module (ENOTSUP)" }`; absent = works. */
  readonly missing: Readonly<
    Partial<
      Record<'vxlan' | 'bridge' | 'nftables' | 'nft_bridge' | 'br_netfilter' | 'ipv6' | 'nexthop', string>
    >
  >;
}

/** Files of other networking software found in the CNI configuration folder. */
export interface ForeignCni {
  readonly path: string;
  /** Network name, plugins and bridge name in it. */
  readonly name: string;
  readonly bridge: string | undefined;
  /** `kube-router`, `kopeio` or another's name, when recognised. */
  readonly software: string | undefined;
}
