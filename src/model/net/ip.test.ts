import assert from 'node:assert/strict';
import { isIPv4, isIPv6 } from 'node:net';
import { test } from 'node:test';
import { fc, runs } from '../../../test/support/property.ts';
import { networkOf, splitPrefix, tryCidr } from './cidr.ts';
import { ipBytes, ipFromBytes, isCanonicalV6, tryIp } from './ip.ts';
import { mac, macBytes, macFromBytes } from './mac.ts';

/** Texts that are addresses or nearly so: made of the pieces that addresses are made of. */
const pieces = fc.constantFrom(
  '::',
  ':',
  '.',
  '0',
  '1',
  '01',
  '00ff',
  'FFFF',
  'a',
  '10',
  '255',
  '256',
  '12345',
  'g',
  '%',
  '1.2.3.4',
  ' ',
);
const nearly = fc.oneof(
  fc.array(pieces, { maxLength: 16 }).map((parts) => parts.join('')),
  fc
    .array(fc.constantFrom('0', '1', 'fe80', 'ffff', ''), { minLength: 5, maxLength: 9 })
    .map((parts) => parts.join(':')),
  fc
    .array(fc.constantFrom('0', '1', '01', '99', '255', '256', ''), { minLength: 3, maxLength: 5 })
    .map((parts) => parts.join('.')),
  fc.ipV4(),
  fc.ipV6(),
);

test('reads exactly what the C library reads, and as the same bytes', () => {
  fc.assert(
    fc.property(nearly, (text) => {
      const valid = isIPv4(text) || (isIPv6(text) && !text.includes('%'));
      const read = tryIp(text);
      assert.equal(read !== undefined, valid, text);
      if (read === undefined || isIPv4(text)) return;
      const peer = new URL(`http://[${text}]`).hostname.slice(1, -1);
      const mapped = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(peer);
      if (!mapped) return assert.equal(read, peer);
      const [high = 0, low = 0] = mapped.slice(1).map((group) => Number.parseInt(group, 16));
      assert.equal(read, [high >> 8, high & 255, low >> 8, low & 255].join('.'));
    }),
    { numRuns: runs(5_000) },
  );
});

test('text is known to be canonical without making the canonical one', () => {
  const groups = fc.array(fc.constantFrom(0, 0, 0, 1, 0x10, 0xabc, 0xffff), { minLength: 8, maxLength: 8 });
  const canonical = groups.map((all) => ipFromBytes(Uint8Array.from(all.flatMap((n) => [n >> 8, n & 0xff]))));
  fc.assert(
    fc.property(fc.oneof(nearly, canonical), (text) => {
      const read = tryIp(text);
      if (read === undefined || isIPv4(text)) return;
      const bytes = ipBytes(text);
      assert.equal(isCanonicalV6(text, bytes), text === read, text);
      assert.equal(isCanonicalV6(`${text}0`, bytes), false);
    }),
    { numRuns: runs(5_000) },
  );
});

test('what is written is read back, and canonical text stays as it is', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    // Runs of zeros, where the short form is decided.
    fc
      .array(fc.constantFrom(0, 0, 0, 1), { minLength: 16, maxLength: 16 })
      .map((list) => Uint8Array.from(list)),
  );
  fc.assert(
    fc.property(bytes, (address) => {
      const text = ipFromBytes(address);
      const back = ipBytes(text);
      assert.deepEqual(back, back.length === address.length ? address : address.slice(12));
      assert.equal(tryIp(text), text);
    }),
  );
});

test('a prefix is its address cut to its length, bit by bit', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(128), (address, wish) => {
      const bytes = ipBytes(address);
      const length = Math.min(wish, 8 * bytes.length);
      const cut = bytes.map((byte, i) => byte & (0xff << (8 - Math.min(8, Math.max(0, length - 8 * i)))));
      const network = networkOf(address, length);
      assert.equal(network, `${ipFromBytes(cut)}/${length}`);
      assert.deepEqual(
        { ...splitPrefix(network), family: undefined },
        { address: ipFromBytes(cut), length, family: undefined },
      );
    }),
  );
});

test('only one to three digits are a length', () => {
  for (const text of [
    '10.0.0.0/',
    '10.0.0.0/+8',
    '10.0.0.0/8 ',
    '10.0.0.0/0x8',
    '10.0.0.0/0008',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0',
  ])
    assert.equal(tryCidr(text), undefined, text);
  assert.equal(tryCidr('10.0.0.0/08'), '10.0.0.0/8');
});

test('MAC addresses: text to bytes and back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (bytes) => {
      const text = macFromBytes(bytes);
      assert.equal(mac(text), text);
      assert.deepEqual(macBytes(text), bytes);
    }),
  );
  for (const length of [0, 5, 7]) assert.throws(() => macFromBytes(new Uint8Array(length)), /6 bytes/);
});
