import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc, runs } from '../../../../test/support/property.ts';
import { cidr, contains, networkOf, overlaps } from '../../../model/net/cidr.ts';
import { compareIp, ipFromBytes } from '../../../model/net/ip.ts';
import { blocksOf } from './blocks.ts';

const blocks = (...texts: readonly string[]) =>
  texts.map((text) => {
    const [whole = '', ...except] = text.split(' ');
    return { cidr: cidr(whole), except: except.map(cidr) };
  });

const prefixesOf = (all: Parameters<typeof blocksOf>[0]) => blocksOf(all).flatMap(({ prefixes }) => prefixes);

const CASES: readonly [about: string, blocks: readonly string[], prefixes: readonly string[]][] = [
  ['a block as it is', ['10.0.0.0/8'], ['10.0.0.0/8']],
  ['one half taken away', ['10.0.0.0/8 10.128.0.0/9'], ['10.0.0.0/9']],
  ['all taken away', ['10.0.0.0/8 10.0.0.0/8'], []],
  ['an exception wider than its block leaves nothing of it', ['10.1.0.0/16 10.0.0.0/8'], []],
  ['an exception outside its block takes nothing', ['10.1.0.0/16 10.2.0.0/16'], ['10.1.0.0/16']],
  ['an exception of the other family takes nothing', ['10.1.0.0/16 ::/0'], ['10.1.0.0/16']],
  [
    'exceptions may overlap and stand in any order',
    ['10.0.0.0/29 10.0.0.6/32 10.0.0.4/31 10.0.0.4/30'],
    ['10.0.0.0/30'],
  ],
  [
    'P8: what one block excepts another may contain',
    ['10.0.0.0/30 10.0.0.1/32', '10.0.0.1/32'],
    ['10.0.0.0/30'],
  ],
  ['blocks that meet become one', ['10.0.0.0/25', '10.0.0.128/25'], ['10.0.0.0/24']],
  [
    'both families, IPv4 first, in order',
    ['fd00::/16', '10.2.0.0/16', '10.0.0.0/16'],
    ['10.0.0.0/16', '10.2.0.0/16', 'fd00::/16'],
  ],
  [
    'everything but one address',
    ['0.0.0.0/0 255.255.255.255/32'],
    Array.from({ length: 32 }, (_, i) => networkOf(ipFromBytes(highBits(i)), i + 1)),
  ],
  ['everything but one half of IPv6', ['::/0 8000::/1'], ['::/1']],
  ['no blocks', [], []],
];

/** The first `n` bits set. */
function highBits(n: number): Uint8Array {
  return Uint8Array.from({ length: 4 }, (_, i) => (0xff << (8 - Math.min(8, Math.max(0, n - 8 * i)))) & 0xff);
}

for (const [about, texts, prefixes] of CASES) {
  test(about, () => assert.deepEqual(prefixesOf(blocks(...texts)), prefixes));
}

test('equal blocks are one set, however they are written; different ones are not', () => {
  const ids = (...texts: string[]) => blocksOf(blocks(...texts)).map(({ id }) => id);
  assert.deepEqual(ids('10.0.0.0/8 10.2.0.0/16 10.1.0.0/16', 'fd00::/8', '10.9.0.0/16', '10.9.0.0/16'), [
    'blocks 10.0.0.0/8 except 10.1.0.0/16 10.2.0.0/16, 10.9.0.0/16',
    'blocks fd00::/8',
  ]);
  assert.deepEqual(
    ids('10.9.0.0/16', '10.0.0.0/8 10.1.0.0/16 10.2.0.0/16'),
    ids('10.0.0.0/8 10.2.0.0/16 10.1.0.0/16', '10.9.0.0/16'),
  );
  assert.notDeepEqual(
    ids('10.0.0.0/8 10.1.0.0/16', '10.2.0.0/16'),
    ids('10.0.0.0/8 10.1.0.0/16 10.2.0.0/16'),
  );
});

test('IPv4 addresses mapped into IPv6 are never on the wire and are left out', () => {
  const prefixes = prefixesOf([{ cidr: cidr('::/95'), except: [cidr('::/96')] }]);
  assert.deepEqual(prefixes, ['::1:0:0/96']);
  const around = prefixesOf([{ cidr: cidr('::/80'), except: [cidr('::fffe:0:0/96')] }]);
  assert.ok(
    around.every((prefix) => prefix.includes(':')),
    'no text of the wrong family',
  );
});

/** Small worlds of addresses, so that blocks meet often. */
const prefix = fc.oneof(
  fc
    .record({ bits: fc.integer({ min: 0, max: 15 }), length: fc.integer({ min: 28, max: 32 }) })
    .map(({ bits, length }) => networkOf(`10.0.0.${bits}`, length)),
  fc
    .record({ bits: fc.integer({ min: 0, max: 15 }), length: fc.integer({ min: 124, max: 128 }) })
    .map(({ bits, length }) => networkOf(`fd00::${bits.toString(16)}`, length)),
);

const ADDRESSES = Array.from({ length: 18 }, (_, i) => [`10.0.0.${i}`, `fd00::${i.toString(16)}`]).flat();

test('an address is in the prefixes when it is in a block and in none of its exceptions; prefixes are disjoint and in order', () => {
  const block = fc.record({ cidr: prefix, except: fc.array(prefix, { maxLength: 4 }) });
  fc.assert(
    fc.property(fc.array(block, { maxLength: 4 }), (all) => {
      const prefixes = prefixesOf(all);
      for (const address of ADDRESSES) {
        const wanted = all.some(
          (one) => contains(one.cidr, address) && !one.except.some((gap) => contains(gap, address)),
        );
        assert.equal(
          prefixes.some((found) => contains(found, address)),
          wanted,
          address,
        );
      }
      for (const [i, found] of prefixes.entries()) {
        const next = prefixes[i + 1];
        if (next === undefined) continue;
        assert.ok(!overlaps(found, next));
        const [a = '', b = ''] = [found.split('/')[0], next.split('/')[0]];
        assert.ok(compareIp(a, b) < 0, `${found} before ${next}`);
      }
    }),
    { numRuns: runs(500) },
  );
});
