import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SAMPLES } from '../../../../../test/kernel/nft-samples.ts';
import { fc, runs } from '../../../../../test/support/property.ts';
import { NFT_TABLE, type NftElement, type NftExpr, type NftSet } from '../../../../model/rows/nft.ts';
import { DriftReader } from '../../nft/drift.ts';
import { Known } from '../../nft/known.ts';
import { be32, eachMessage, type NetlinkMessage } from '../attributes.ts';
import { flowOf } from '../conntrack/flows.ts';
import { BadNetlink } from '../writer.ts';
import { addElements, ELEMENTS_PER_MESSAGE, elementsOf, readElements, wireElements } from './elements.ts';
import { normalExpression } from './expressions.ts';
import { sameBody } from './normal.ts';
import { chainOf, generationOf, newChain, newRule, newTable, ruleOf } from './objects.ts';
import { countedSetOf, newSet, setOf } from './sets.ts';
import { be64Number, bits, hex, register, verdict } from './values.ts';

function messages(bytes: Buffer): NetlinkMessage[] {
  const found: NetlinkMessage[] = [];
  eachMessage(bytes, bytes.length, (message) => found.push(message));
  return found;
}

const only = (bytes: Buffer) => messages(bytes)[0] ?? assert.fail('no message');

test('every expression reads as it was written', () => {
  for (const [name, exprs] of Object.entries(SAMPLES)) {
    const read = ruleOf(only(newRule('inet', 'c', { exprs, comment: name })), 'inet');
    assert.deepEqual(read, { chain: 'c', rule: { exprs: exprs.map(normalExpression), comment: name } }, name);
  }
});

test('an expression that we do not know is kept as it is, and is the same as nothing else', () => {
  const quota: NftExpr = { expr: 'other', name: 'quota', data: '0c00010000000000000000ff' };
  const { rule } = ruleOf(only(newRule('inet', 'c', { exprs: [quota] })), 'inet') ?? assert.fail();
  assert.deepEqual(rule.exprs, [quota]);
  // A known name with an attribute that we never write: a lookup by set number.
  const lookup: NftExpr = { expr: 'other', name: 'lookup', data: '0800040000000001' };
  assert.deepEqual(ruleOf(only(newRule('inet', 'c', { exprs: [lookup] })), 'inet')?.rule.exprs, [lookup]);
});

test('rows that mean the same are the same', () => {
  const chain = (exprs: readonly NftExpr[]) =>
    ({ kind: 'chain', name: 'c', hook: undefined, rules: [{ exprs }] }) as const;
  const same = (a: NftExpr, b: NftExpr) => sameBody(chain([a]), chain([b]));
  const lookup = { expr: 'lookup', set: 's', sreg: 8 } as const;
  assert.ok(same(lookup, { sreg: 8, set: 's', expr: 'lookup', invert: false }));
  assert.ok(!same(lookup, { ...lookup, invert: true }));
  const nat = { expr: 'nat', type: 'snat', family: 'ipv4', addrMin: 8 } as const;
  assert.ok(same(nat, { ...nat, addrMax: 8, flags: 1 }));
  assert.ok(!same(nat, { ...nat, addrMax: 9 }));
  assert.ok(
    same(
      { expr: 'fib', result: 'type', flags: ['iif', 'daddr'], dreg: 8 },
      { expr: 'fib', result: 'type', flags: ['daddr', 'iif'], dreg: 8, present: false },
    ),
  );
});

test('chains and sets read as they were written', () => {
  const hook = { type: 'filter', hook: 'ingress', device: 'lo', priority: -5, policy: 'drop' } as const;
  for (const chain of [
    { kind: 'chain', name: 'base', hook, rules: [] },
    { kind: 'chain', name: 'plain', hook: undefined, rules: [] },
  ] as const)
    assert.deepEqual(chainOf(only(newChain('inet', chain)), 'inet'), chain);
  const sets: NftSet[] = [
    { kind: 'set', name: 'a', key: ['ipv4_addr'], interval: false },
    {
      kind: 'set',
      name: 'b',
      key: ['ipv6_addr', 'inet_proto', 'inet_service'],
      interval: true,
      comment: 'c',
    },
    { kind: 'set', name: 'c', key: ['mark'], value: 'verdict', interval: false, size: 9 },
    { kind: 'set', name: 'd', key: ['ifname'], value: ['mark', 'ipv4_addr'], interval: true, timeout: 1000 },
    { kind: 'set', name: 'e', key: ['ether_addr'], interval: false, dynamic: true, timeout: 0 },
  ];
  for (const set of sets) assert.deepEqual(setOf(only(newSet('inet', set, 1)), 'inet'), set);
});

test('a full message of the largest elements fits an attribute', () => {
  const set: NftSet = {
    kind: 'set',
    name: 's'.repeat(255),
    key: ['ipv6_addr', 'ipv6_addr', 'ifname', 'ifname'],
    value: 'verdict',
    interval: true,
    timeout: 0,
  };
  const element: NftElement = {
    kind: 'element',
    set: set.name,
    key: ['fd00::/64', 'fd00:1::/64', 'x'.repeat(15), 'y'.repeat(15)],
    value: { verdict: 'jump', chain: 'c'.repeat(255) },
    timeout: 1000,
    comment: 'z'.repeat(127),
  };
  const wire = Array.from({ length: ELEMENTS_PER_MESSAGE }, () => wireElements(set, element)).flat();
  const read = readElements(set, elementsOf(only(addElements('inet', set.name, wire))));
  assert.equal(read.length, ELEMENTS_PER_MESSAGE);
  assert.deepEqual(read[0], element);
});

