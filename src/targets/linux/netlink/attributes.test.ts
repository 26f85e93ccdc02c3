import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc, runs } from '../../../../test/support/property.ts';
import {
  attributes,
  be16,
  be32,
  be64,
  chosenBy,
  eachMessage,
  encode,
  flag,
  i32,
  indexed,
  ip,
  list,
  mac,
  nested,
  raw,
  repeated,
  text,
  u8,
  u16,
  u32,
  u64,
} from './attributes.ts';
import { putAddress, readAddress } from './rtnetlink/address.ts';
import { createLink, type LinkSpec, readLink } from './rtnetlink/link.ts';
import { putFdb, putNeighbor, readFdb, readNeighbor } from './rtnetlink/neighbor.ts';
import { newRoute, type RouteSpec, readRoute } from './rtnetlink/route.ts';
import { newRule, readRule } from './rtnetlink/rule.ts';
import { BadNetlink } from './writer.ts';

const INNER = attributes({ a: [1, u8], b: [2, text] });
const ALL = attributes({
  u8: [1, u8],
  u16: [2, u16],
  u32: [3, u32],
  i32: [4, i32],
  u64: [5, u64],
  be16: [6, be16],
  be32: [7, be32],
  be64: [8, be64],
  flag: [9, flag],
  text: [10, text],
  raw: [11, raw],
  ip: [12, ip],
  mac: [13, mac],
  nested: [14, nested(INNER)],
  list: [15, list(nested(INNER))],
  indexed: [16, indexed(u32)],
  repeated: [17, repeated(text)],
  kind: [18, text],
  data: [19, chosenBy('kind', { inner: INNER, number: attributes({ n: [1, be32] }) })],
});

const word = fc.string({ maxLength: 20 }).filter((s) => !s.includes('\0') && s.isWellFormed());
const inner = fc.record({ a: fc.nat(255), b: word }, { requiredKeys: [] });
const nat = (bits: number) => fc.integer({ min: 0, max: 2 ** bits - 1 });
const big = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const values = fc.record(
  {
    u8: nat(8),
    u16: nat(16),
    u32: nat(32),
    i32: fc.integer(),
    u64: big,
    be16: nat(16),
    be32: nat(32),
    be64: big,
    flag: fc.constant(true as const),
    text: word,
    raw: fc.uint8Array({ maxLength: 30 }).map((b) => Buffer.from(b)),
    ip: fc.constantFrom('10.0.0.1', '::', 'fe80::1', '255.255.255.255'),
    mac: fc.constantFrom('02:00:00:00:00:01', 'ff:ff:ff:ff:ff:ff'),
    nested: inner,
    list: fc.array(inner, { maxLength: 3 }),
    indexed: fc.array(nat(32), { maxLength: 3 }),
    repeated: fc.array(word, { minLength: 1, maxLength: 3 }),
  },
  { requiredKeys: [], noNullPrototype: true },
);

test('what is written is what is read', () => {
  fc.assert(
    fc.property(values, fc.boolean(), inner, nat(32), (plain, which, data, n) => {
      const written = { ...plain, ...(which ? { kind: 'inner', data } : { kind: 'number', data: { n } }) };
      const message = encode(7, 1, (out) => out.u32(0), ALL, written);
      eachMessage(message, message.length, ({ bytes, start, end }) => {
        const read = ALL.read(bytes, start + 4, end, {});
        assert.deepEqual(normal(read), normal(written));
      });
    }),
  );
});

/** Own prototypes and Buffer classes do not count. */
const normal = (value: unknown) =>
  JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? `${v}` : v), 0)
    .split(',')
    .sort()
    .join();

test('golden: bytes of a route as the kernel wants them', () => {
  const route: RouteSpec = {
    family: 'ipv4',
    dst: '10.1.2.0',
    length: 24,
    tos: 0,
    table: 254,
    protocol: 201,
    scope: 0,
    type: 'unicast',
    metric: 0,
    source: undefined,
    mtu: undefined,
    hops: [{ index: 7, flags: 4, weight: 1, via: 'fe80::2' }],
  };
  assert.equal(
    newRoute(route, 0x500).toString('hex').match(/.{8}/g)?.join(' '),
    [
      '4c000000 18000105 00000000 00000000', // nlmsghdr: 76 bytes, RTM_NEWROUTE, REQUEST|REPLACE|CREATE
      '02180000 00c90001 04000000', // rtmsg: AF_INET /24, proto 201, universe, unicast, RTNH_F_ONLINK
      '08000100 0a010200', // RTA_DST
      '08000400 07000000', // RTA_OIF
      '16001200 0a00fe80 00000000 00000000 00000000 00020000', // RTA_VIA AF_INET6 fe80::2, padding
      '08000f00 fe000000', // RTA_TABLE
    ].join(' '),
  );
});

