/** What rules test. */
import type { NftCompare, NftExpr } from '../../model/rows/nft.ts';
import { NFT_VALUES, nftHex, parseNftRange, toHex } from '../../model/rows/nft-values.ts';
import type { Field } from './field.ts';
import { FIRST_REGISTER, has, type Part } from './rule.ts';

const R = FIRST_REGISTER;

/** `ip saddr 10.0.0.0/8`, `tcp dport 80-90`, `iifname "eth*"`: text in nft's normal form. */
export function is(field: Field, text: string): Part {
  return compared(field, text, 'eq');
}

/** `oifname != "fairlead0"` */
export function isNot(field: Field, text: string): Part {
  return compared(field, text, 'neq');
}

/** `ip daddr @pods`; several fields are a concatenation: `ip daddr . meta l4proto . th dport @services`.
 * Not for marks in sets with ranges: those would have to be turned to network order first. */
export function inSet(fields: Field | readonly Field[], set: string): Part {
  return looked(fields, { expr: 'lookup', set, sreg: R });
}

/** `ip daddr & 255.255.255.0 @pods`: the set holds network addresses of one prefix length, which a hash finds at once. */
export function prefixInSet(field: Field, length: number, set: string): Part {
  const { bytes } = NFT_VALUES[field.type];
  if (length >= 8 * bytes) return inSet(field, set);
  const mask = Uint8Array.from(
    { length: bytes },
    (_, i) => 0xff << (8 - Math.min(8, Math.max(0, length - 8 * i))),
  );
  return {
    within: field.within,
    exprs: [
      field.load(R),
      { expr: 'bitwise', sreg: R, dreg: R, length: bytes, mask: toHex(mask), xor: '00'.repeat(bytes) },
      { expr: 'lookup', set, sreg: R },
    ],
  };
}

/** `ip daddr != @pods` */
export function notInSet(fields: Field | readonly Field[], set: string): Part {
  return looked(fields, { expr: 'lookup', set, sreg: R, invert: true });
}

/** `ip daddr vmap @pods`: the verdict that the map holds for the key. */
export function vmap(fields: Field | readonly Field[], map: string): Part {
  return looked(fields, { expr: 'lookup', set: map, sreg: R, dreg: 0 });
}

const ETHER_TYPES = { ipv4: '0800', arp: '0806', ipv6: '86dd' } as const;

/**
 * `ether type ip`, in tables of the family `bridge`: what the frame says first. A VLAN tag is said there too, whether it lies in the frame or
 * the kernel has taken it out already; `meta protocol` would tell what is behind it.
 */
export function etherType(type: keyof typeof ETHER_TYPES): Part {
  return {
    exprs: [
      { expr: 'payload', base: 'link', offset: 12, length: 2, dreg: R },
      { expr: 'cmp', op: 'eq', sreg: R, data: ETHER_TYPES[type] },
    ],
    ...(type !== 'arp' && { proves: type }),
  };
}

const CT_STATES = { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 } as const;

/** `ct state established,related`: any of them. */
export function ctState(...states: readonly (keyof typeof CT_STATES)[]): Part {
  return anyBit(
    { expr: 'ct', key: 'state', dreg: R },
    states.reduce((bits, s) => bits | CT_STATES[s], 0),
  );
}

const CT_STATUS = { snat: 0x10, dnat: 0x20 } as const;

/** `ct status dnat`: the connection's destination was translated. */
export function ctStatus(...status: readonly (keyof typeof CT_STATUS)[]): Part {
  return anyBit(
    { expr: 'ct', key: 'status', dreg: R },
    status.reduce((bits, s) => bits | CT_STATUS[s], 0),
  );
}

/** `ct direction original` */
export function ctDirection(direction: 'original' | 'reply'): Part {
  return {
    exprs: [
      { expr: 'ct', key: 'direction', dreg: R },
      { expr: 'cmp', op: 'eq', sreg: R, data: direction === 'original' ? '00' : '01' },
    ],
  };
}

/** `meta mark & 0x4000 == 0x4000` (or `!=`) */
export function markBits(mask: number, value: number, op: 'eq' | 'neq' = 'eq'): Part {
  return {
    exprs: [
      { expr: 'meta', key: 'mark', dreg: R },
      { expr: 'bitwise', sreg: R, dreg: R, length: 4, mask: u32(mask), xor: u32(0) },
      { expr: 'cmp', op, sreg: R, data: u32(value) },
    ],
  };
}

const TCP_FLAGS = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32 } as const;
type TcpFlag = keyof typeof TCP_FLAGS;

/** `tcp flags & (syn | rst) == syn`: of the flags `among`, exactly `set` are set. */
export function tcpFlags(set: readonly TcpFlag[], among: readonly TcpFlag[]): Part {
  const bits = (flags: readonly TcpFlag[]) => u8(flags.reduce((sum, flag) => sum | TCP_FLAGS[flag], 0));
  return {
    within: ['tcp'],
    exprs: [
      { expr: 'payload', base: 'transport', offset: 13, length: 1, dreg: R },
      { expr: 'bitwise', sreg: R, dreg: R, length: 1, mask: bits(among), xor: '00' },
      { expr: 'cmp', op: 'eq', sreg: R, data: bits(set) },
    ],
  };
}

/** `tcp flags & (syn | rst) == syn`: with an answer or without. */
export const opensTcp: Part = flagsFirst(['syn'], ['syn', 'rst']);
/** `tcp flags & (fin | syn | rst | ack) == syn`: the first packet of a connection. */
export const opensConnection: Part = flagsFirst(['syn'], ['fin', 'syn', 'rst', 'ack']);

