/**
 * Expressions of rules as one table: each kind of `NftExpr` is one of the kernel's expressions (`NFTA_EXPR_NAME`) with certain attributes.
 * What the kernel reports in other words (defaults, doubled registers) is brought to one normal form here.
 */
import type { NftExpr } from '../../../../model/rows/nft.ts';
import { attributes, be16, be32, type Schema, type Table, text, u8 } from '../attributes.ts';
import { BadNetlink } from '../writer.ts';
import { be64Number, bit, bits, constant, hex, named, register, verdict } from './values.ts';

type Kind = NftExpr['expr'];
export type Fields = Readonly<Record<string, unknown>>;

export interface Variant {
  readonly kind: Kind;
  /** The kernel's name. */
  readonly name: string;
  readonly table: Table<Schema>;
  readonly types: ReadonlySet<number>;
  readonly required: readonly string[];
  readonly fields: readonly string[];
  /** Values that mean the same as nothing. */
  readonly defaults: Fields;
  readonly toKernel: (fields: Fields) => Fields;
  readonly fromKernel: (fields: Fields) => Fields;
}

interface Details {
  readonly optional?: Schema;
  readonly defaults?: Fields;
  /** Attributes without meaning for us: counters, paddings. */
  readonly ignored?: readonly number[];
  readonly toKernel?: (fields: Fields) => Fields;
  readonly fromKernel?: (fields: Fields) => Fields;
}

const same = (fields: Fields) => fields;
const ALL: Variant[] = [];
/** Every kind of expression. The first that fits what the kernel says is taken. */
export const VARIANTS: readonly Variant[] = ALL;

function variant(kind: Kind, name: string, required: Schema, details: Details = {}): void {
  const schema = { ...required, ...details.optional };
  ALL.push({
    kind,
    name,
    table: attributes(schema),
    types: new Set([...Object.values(schema).map(([type]) => type), ...(details.ignored ?? [])]),
    required: Object.keys(required),
    fields: Object.keys(schema),
    defaults: details.defaults ?? {},
    toKernel: details.toKernel ?? same,
    fromKernel: details.fromKernel ?? same,
  });
}

const META = named(be32, {
  length: 0,
  protocol: 1,
  priority: 2,
  mark: 3,
  iif: 4,
  oif: 5,
  iifname: 6,
  oifname: 7,
  iiftype: 8,
  oiftype: 9,
  skuid: 10,
  skgid: 11,
  nfproto: 15,
  l4proto: 16,
  bri_iifname: 17,
  bri_oifname: 18,
  pkttype: 19,
  cpu: 20,
  iifgroup: 21,
  oifgroup: 22,
  cgroup: 23,
  prandom: 24,
  iifkind: 26,
  oifkind: 27,
  sdif: 33,
  sdifname: 34,
});
const CT = named(be32, {
  state: 0,
  direction: 1,
  status: 2,
  mark: 3,
  expiration: 5,
  helper: 6,
  l3proto: 7,
  protocol: 10,
  'proto-src': 11,
  'proto-dst': 12,
  zone: 17,
  'src-ip': 19,
  'dst-ip': 20,
  'src-ip6': 21,
  'dst-ip6': 22,
  id: 23,
});
const BASE = named(be32, { link: 0, network: 1, transport: 2, inner: 3 });
const COMPARE = named(be32, { eq: 0, neq: 1, lt: 2, lte: 3, gt: 4, gte: 5 });
const FAMILY = named(be32, { ipv4: 2, ipv6: 10 });