const link: LinkSpec & { name: string } = {
  name: 'fl-vxlan',
  mtu: 1450,
  mac: '02:00:00:00:00:01',
  alias: 'fairlead',
  noAutoAddress: true,
  vxlan: { vni: 1, port: 8472, underlay: 3, local4: '192.0.2.1', learning: 0 },
};
const hop = (index: number, via: string) => ({ index, flags: 4, weight: 3, via });
const route: RouteSpec = {
  family: 'ipv6',
  dst: 'fd00:1::',
  length: 64,
  tos: 0,
  table: 1000,
  protocol: 201,
  scope: 0,
  type: 'unicast',
  metric: 0,
  source: 'fd00::1',
  mtu: 1400,
  hops: [hop(3, 'fe80::2'), hop(4, 'fe80::3')],
};
/** Real messages, each with its reader. */
const SAMPLES = [
  [createLink(link), readLink],
  [createLink({ name: 'v0', veth: { peer: { name: 'v1', mtu: 1400 } } }), readLink],
  [newRoute(route, 0x600), readRoute],
  [newRoute({ ...route, family: 'ipv4', dst: '10.0.0.0', length: 8, source: '10.0.0.1' }, 0x600), readRoute],
  [putAddress(3, 'fe80::1', 64), readAddress],
  [putNeighbor(3, '10.0.0.1', '02:00:00:00:00:01'), readNeighbor],
  [putFdb(3, '02:00:00:00:00:01', '192.0.2.1'), readFdb],
  [
    newRule({
      family: 'ipv4',
      priority: 9,
      table: 77,
      from: { address: '10.0.0.0', length: 8 },
      to: undefined,
      mark: { value: 1, mask: 255 },
      protocol: 201,
    }),
    readRule,
  ],
] as const;
const READERS = [readLink, readRoute, readAddress, readNeighbor, readFdb, readRule];

test('samples read back', () => {
  for (const [bytes, read] of SAMPLES) {
    eachMessage(bytes, bytes.length, (message) => assert.ok(read(message), read.name));
  }
  const [bytes] = SAMPLES[3];
  eachMessage(bytes, bytes.length, (message) => {
    assert.deepEqual(
      readRoute(message)?.hops.map(({ index, via, weight, flags }) => ({ index, via, weight, flags })),
      route.hops,
    );
  });
});

/** Reads with every reader; anything but BadNetlink is a defect. Bytes behind the limit are poison that must not be seen. */
function readAll(bytes: Uint8Array): void {
  const poisoned = Buffer.concat([bytes, Buffer.alloc(64, 0x41)]);
  const exact = Buffer.from(bytes);
  for (const read of READERS) {
    assert.deepEqual(
      outcome(poisoned, bytes.length, read),
      outcome(exact, bytes.length, read),
      'reads past the end',
    );
  }
}

function outcome(bytes: Buffer, length: number, read: (typeof READERS)[number]): unknown {
  const results: unknown[] = [];
  try {
    eachMessage(bytes, length, (message) => results.push(read(message)));
  } catch (error) {
    if (!(error instanceof BadNetlink)) throw error;
    results.push('bad');
  }
  return results;
}

test('arbitrary bytes never throw anything untyped and are never read past their end', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), readAll), { numRuns: runs(500) });
});

test('truncated and mutated messages neither', () => {
  const mutation = fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 4, 255)));
  fc.assert(
    fc.property(
      fc.constantFrom(...SAMPLES.map(([bytes]) => bytes)),
      fc.array(mutation, { maxLength: 4 }),
      fc.nat(),
      fc.boolean(),
      (sample, mutations, cut, whole) => {
        const bytes = Buffer.from(whole ? sample : sample.subarray(0, cut % sample.length));
        for (const [at, value] of mutations) if (bytes.length > 0) bytes[at % bytes.length] = value;
        // Half of them with a message length that fits, so that the attributes are reached.
        if (cut % 2 === 0 && bytes.length >= 16) bytes.writeUInt32LE(bytes.length, 0);
        readAll(bytes);
      },
    ),
    { numRuns: runs(3000) },
  );
});

test('an attribute that is too long is refused', () => {
  const big = attributes({ data: [1, raw] });
  assert.throws(() => encode(1, 1, () => {}, big, { data: new Uint8Array(70_000) }), BadNetlink);
});