/**
 * `tcpFlags` as `@th,104,8 & 0x6 == 0x2 meta l4proto tcp`: the byte where TCP has its flags first, which the kernel compares in passing; what protocol
 * it is takes a call, and only few packets come that far.
 */
function flagsFirst(set: readonly TcpFlag[], among: readonly TcpFlag[]): Part {
  return { exprs: [...tcpFlags(set, among).exprs, ...has('tcp').exprs], proves: 'tcp' };
}

/** `icmpv6 type 130-137`: messages whose number lies between both ends, or is the one. */
export function icmpv6Types(from: number, to = from): Part {
  const cmp = (op: NftCompare, n: number): NftExpr => ({ expr: 'cmp', op, sreg: R, data: u8(n) });
  return {
    within: ['ipv6', 'icmpv6'],
    exprs: [
      { expr: 'payload', base: 'transport', offset: 0, length: 1, dreg: R },
      ...(from === to ? [cmp('eq', from)] : [cmp('gte', from), cmp('lte', to)]),
    ],
  };
}

/** `ip6 hoplimit 255`: no router has had it in hand. */
export const unrouted: Part = {
  within: ['ipv6'],
  exprs: [
    { expr: 'payload', base: 'network', offset: 7, length: 1, dreg: R },
    { expr: 'cmp', op: 'eq', sreg: R, data: u8(255) },
  ],
};

const ADDRESS_TYPES = { unicast: 1, local: 2, broadcast: 3, multicast: 5 } as const;

/** `fib daddr type local`: what the routing tables say of the address. */
export function fibType(
  end: 'saddr' | 'daddr',
  type: keyof typeof ADDRESS_TYPES,
  op: 'eq' | 'neq' = 'eq',
): Part {
  return {
    exprs: [
      { expr: 'fib', result: 'type', flags: [end], dreg: R },
      { expr: 'cmp', op, sreg: R, data: u32(ADDRESS_TYPES[type]) },
    ],
  };
}

/** `fib saddr . iif oif missing`: the way back to its source does not lead over the link that it came by. Link-local sources are on every link. */
export const unroutedBack: Part = {
  exprs: [
    { expr: 'fib', result: 'oif', flags: ['saddr', 'iif'], present: true, dreg: R },
    { expr: 'cmp', op: 'eq', sreg: R, data: u32(0) },
  ],
};

/** 32 bits in host order, as registers hold marks and flags. */
export function u32(n: number): string {
  return toHex(Uint8Array.of(n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24));
}

function u8(n: number): string {
  return toHex(Uint8Array.of(n));
}

function anyBit(load: NftExpr, bits: number): Part {
  return {
    exprs: [
      load,
      { expr: 'bitwise', sreg: R, dreg: R, length: 4, mask: u32(bits), xor: u32(0) },
      { expr: 'cmp', op: 'neq', sreg: R, data: u32(0) },
    ],
  };
}

/** Loads fields one behind the other, as the key of a set. */
export function keyOf(fields: Field | readonly Field[]): Part {
  const all = 'load' in fields ? [fields] : fields;
  let dreg = R;
  const exprs = all.map((field) => {
    const load = field.load(dreg);
    dreg += Math.ceil(NFT_VALUES[field.type].bytes / 4);
    return load;
  });
  return { within: all.flatMap((field) => field.within), exprs };
}

function looked(fields: Field | readonly Field[], lookup: NftExpr): Part {
  const { within = [], exprs } = keyOf(fields);
  return { within, exprs: [...exprs, lookup] };
}

function compared(field: Field, text: string, op: 'eq' | 'neq'): Part {
  return { within: field.within, exprs: comparison(field, text, op) };
}

function comparison(field: Field, text: string, op: 'eq' | 'neq'): readonly NftExpr[] {
  const { type } = field;
  const { from, to } = parseNftRange(type, text);
  const cmp = (op: NftCompare, data: string): NftExpr => ({ expr: 'cmp', op, sreg: R, data });
  if (!text.includes('-') || type === 'inet_proto' || type === 'ifname') {
    const bits = commonBits(from, to);
    if (bits === 8 * from.length) return [field.load(R), cmp(op, nftHex(type, from))];
    // nft compares whole bytes only, and needs a mask for the rest.
    const bytes = bits / 8;
    if (Number.isInteger(bytes) && bytes > 0)
      return [field.load(R, bytes), cmp(op, toHex(from.subarray(0, bytes)))];
    const mask = from.map((byte, i) => ~(byte ^ (to[i] ?? 0)) & 0xff);
    const xor = '00'.repeat(from.length);
    const masked: NftExpr = {
      expr: 'bitwise',
      sreg: R,
      dreg: R,
      length: from.length,
      mask: toHex(mask),
      xor,
    };
    return [field.load(R), masked, cmp(op, toHex(from))];
  }
  if (op === 'eq') return [field.load(R), cmp('gte', toHex(from)), cmp('lte', toHex(to))];
  return [field.load(R), { expr: 'range', op, sreg: R, from: toHex(from), to: toHex(to) }];
}

/** Length in bits of the prefix that both ends of a range share. */
function commonBits(from: Uint8Array, to: Uint8Array): number {
  for (const [i, byte] of from.entries()) {
    const difference = byte ^ (to[i] ?? 0);
    if (difference !== 0) return 8 * i + Math.clz32(difference) - 24;
  }
  return 8 * from.length;
}
