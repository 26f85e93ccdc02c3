/**
 * Rows of our nftables tables: `inet fairlead` for packets (target `nft`), `bridge fairlead` for frames on a bridge (target `nft-bridge`). Ours =
 * everything in these tables; nothing of ours is anywhere else.
 * A chain's body holds its rules in order, so a chain is right or wrong as a whole; what changes often lives in set and map
 * elements, which cost microseconds however large the rule set is.
 */
import type { Family } from '../net/ip.ts';

export type NftBody = NftChain | NftSet | NftElement;

/** The name of both. */
export const NFT_TABLE = 'fairlead';

export type NftFamily = 'inet' | 'bridge';

export interface NftChain {
  readonly kind: 'chain';
  readonly name: string;
  /** Absent for a chain that is only jumped to. */
  readonly hook:
    | {
        readonly type: 'filter' | 'nat' | 'route';
        readonly hook: 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting' | 'ingress';
        readonly priority: number;
        readonly policy: 'accept' | 'drop';
        /** The link, for `ingress`. */
        readonly device?: string;
      }
    | undefined;
  readonly rules: readonly NftRule[];
  /** What to program when the kernel refuses some rule. Without it the chain stays as it was, or absent. */
  readonly ifRefused?: NftFallback;
}

/**
 * The rules fall into parts, and stand for themselves up to each: the part with the refused rule and all behind it give way to `rules`.
 * The row counts as failed, and is tried again.
 */
export interface NftFallback {
  readonly rules: readonly NftRule[];
  /** Where parts begin, ascending from 0; default: all rules are one. */
  readonly parts?: readonly number[];
  /** Also when the kernel refuses an element of a set that a rule looks into: for rules by which a missing element opens something. */
  readonly onElements?: boolean;
}

export interface NftRule {
  readonly exprs: readonly NftExpr[];
  /** Shown by `nft list`; at most 128 bytes. */
  readonly comment?: string;
}

export interface NftSet {
  readonly kind: 'set';
  readonly name: string;
  /** Field types of a key; several = a concatenation: `['ipv4_addr', 'inet_proto', 'inet_service']`. */
  readonly key: readonly NftType[];
  /** A map when present; `verdict` makes a verdict map. */
  readonly value?: readonly NftType[] | 'verdict';
  /** Keys are ranges (prefixes). */
  readonly interval: boolean;
  /** Elements may carry a timeout; milliseconds of the default, or 0 for none. */
  readonly timeout?: number;
  /** The packet path may add elements. */
  readonly dynamic?: boolean;
  readonly size?: number;
  readonly comment?: string;
}

/** Types by nft's own names, with their length in bytes below. */
export type NftType =
  | 'ipv4_addr'
  | 'ipv6_addr'
  | 'ether_addr'
  | 'inet_proto'
  | 'inet_service'
  | 'mark'
  | 'ifname'
  | 'nf_inet_proto';

export const addressType = (family: Family): NftType => (family === 'ipv4' ? 'ipv4_addr' : 'ipv6_addr');

/** One element. Values are text in nft's own notation: `10.0.0.0/24`, `tcp`, `443`, `8000-8080`; one entry per field of the key. */
export interface NftElement {
  readonly kind: 'element';
  readonly set: string;
  readonly key: readonly string[];
  readonly value?: readonly string[] | NftVerdict;
  readonly timeout?: number;
  readonly comment?: string;
}

export interface NftVerdict {
  readonly verdict: 'accept' | 'drop' | 'continue' | 'return' | 'jump' | 'goto';
  readonly chain?: string;
}

/** Registers are numbered as the kernel's 32-bit ones: 8 (`NFT_REG32_00`) … 23; 0 is the verdict register. */
export type NftRegister = number;

export type NftCompare = 'eq' | 'neq' | 'lt' | 'lte' | 'gt' | 'gte';

/**
 * Expressions, one to one with the kernel's (linux/netfilter/nf_tables.h), fields by readable name. Bytes are lower-case hex
 * text, so that rows stay plain data and compare by value.
 */