variant('meta', 'meta', { dreg: [1, register], key: [2, META] });
variant('meta-set', 'meta', { key: [2, META], sreg: [3, register] });
variant('payload', 'payload', {
  dreg: [1, register],
  base: [2, BASE],
  offset: [3, be32],
  length: [4, be32],
});
variant(
  'payload-set',
  'payload',
  { base: [2, BASE], offset: [3, be32], length: [4, be32], sreg: [5, register] },
  {
    optional: {
      checksumType: [6, named(be32, { none: 0, inet: 1 })],
      checksumOffset: [7, be32],
      checksumFlags: [8, be32],
    },
    defaults: { checksumFlags: 0 },
    toKernel: (f) => ({ ...f, checksumType: f.checksumOffset === undefined ? undefined : 'inet' }),
    fromKernel: ({ checksumType, checksumOffset, ...f }) =>
      checksumType === 'inet' ? { ...f, checksumOffset } : f,
  },
);
variant('cmp', 'cmp', { sreg: [1, register], op: [2, COMPARE], data: [3, hex] });
variant('range', 'range', {
  sreg: [1, register],
  op: [2, named(be32, { eq: 0, neq: 1 })],
  from: [3, hex],
  to: [4, hex],
});
variant(
  'bitwise',
  'bitwise',
  { sreg: [1, register], dreg: [2, register], length: [3, be32], mask: [4, hex], xor: [5, hex] },
  { optional: { op: [6, constant(be32, 0)] }, defaults: { op: 0 } },
);
variant('byteorder', 'byteorder', {
  sreg: [1, register],
  dreg: [2, register],
  op: [3, named(be32, { ntoh: 0, hton: 1 })],
  length: [4, be32],
  size: [5, be32],
});
variant(
  'lookup',
  'lookup',
  { set: [1, text], sreg: [2, register] },
  { optional: { dreg: [3, register], invert: [5, bit(be32, 1)] }, defaults: { invert: false } },
);
variant(
  'dynset',
  'dynset',
  {
    set: [1, text],
    op: [3, named(be32, { add: 0, update: 1, delete: 2 })],
    sreg: [4, register],
  },
  {
    optional: { dataReg: [5, register], timeout: [6, be64Number], flags: [9, constant(be32, 0)] },
    defaults: { timeout: 0, flags: 0 },
    ignored: [8],
  },
);
variant(
  'verdict',
  'immediate',
  { dreg: [1, constant(be32, 0)], verdict: [2, verdict] },
  {
    toKernel: (f) => ({ ...f, dreg: 0 }),
    fromKernel: ({ verdict }) => ({ verdict }),
  },
);
variant('immediate', 'immediate', { dreg: [1, register], data: [2, hex] });
variant(
  'ct',
  'ct',
  { dreg: [1, register], key: [2, CT] },
  { optional: { direction: [3, named(u8, { original: 0, reply: 1 })] } },
);
variant('ct-set', 'ct', { key: [2, named(be32, { mark: 3 })], sreg: [4, register] });
variant('counter', 'counter', {}, { ignored: [1, 2, 3] });
variant(
  'limit',
  'limit',
  { rate: [1, be64Number], unit: [2, be64Number], burst: [3, be32] },
  {
    optional: { type: [4, constant(be32, 0)], over: [5, bit(be32, 1)] },
    defaults: { type: 0, over: false },
    ignored: [6],
  },
);
variant(
  'log',
  'log',
  {},
  {
    optional: {
      group: [1, be16],
      prefix: [2, text],
      snaplen: [3, be32],
      qthreshold: [4, be16],
      level: [5, constant(be32, 4)],
      flags: [6, constant(be32, 0)],
    },
    defaults: { snaplen: 0, qthreshold: 0, level: 4, flags: 0, prefix: '' },
  },
);
variant(
  'reject',
  'reject',
  { type: [1, named(be32, { icmp: 0, 'tcp-reset': 1, icmpx: 2 })] },
  {
    optional: { code: [2, u8] },
    // A reset has no code; the kernel does not repeat one.
    fromKernel: (f) => ({ ...f, code: f.code ?? 0 }),
  },
);
/** NF_NAT_RANGE_MAP_IPS and _PROTO_SPECIFIED: the kernel derives them from the registers. */
const DERIVED_NAT_FLAGS = 3;
variant(
  'nat',
  'nat',
  { type: [1, named(be32, { snat: 0, dnat: 1 })], family: [2, FAMILY] },
  {
    optional: {
      addrMin: [3, register],
      addrMax: [4, register],
      protoMin: [5, register],
      protoMax: [6, register],
      flags: [7, be32],
    },
    defaults: { flags: 0 },
    fromKernel: withoutDoubles,
  },
);
variant('masquerade', 'masq', {}, { optional: { flags: [1, be32] }, defaults: { flags: 0 } });
variant(
  'redirect',
  'redir',
  {},
  {
    optional: { protoMin: [1, register], protoMax: [2, register], flags: [3, be32] },
    defaults: { flags: 0 },
    fromKernel(found) {
      const { protoMax, flags, ...rest } = withoutDoubles(found);
      if (protoMax !== undefined || flags !== 0) throw new BadNetlink('a redirect of another kind');
      return rest;
    },
  },
);
const EXTHDR = { type: [2, u8], offset: [3, be32], length: [4, be32] } as const;
variant(
  'exthdr',
  'exthdr',
  { dreg: [1, register], ...EXTHDR, op: [6, named(be32, { ipv6: 0, tcpopt: 1 })] },
  { optional: { present: [5, bit(be32, 1)] }, defaults: { present: false } },
);
variant(
  'exthdr-set',
  'exthdr',
  { ...EXTHDR, op: [6, named(be32, { tcpopt: 1 })], sreg: [7, register] },
  { optional: { flags: [5, constant(be32, 0)] }, defaults: { flags: 0 } },
);
variant('rt', 'rt', {
  dreg: [1, register],
  key: [2, named(be32, { classid: 0, nexthop4: 1, nexthop6: 2, tcpmss: 3 })],
});
const FIB_FLAGS = { saddr: 1, daddr: 2, mark: 4, iif: 8, oif: 16 } as const;
variant(
  'fib',
  'fib',
  {
    dreg: [1, register],
    result: [2, named(be32, { oif: 1, oifname: 2, type: 3 })],
    flags: [3, bits(be32, { ...FIB_FLAGS, present: 32 })],
  },
  {
    defaults: { present: false },
    toKernel: ({ present, flags, ...f }) => ({
      ...f,
      flags: present ? [...namesIn(flags), 'present'] : flags,
    }),
    fromKernel: ({ flags, ...f }) => ({
      ...f,
      flags: Object.keys(FIB_FLAGS).filter((flag) => namesIn(flags).includes(flag)),
      present: namesIn(flags).includes('present'),
    }),
  },
);
variant(
  'numgen',
  'numgen',
  {
    dreg: [1, register],
    modulus: [2, be32],
    type: [3, named(be32, { incremental: 0, random: 1 })],
  },
  { optional: { offset: [4, be32] }, defaults: { offset: 0 } },
);
variant(
  'hash',
  'hash',
  { dreg: [2, register], modulus: [4, be32], type: [7, named(be32, { jenkins: 0, symmetric: 1 })] },
  {
    optional: { sreg: [1, register], length: [3, be32], seed: [5, be32], offset: [6, be32] },
    defaults: { offset: 0 },
  },
);
variant('notrack', 'notrack', {});
variant(
  'queue',
  'queue',
  { num: [1, be16], total: [2, be16] },
  { optional: { flags: [3, be16] }, defaults: { flags: 0 } },
);

/** The kernel repeats a lower end as the upper one, and flags that follow from the registers. */
function withoutDoubles(found: Fields): Fields {
  const { addrMax, protoMax, flags, ...rest } = found;
  return {
    ...rest,
    ...(addrMax !== rest.addrMin && { addrMax }),
    ...(protoMax !== rest.protoMin && { protoMax }),
    flags: (typeof flags === 'number' ? flags : 0) & ~DERIVED_NAT_FLAGS,
  };
}

function namesIn(flags: unknown): readonly string[] {
  return Array.isArray(flags) ? flags : [];
}
