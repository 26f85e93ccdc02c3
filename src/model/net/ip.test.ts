import assert from 'node:assert/strict';
import { isIPv4, isIPv6 } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareIp, ipBytes, ipFromBytes, tryIp } from './ip.ts';
import { mac, macBytes, macFromBytes } from './mac.ts';

test('bytes to text to bytes', () => {
  const length = fc.constantFrom(4, 16);
  const bytes = length.chain((n) => fc.uint8Array({ minLength: n, maxLength: n }));
  fc.assert(
    fc.property(bytes, (b) => {
      const text = ipFromBytes(b);
      const expected = text.includes(':') || b.length === 4 ? b : b.subarray(12);
      assert.deepEqual([...ipBytes(text)], [...expected]);
      assert.equal(tryIp(text), text, 'canonical text is its own canonical text');
    }),
  );
});

test('what is an address is what node:net takes for one, without zones', () => {
  const near = fc.array(
    fc.constantFrom(...'0129afAF:.:'.split(''), '::', '255', 'ffff', '1.2.3.4', '256', '00'),
    {
      maxLength: 12,
    },
  );
  fc.assert(
    fc.property(
      fc.oneof(
        near.map((parts) => parts.join('')),
        fc.ipV6(),
        fc.ipV4(),
      ),
      (text) => {
        assert.equal(tryIp(text) !== undefined, isIPv4(text) || isIPv6(text), text);
      },
    ),
    { numRuns: 3000 },
  );
});

test('RFC 5952 section 4', () => {
  const canonical = {
    '2001:DB8:0:0:1:0:0:1': '2001:db8::1:0:0:1',
    '2001:db8::0:1': '2001:db8::1',
    '0:0:0:0:0:0:0:0': '::',
    '1:0:2:0:0:0:3:0': '1:0:2::3:0',
    '::ffff:192.0.2.1': '192.0.2.1',
    '64:ff9b::192.0.2.33': '64:ff9b::c000:221',
    'fe80:0:1:2:3:4:5:6': 'fe80:0:1:2:3:4:5:6',
  };
  for (const [text, expected] of Object.entries(canonical)) assert.equal(tryIp(text), expected);
  for (const text of [
    '',
    '1.2.3',
    '01.2.3.4',
    '1.2.3.4.5',
    ':::',
    '1::2::3',
    'fe80::1%eth0',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
  ])
    assert.equal(tryIp(text), undefined, text);
  assert.ok(compareIp('10.0.0.9', '10.0.0.10') < 0 && compareIp('10.0.0.1', '::1') < 0);
});

test('MAC addresses', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (b) => {
      assert.deepEqual([...macBytes(macFromBytes(b))], [...b]);
    }),
  );
  assert.deepEqual([...macBytes(mac('AB:cd:EF:01:23:45'))], [0xab, 0xcd, 0xef, 1, 0x23, 0x45]);
});
