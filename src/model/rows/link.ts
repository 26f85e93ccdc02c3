import type { Ip } from '../net/ip.ts';
import type { Mac } from '../net/mac.ts';

/** A link that we create. Ours = name begins with `fl-` and the alias begins with `fairlead`. */
export interface LinkBody {
  readonly name: string;
  readonly mtu: number;
  readonly mac: Mac | undefined;
  readonly up: boolean;
  /** Shown by `ip -d link`; begins with `fairlead`, says what the link is for. */
  readonly alias: string;
  readonly type: VxlanLink;
}

/** A vxlan device with `nolearning` and `addrgenmode none`. VNI, port and family of `local` cannot change on a live device. */
export interface VxlanLink {
  readonly kind: 'vxlan';
  readonly vni: number;
  readonly port: number;
  readonly local: Ip;
  /** Name of the underlay link. */
  readonly underlay: string;
}

export const LINK_PREFIX = 'fl-';
export const LINK_ALIAS = 'fairlead';
export const linkKey = (name: string): string => name;