export type NftExpr =
  | { readonly expr: 'meta'; readonly key: NftMetaKey; readonly dreg: NftRegister }
  | { readonly expr: 'meta-set'; readonly key: NftMetaKey; readonly sreg: NftRegister }
  | {
      readonly expr: 'payload';
      readonly base: 'link' | 'network' | 'transport' | 'inner';
      readonly offset: number;
      readonly length: number;
      readonly dreg: NftRegister;
    }
  | {
      readonly expr: 'payload-set';
      readonly base: 'link' | 'network' | 'transport';
      readonly offset: number;
      readonly length: number;
      readonly sreg: NftRegister;
      readonly checksumOffset?: number;
      readonly checksumFlags?: number;
    }
  | { readonly expr: 'cmp'; readonly op: NftCompare; readonly sreg: NftRegister; readonly data: string }
  | {
      readonly expr: 'range';
      readonly op: 'eq' | 'neq';
      readonly sreg: NftRegister;
      readonly from: string;
      readonly to: string;
    }
  | {
      readonly expr: 'bitwise';
      readonly sreg: NftRegister;
      readonly dreg: NftRegister;
      readonly length: number;
      readonly mask: string;
      readonly xor: string;
    }
  | {
      readonly expr: 'byteorder';
      readonly sreg: NftRegister;
      readonly dreg: NftRegister;
      readonly op: 'ntoh' | 'hton';
      readonly length: number;
      readonly size: 2 | 4 | 8;
    }
  | {
      readonly expr: 'lookup';
      readonly set: string;
      readonly sreg: NftRegister;
      readonly dreg?: NftRegister;
      readonly invert?: boolean;
    }
  | {
      readonly expr: 'dynset';
      readonly set: string;
      readonly op: 'add' | 'update' | 'delete';
      readonly sreg: NftRegister;
      readonly dataReg?: NftRegister;
      readonly timeout?: number;
    }
  | { readonly expr: 'immediate'; readonly dreg: NftRegister; readonly data: string }
  | { readonly expr: 'verdict'; readonly verdict: NftVerdict }
  | {
      readonly expr: 'ct';
      readonly key: NftCtKey;
      readonly dreg: NftRegister;
      readonly direction?: 'original' | 'reply';
    }
  | { readonly expr: 'ct-set'; readonly key: 'mark'; readonly sreg: NftRegister }
  | { readonly expr: 'counter' }
  | {
      readonly expr: 'limit';
      readonly rate: number;
      readonly unit: 1 | 60 | 3600 | 86400;
      readonly burst: number;
      readonly over?: boolean;
    }
  | {
      readonly expr: 'log';
      readonly group?: number;
      readonly prefix?: string;
      readonly snaplen?: number;
      readonly qthreshold?: number;
    }
  | { readonly expr: 'reject'; readonly type: 'icmp' | 'icmpx' | 'tcp-reset'; readonly code: number }
  | {
      readonly expr: 'nat';
      readonly type: 'snat' | 'dnat';
      readonly family: 'ipv4' | 'ipv6';
      readonly addrMin?: NftRegister;
      readonly addrMax?: NftRegister;
      readonly protoMin?: NftRegister;
      readonly protoMax?: NftRegister;
      readonly flags?: number;
    }
  | { readonly expr: 'masquerade'; readonly flags?: number }
  | { readonly expr: 'redirect'; readonly protoMin?: NftRegister }
  | {
      readonly expr: 'exthdr';
      readonly op: 'tcpopt' | 'ipv6';
      readonly type: number;
      readonly offset: number;
      readonly length: number;
      readonly dreg: NftRegister;
      readonly present?: boolean;
    }
  | {
      readonly expr: 'exthdr-set';
      readonly op: 'tcpopt';
      readonly type: number;
      readonly offset: number;
      readonly length: number;
      readonly sreg: NftRegister;
    }
  | {
      readonly expr: 'rt';
      readonly key: 'classid' | 'nexthop4' | 'nexthop6' | 'tcpmss';
      readonly dreg: NftRegister;
    }
  | {
      readonly expr: 'fib';
      readonly result: 'oif' | 'oifname' | 'type';
      readonly flags: readonly ('saddr' | 'daddr' | 'mark' | 'iif' | 'oif')[];
      readonly dreg: NftRegister;
      readonly present?: boolean;
    }
  | {
      readonly expr: 'numgen';
      readonly type: 'incremental' | 'random';
      readonly modulus: number;
      readonly offset?: number;
      readonly dreg: NftRegister;
    }
  | {
      readonly expr: 'hash';
      readonly type: 'jenkins' | 'symmetric';
      readonly sreg?: NftRegister;
      readonly length?: number;
      readonly modulus: number;
      readonly seed?: number;
      readonly offset?: number;
      readonly dreg: NftRegister;
    }
  | { readonly expr: 'notrack' }
  | { readonly expr: 'queue'; readonly num: number; readonly total: number; readonly flags?: number }
  /** Somebody else's, read from the kernel: its attributes as they came. Nobody plans it. */
  | { readonly expr: 'other'; readonly name: string; readonly data: string };

export type NftMetaKey =
  | 'length'
  | 'protocol'
  | 'priority'
  | 'mark'
  | 'iif'
  | 'oif'
  | 'iifname'
  | 'oifname'
  | 'iiftype'
  | 'oiftype'
  | 'skuid'
  | 'skgid'
  | 'nfproto'
  | 'l4proto'
  | 'iifkind'
  | 'oifkind'
  | 'pkttype'
  | 'cpu'
  | 'iifgroup'
  | 'oifgroup'
  | 'cgroup'
  | 'prandom'
  | 'sdif'
  | 'sdifname'
  | 'bri_iifname'
  | 'bri_oifname';

export type NftCtKey =
  | 'state'
  | 'direction'
  | 'status'
  | 'mark'
  | 'expiration'
  | 'helper'
  | 'l3proto'
  | 'protocol'
  | 'proto-src'
  | 'proto-dst'
  | 'src-ip'
  | 'dst-ip'
  | 'src-ip6'
  | 'dst-ip6'
  | 'zone'
  | 'id';

export const nftChainKey = (name: string): string => `chain ${name}`;
export const nftSetKey = (name: string): string => `set ${name}`;
export const nftElementKey = (set: string, key: readonly string[]): string =>
  `element ${set} ${key.length === 1 ? key[0] : key.join(' . ')}`;