test('ranges side by side, at both ends of the space, in any order', () => {
  const set: NftSet = { kind: 'set', name: 's', key: ['inet_service'], interval: true };
  const keys = ['0-9', '10-19', '20', '21', '100', '65530-65535'];
  const wire = keys.flatMap((key) => wireElements(set, { kind: 'element', set: 's', key: [key] }));
  for (const order of [wire, wire.toReversed()])
    assert.deepEqual(
      readElements(set, order).map(({ key }) => key[0]),
      keys,
    );
});

test('elements that do not fit their set are refused', () => {
  const set: NftSet = {
    kind: 'set',
    name: 's',
    key: ['ipv4_addr'],
    value: ['mark'],
    interval: false,
    timeout: 50,
  };
  const element: NftElement = { kind: 'element', set: 's', key: ['10.0.0.1'], value: ['0x00000001'] };
  assert.equal(wireElements(set, element).length, 1);
  for (const wrong of [
    { key: ['10.0.0.1', '80'] },
    { key: ['10.0.0.0/24'] },
    { value: { verdict: 'accept' } as const },
    { value: ['0x00000001', '0x00000001'] },
    { timeout: 50 },
    { comment: 'x'.repeat(128) },
  ])
    assert.throws(() => wireElements(set, { ...element, ...wrong }), { name: 'FairleadError' });
  const { value: _, ...bare } = element;
  assert.throws(() => wireElements(set, bare), /wants a value/);
});

test('decoders never throw an untyped error and never read past their message', () => {
  const set: NftSet = { kind: 'set', name: 's', key: ['ipv4_addr', 'inet_service'], interval: true };
  const element: NftElement = { kind: 'element', set: 's', key: ['10.0.0.0/24', '80-90'], comment: 'c' };
  const range: NftSet = { ...set, key: ['ipv4_addr'], value: 'verdict' };
  const seeds = [
    newTable('inet'),
    newChain('inet', {
      kind: 'chain',
      name: 'c',
      hook: { type: 'nat', hook: 'input', priority: 1, policy: 'drop' },
      rules: [],
    }),
    newSet('inet', set, 1),
    addElements('inet', 's', wireElements(set, element)),
    addElements(
      'inet',
      's',
      wireElements(range, {
        kind: 'element',
        set: 's',
        key: ['10.0.0.0/8'],
        value: { verdict: 'jump', chain: 'c' },
      }),
    ),
    ...Object.values(SAMPLES).map((exprs) => newRule('inet', 'c', { exprs, comment: 'x' })),
  ];
  const known = new Known();
  known.learn({ key: 'set s', wanted: set, found: undefined });
  const readers: ((message: NetlinkMessage) => unknown)[] = [
    (message) => chainOf(message, 'inet'),
    (message) => ruleOf(message, 'inet'),
    (message) => setOf(message, 'inet'),
    (message) => countedSetOf(message, 'inet'),
    generationOf,
    flowOf,
    (message) => readElements(set, elementsOf(message)),
    (message) => readElements(range, elementsOf(message)),
    (message) => new DriftReader('inet', 1, known, () => {}).take(message),
  ];
  // Half of the edits hit the first byte of a word, where lengths lie.
  const edits = fc.array(fc.tuple(fc.nat(2000), fc.oneof(fc.nat(255), fc.nat(24)), fc.boolean()), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(fc.constantFrom(...seeds), edits, fc.nat(64), (seed, changed, cut) => {
      // The message lies in a larger buffer whose rest, if it is read, shows: it is full of 0xee.
      const bytes = Buffer.alloc(seed.length + 64, 0xee);
      seed.copy(bytes);
      for (const [place, value, word] of changed) {
        const at = 16 + (place % (seed.length - 16));
        bytes[word ? at & ~3 : at] = value;
      }
      const end = Math.max(16, seed.length - cut);
      const message: NetlinkMessage = { type: 2560, flags: 0, sequence: 0, port: 0, bytes, start: 16, end };
      const other = { ...message, bytes: Buffer.from(bytes).fill(0x11, end) };
      for (const read of readers) assert.deepEqual(outcome(read, message), outcome(read, other));
    }),
    { numRuns: runs(3000) },
  );
});

test('a payload that is too short is not read beyond its end', () => {
  const bytes = Buffer.alloc(64);
  const codecs = { be64Number, register, hex, verdict, bits: bits(be32, { one: 1 }) };
  for (const [name, codec] of Object.entries(codecs))
    for (const length of [0, 1, 3])
      assert.throws(() => codec.read(bytes, 8, 8 + length, {}), BadNetlink, name);
});

/** The result, or the words of a typed error. */
function outcome(read: (message: NetlinkMessage) => unknown, message: NetlinkMessage): unknown {
  try {
    return read(message);
  } catch (error) {
    if (error instanceof BadNetlink) return error.message;
    throw error;
  }
}

test('messages are about our table', () => {
  assert.ok(newTable('inet').includes(`${NFT_TABLE}\0`));
});
