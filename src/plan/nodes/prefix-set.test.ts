import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc, runs } from '../../../test/support/property.ts';
import * as slow from '../../model/net/cidr.ts';
import { ipFromBytes } from '../../model/net/ip.ts';
import { nodeLinkLocal, nodeMac } from './identity.ts';
import { contains, overlaps } from './prefix.ts';
import { PrefixSet } from './prefix-set.ts';

/** Few bits vary, so that prefixes meet often. */
const anyPrefix = fc
  .tuple(fc.boolean(), fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 8 }))
  .map(([v6, byte, bits]) => {
    const bytes = v6
      ? Uint8Array.of(0xfd, byte, ...new Array<number>(14).fill(0))
      : Uint8Array.of(10, byte, 0, 0);
    return slow.networkOf(ipFromBytes(bytes), 8 + bits);
  });

test('comparing is that of the model', () => {
  fc.assert(
    fc.property(anyPrefix, anyPrefix, (a, b) => {
      assert.equal(contains(a, b), slow.contains(a, b));
      assert.equal(overlaps(a, b), slow.overlaps(a, b));
    }),
    { numRuns: runs(500) },
  );
});

test('covering and inside find exactly what comparing all would find, after any additions and removals', () => {
  const step = fc.record({ prefix: anyPrefix, value: fc.constantFrom('n1', 'n2'), add: fc.boolean() });
  fc.assert(
    fc.property(fc.array(anyPrefix), fc.array(step, { maxLength: 30 }), anyPrefix, (first, steps, asked) => {
      const set = new PrefixSet();
      const plain = new Set<string>();
      set.addAll(first.map((prefix) => [prefix, 'n0'] as const));
      for (const prefix of first) plain.add(`${prefix} n0`);
      for (const { prefix, value, add } of steps) {
        if (add) set.add(prefix, value);
        else set.remove(prefix, value);
        plain[add ? 'add' : 'delete'](`${prefix} ${value}`);
      }
      const present = [...new Set([...plain].map((entry) => entry.split(' ')[0] ?? ''))];
      const inside = present.filter((prefix) => slow.contains(asked, prefix));
      const covering = present.filter((prefix) => prefix !== asked && slow.contains(prefix, asked));
      assert.deepEqual([...set.inside(asked)].sort(), inside.sort());
      assert.deepEqual([...set.covering(asked)].sort(), covering.sort());
      const alone = set.values(asked).length === 1 && covering.length === 0 && inside.length === 1;
      assert.equal(set.alone(asked), alone);
    }),
    { numRuns: runs(300) },
  );
});

test('identities follow from names, never change, and do not meet among 20,000 nodes', () => {
  assert.equal(nodeMac('n1'), '02:d4:1e:c0:bb:92');
  assert.equal(nodeLinkLocal('n1'), 'fe80::d4:1eff:fec0:bb92');
  const names = Array.from({ length: 20_000 }, (_, i) => `ip-10-0-${i >> 8}-${i & 255}.ec2.internal`);
  const macs = new Set(names.map(nodeMac));
  assert.equal(macs.size, names.length);
  // Locally administered, unicast.
  for (const mac of macs) assert.equal(Number.parseInt(mac.slice(0, 2), 16) & 3, 2);
});
