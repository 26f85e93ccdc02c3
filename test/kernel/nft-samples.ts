/** At least one accepted example of every kind of expression and, for those with keys, of every key. */
import type { NftCtKey, NftExpr, NftMetaKey } from '../../src/model/rows/nft.ts';

/** Sets that the samples refer to, made by `sampleSets`. */
export const PLAIN_SET = 'samplePlain';
export const DYNAMIC_SET = 'sampleDynamic';
export const MAP = 'sampleMap';

const META: readonly NftMetaKey[] = [
  'length',
  'protocol',
  'priority',
  'mark',
  'iif',
  'oif',
  'iifname',
  'oifname',
  'iiftype',
  'oiftype',
  'skuid',
  'skgid',
  'nfproto',
  'l4proto',
  'iifkind',
  'oifkind',
  'pkttype',
  'cpu',
  'iifgroup',
  'oifgroup',
  'cgroup',
  'prandom',
  'sdif',
  'sdifname',
];
const CT: readonly NftCtKey[] = [
  'state',
  'direction',
  'status',
  'mark',
  'expiration',
  'helper',
  'l3proto',
  'protocol',
  'zone',
  'id',
];
const CT_DIRECTED: readonly NftCtKey[] = ['proto-src', 'proto-dst', 'src-ip', 'dst-ip', 'src-ip6', 'dst-ip6'];

const dreg = 8;
const sreg = 8;
const address: NftExpr = { expr: 'payload', base: 'network', offset: 12, length: 4, dreg };
const port: NftExpr = { expr: 'payload', base: 'transport', offset: 2, length: 2, dreg };
const mark: NftExpr = { expr: 'meta', key: 'mark', dreg };
const four: NftExpr = { expr: 'immediate', dreg, data: '0a000001' };
const two: NftExpr = { expr: 'immediate', dreg: 12, data: '0050' };

