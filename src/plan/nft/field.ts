/** Fields of a packet and its circumstances that rules test, by nft's names. */
import type { Family } from '../../model/net/ip.ts';
import {
  addressType,
  type NftCtKey,
  type NftExpr,
  type NftMetaKey,
  type NftRegister,
  type NftType,
} from '../../model/rows/nft.ts';
import type { Header } from './rule.ts';

export interface Field {
  readonly type: NftType;
  readonly within: readonly Header[];
  /** Loads the field, or its first `bytes` bytes where it is a header's. */
  load(dreg: NftRegister, bytes?: number): NftExpr;
}

/** `ip saddr`, `ip6 saddr` */
export function saddr(family: Family): Field {
  return SADDR[family];
}

/** `ip daddr`, `ip6 daddr` */
export function daddr(family: Family): Field {
  return DADDR[family];
}

/** `tcp sport`; `th sport` for whatever transport has ports. */
export function sport(protocol: 'tcp' | 'udp' | 'sctp' | 'th'): Field {
  return header('inet_service', protocol === 'th' ? [] : [protocol], 'transport', 0, 2);
}

/** `tcp dport`; `th dport` for whatever transport has ports. */
export function dport(protocol: 'tcp' | 'udp' | 'sctp' | 'th'): Field {
  return header('inet_service', protocol === 'th' ? [] : [protocol], 'transport', 2, 2);
}

export const etherSaddr: Field = header('ether_addr', [], 'link', 6, 6);
/** `arp saddr ip`: the address that the sender says it has. Comes after `etherType('arp')`. */
export const arpSaddr: Field = header('ipv4_addr', [], 'network', 14, 4);
/** The address that a neighbour advertisement is about (RFC 4861 section 4.4). nft before 1.0.9 shows it as `@th,64,128`. */
export const ndTarget: Field = header('ipv6_addr', ['icmpv6'], 'transport', 8, 16);
export const iifname: Field = meta('ifname', 'iifname');
export const oifname: Field = meta('ifname', 'oifname');
export const metaMark: Field = meta('mark', 'mark');
export const nfproto: Field = meta('nf_inet_proto', 'nfproto');
export const l4proto: Field = meta('inet_proto', 'l4proto');
export const ctMark: Field = ct('mark', 'mark');

/** `ct original ip daddr`, `ct reply ip saddr` … : the address before, or after, network address translation. */
export function ctAddress(direction: 'original' | 'reply', end: 'src' | 'dst', family: Family): Field {
  const key = family === 'ipv4' ? (`${end}-ip` as const) : (`${end}-ip6` as const);
  return ct(addressType(family), key, direction);
}

/** `ct original proto-dst` */
export function ctPort(direction: 'original' | 'reply', end: 'src' | 'dst'): Field {
  return ct('inet_service', `proto-${end}`, direction);
}

const SADDR: Readonly<Record<Family, Field>> = {
  ipv4: header('ipv4_addr', ['ipv4'], 'network', 12, 4),
  ipv6: header('ipv6_addr', ['ipv6'], 'network', 8, 16),
};
const DADDR: Readonly<Record<Family, Field>> = {
  ipv4: header('ipv4_addr', ['ipv4'], 'network', 16, 4),
  ipv6: header('ipv6_addr', ['ipv6'], 'network', 24, 16),
};

function header(
  type: NftType,
  within: readonly Header[],
  base: 'link' | 'network' | 'transport',
  offset: number,
  length: number,
): Field {
  return {
    type,
    within,
    load: (dreg, bytes = length) => ({ expr: 'payload', base, offset, length: bytes, dreg }),
  };
}

function meta(type: NftType, key: NftMetaKey): Field {
  return { type, within: [], load: (dreg) => ({ expr: 'meta', key, dreg }) };
}

function ct(type: NftType, key: NftCtKey, direction?: 'original' | 'reply'): Field {
  return {
    type,
    within: [],
    load: (dreg) => ({ expr: 'ct', key, dreg, ...(direction && { direction }) }),
  };
}
