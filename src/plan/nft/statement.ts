/** What rules do. */
import type { Family } from '../../model/net/ip.ts';
import { addressType, type NftExpr, type NftVerdict } from '../../model/rows/nft.ts';
import { nftHex, parseNftValue } from '../../model/rows/nft-values.ts';
import type { Field } from './field.ts';
import { keyOf, u32 } from './match.ts';
import { FIRST_REGISTER, type Part } from './rule.ts';

const R = FIRST_REGISTER;
/** Second and third of the four large registers. */
const R2 = 12;

export const accept: Part = verdict({ verdict: 'accept' });
export const drop: Part = verdict({ verdict: 'drop' });
/** `return`: back to the chain that jumped here. */
export const goBack: Part = verdict({ verdict: 'return' });
export const counter: Part = { exprs: [{ expr: 'counter' }] };
export const notrack: Part = { exprs: [{ expr: 'notrack' }] };

export function jump(chain: string): Part {
  return verdict({ verdict: 'jump', chain });
}

export function goTo(chain: string): Part {
  return verdict({ verdict: 'goto', chain });
}

/** `log prefix "…" group 100`: to whoever listens on the netlink log group. */
export function log(group: number, prefix?: string, snaplen?: number): Part {
  return {
    exprs: [
      {
        expr: 'log',
        group,
        ...(prefix !== undefined && { prefix }),
        ...(snaplen !== undefined && { snaplen }),
      },
    ],
  };
}

/** `update @seen { ip saddr timeout 5m }`: puts the fields into a dynamic set, or begins their time anew. Milliseconds. */
export function refresh(fields: Field | readonly Field[], set: string, timeout: number): Part {
  const { within = [], exprs } = keyOf(fields);
  return { within, exprs: [...exprs, { expr: 'dynset', set, op: 'update', sreg: R, timeout }] };
}

/** `limit rate 10/minute burst 5 packets`: matches while the rate is not exceeded. */
export function limit(rate: number, per: 'second' | 'minute' | 'hour' | 'day', burst = 5): Part {
  const unit = { second: 1, minute: 60, hour: 3600, day: 86400 } as const;
  return { exprs: [{ expr: 'limit', rate, unit: unit[per], burst }] };
}

/** NF_NAT_RANGE_… of linux/netfilter/nf_nat.h */
const NAT_FLAGS = { random: 4, persistent: 8, 'fully-random': 16 } as const;

/** `masquerade`, `masquerade fully-random` */
export function masquerade(...flags: readonly (keyof typeof NAT_FLAGS)[]): Part {
  const bits = flags.reduce((sum, flag) => sum | NAT_FLAGS[flag], 0);
  return { exprs: [{ expr: 'masquerade', ...(bits !== 0 && { flags: bits }) }] };
}

/** `snat ip to 192.0.2.1` */
export function snat(family: Family, address: string, port?: number): Part {
  return translated('snat', family, address, port);
}

/** `dnat ip to 10.0.0.1:8080` */
export function dnat(family: Family, address: string, port?: number): Part {
  return translated('dnat', family, address, port);
}

/** `reject`: as nft says it in an `inet` table: port unreachable of the packet's own family. */
export const reject: Part = { exprs: [{ expr: 'reject', type: 'icmpx', code: 1 }] };
/** `reject with icmpx admin-prohibited` */
export const rejectProhibited: Part = { exprs: [{ expr: 'reject', type: 'icmpx', code: 3 }] };
/** `meta l4proto tcp reject with tcp reset` */
export const rejectReset: Part = { within: ['tcp'], exprs: [{ expr: 'reject', type: 'tcp-reset', code: 0 }] };

/** `tcp option maxseg size set rt mtu`: connections adapt to the MTU of the route. Comes after `tcpFlags(['syn'], ['syn', 'rst'])`. */
export const clampMss: Part = {
  within: ['tcp'],
  exprs: [
    { expr: 'rt', key: 'tcpmss', dreg: R },
    { expr: 'byteorder', sreg: R, dreg: R, op: 'hton', length: 2, size: 2 },
    { expr: 'exthdr-set', op: 'tcpopt', type: 2, offset: 2, length: 2, sreg: R },
  ],
};

/** `meta mark set 0x…` */
export function setMark(mark: number): Part {
  return {
    exprs: [
      { expr: 'immediate', dreg: R, data: u32(mark) },
      { expr: 'meta-set', key: 'mark', sreg: R },
    ],
  };
}

/** `meta mark set meta mark | 0x…`: other bits stay. */
export function addMark(bits: number): Part {
  return {
    exprs: [
      { expr: 'meta', key: 'mark', dreg: R },
      { expr: 'bitwise', sreg: R, dreg: R, length: 4, mask: u32(~bits), xor: u32(bits) },
      { expr: 'meta-set', key: 'mark', sreg: R },
    ],
  };
}

/** `ct mark set meta mark` */
export const saveMark: Part = {
  exprs: [
    { expr: 'meta', key: 'mark', dreg: R },
    { expr: 'ct-set', key: 'mark', sreg: R },
  ],
};

function verdict(verdict: NftVerdict): Part {
  return { exprs: [{ expr: 'verdict', verdict }] };
}

function translated(type: 'snat' | 'dnat', family: Family, address: string, port: number | undefined): Part {
  const data = nftHex(addressType(family), addressBytes(family, address));
  const exprs: NftExpr[] = [{ expr: 'immediate', dreg: R, data }];
  if (port === undefined) return { exprs: [...exprs, { expr: 'nat', type, family, addrMin: R }] };
  exprs.push({
    expr: 'immediate',
    dreg: R2,
    data: nftHex('inet_service', parseNftValue('inet_service', String(port))),
  });
  return { exprs: [...exprs, { expr: 'nat', type, family, addrMin: R, protoMin: R2 }] };
}

function addressBytes(family: Family, address: string): Uint8Array {
  return parseNftValue(addressType(family), address);
}