/** By name: expressions of a rule in a chain that nothing jumps to, where the kernel does not ask for a hook. */
export const SAMPLES: Readonly<Record<string, readonly NftExpr[]>> = {
  ...Object.fromEntries(META.map((key) => [`meta ${key}`, [{ expr: 'meta', key, dreg }]])),
  'meta-set mark': [four, { expr: 'meta-set', key: 'mark', sreg }],
  'meta-set priority': [four, { expr: 'meta-set', key: 'priority', sreg }],
  'payload link': [{ expr: 'payload', base: 'link', offset: 6, length: 6, dreg }],
  'payload network': [address],
  'payload in another register': [{ expr: 'payload', base: 'network', offset: 12, length: 4, dreg: 11 }],
  'payload inner': [{ expr: 'payload', base: 'inner', offset: 8, length: 4, dreg }],
  'payload-set without checksum': [four, { expr: 'payload-set', base: 'link', offset: 0, length: 4, sreg }],
  'payload-set with checksum': [
    four,
    {
      expr: 'payload-set',
      base: 'network',
      offset: 12,
      length: 4,
      sreg,
      checksumOffset: 10,
      checksumFlags: 1,
    },
  ],
  ...Object.fromEntries(
    (['eq', 'neq', 'lt', 'lte', 'gt', 'gte'] as const).map((op) => [
      `cmp ${op}`,
      [address, { expr: 'cmp', op, sreg, data: '0a000001' }],
    ]),
  ),
  'range eq': [address, { expr: 'range', op: 'eq', sreg, from: '0a000001', to: '0a000009' }],
  'range neq': [address, { expr: 'range', op: 'neq', sreg, from: '0a000001', to: '0a000009' }],
  bitwise: [address, { expr: 'bitwise', sreg, dreg: 9, length: 4, mask: 'ff000000', xor: '00000001' }],
  'byteorder hton': [mark, { expr: 'byteorder', sreg, dreg, op: 'hton', length: 4, size: 4 }],
  'byteorder ntoh': [mark, { expr: 'byteorder', sreg, dreg, op: 'ntoh', length: 2, size: 2 }],
  lookup: [address, { expr: 'lookup', set: PLAIN_SET, sreg }],
  'lookup inverted': [address, { expr: 'lookup', set: PLAIN_SET, sreg, invert: true }],
  'lookup in a map': [address, { expr: 'lookup', set: MAP, sreg, dreg: 9 }],
  'dynset add': [address, { expr: 'dynset', set: DYNAMIC_SET, op: 'add', sreg, timeout: 5000 }],
  'dynset update': [address, { expr: 'dynset', set: DYNAMIC_SET, op: 'update', sreg }],
  'dynset delete': [address, { expr: 'dynset', set: DYNAMIC_SET, op: 'delete', sreg }],
  immediate: [four],
  'verdict accept': [{ expr: 'verdict', verdict: { verdict: 'accept' } }],
  'verdict drop': [{ expr: 'verdict', verdict: { verdict: 'drop' } }],
  'verdict continue': [{ expr: 'verdict', verdict: { verdict: 'continue' } }],
  'verdict return': [{ expr: 'verdict', verdict: { verdict: 'return' } }],
  ...Object.fromEntries(CT.map((key) => [`ct ${key}`, [{ expr: 'ct', key, dreg }]])),
  ...Object.fromEntries(
    CT_DIRECTED.map((key) => [`ct ${key}`, [{ expr: 'ct', key, dreg, direction: 'original' }]]),
  ),
  'ct reply': [{ expr: 'ct', key: 'src-ip', dreg, direction: 'reply' }],
  'ct-set mark': [mark, { expr: 'ct-set', key: 'mark', sreg }],
  counter: [{ expr: 'counter' }],
  limit: [{ expr: 'limit', rate: 10, unit: 60, burst: 7 }],
  'limit over': [{ expr: 'limit', rate: 10, unit: 86400, burst: 1, over: true }],
  'log to the kernel log': [{ expr: 'log', prefix: 'x' }],
  'log to a group': [{ expr: 'log', group: 0, prefix: 'denied ', snaplen: 128, qthreshold: 4 }],
  'reject icmp': [{ expr: 'reject', type: 'icmp', code: 3 }],
  'reject icmpx': [{ expr: 'reject', type: 'icmpx', code: 0 }],
  'reject reset': [{ expr: 'reject', type: 'tcp-reset', code: 0 }],
  'nat snat': [four, { expr: 'nat', type: 'snat', family: 'ipv4', addrMin: 8 }],
  'nat dnat range': [
    four,
    { expr: 'immediate', dreg: 9, data: '0a000009' },
    two,
    { expr: 'immediate', dreg: 13, data: '0060' },
    {
      expr: 'nat',
      type: 'dnat',
      family: 'ipv4',
      addrMin: 8,
      addrMax: 9,
      protoMin: 12,
      protoMax: 13,
      flags: 4,
    },
  ],
  'nat ports only': [two, { expr: 'nat', type: 'dnat', family: 'ipv6', protoMin: 12 }],
  masquerade: [{ expr: 'masquerade' }],
  'masquerade random': [{ expr: 'masquerade', flags: 20 }],
  redirect: [{ expr: 'redirect' }],
  'redirect to a port': [two, { expr: 'redirect', protoMin: 12 }],
  'exthdr tcp option': [{ expr: 'exthdr', op: 'tcpopt', type: 2, offset: 2, length: 2, dreg }],
  'exthdr present': [{ expr: 'exthdr', op: 'ipv6', type: 43, offset: 0, length: 1, dreg, present: true }],
  'exthdr-set': [two, { expr: 'exthdr-set', op: 'tcpopt', type: 2, offset: 2, length: 2, sreg: 12 }],
  ...Object.fromEntries(
    (['nexthop4', 'nexthop6', 'tcpmss'] as const).map((key) => [`rt ${key}`, [{ expr: 'rt', key, dreg }]]),
  ),
  'rt classid': [{ expr: 'rt', key: 'classid', dreg }],
  'fib type': [{ expr: 'fib', result: 'type', flags: ['daddr', 'iif'], dreg }],
  'fib oif': [{ expr: 'fib', result: 'oif', flags: ['saddr', 'mark'], dreg }],
  'fib oifname': [{ expr: 'fib', result: 'oifname', flags: ['daddr'], dreg }],
  'fib present': [{ expr: 'fib', result: 'oif', flags: ['saddr', 'iif'], dreg, present: true }],
  'numgen incremental': [{ expr: 'numgen', type: 'incremental', modulus: 3, offset: 1, dreg }],
  'numgen random': [{ expr: 'numgen', type: 'random', modulus: 3, dreg }],
  'hash jenkins': [
    address,
    { expr: 'hash', type: 'jenkins', sreg, length: 4, modulus: 16, seed: 7, offset: 1, dreg: 9 },
  ],
  'hash without seed': [port, { expr: 'hash', type: 'jenkins', sreg, length: 2, modulus: 2, dreg: 9 }],
  'hash symmetric': [{ expr: 'hash', type: 'symmetric', modulus: 2, dreg }],
  notrack: [{ expr: 'notrack' }],
  queue: [{ expr: 'queue', num: 3, total: 2, flags: 1 }],
};
