import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc, runs } from '../../../test/support/property.ts';
import type { NftType } from './nft.ts';
import {
  checkNftComment,
  formatNftRange,
  fromHex,
  NFT_VALUES,
  nftHex,
  parseNftRange,
  parseNftValue,
  toHex,
} from './nft-values.ts';

test('text and bytes', () => {
  const cases: readonly (readonly [NftType, text: string, from: string, to: string])[] = [
    ['ipv4_addr', '10.0.0.1', '0a000001', '0a000001'],
    ['ipv4_addr', '10.0.0.0/23', '0a000000', '0a0001ff'],
    ['ipv4_addr', '0.0.0.0/0', '00000000', 'ffffffff'],
    ['ipv4_addr', '10.0.0.1-10.0.0.9', '0a000001', '0a000009'],
    ['ipv6_addr', 'fd00::/15', `fd00${'00'.repeat(14)}`, `fd01${'ff'.repeat(14)}`],
    ['ipv6_addr', '::ffff:1.2.3.4', `${'00'.repeat(10)}ffff01020304`, `${'00'.repeat(10)}ffff01020304`],
    ['ether_addr', '02:00:00:00:00:01', '020000000001', '020000000001'],
    ['inet_proto', 'ipv6-icmp', '3a', '3a'],
    ['inet_proto', '99', '63', '63'],
    ['inet_service', '8000-8080', '1f40', '1f90'],
    ['mark', '0x00004000', '00004000', '00004000'],
    ['ifname', 'eth0', `65746830${'00'.repeat(12)}`, `65746830${'00'.repeat(12)}`],
    ['ifname', 'fl-*', `666c2d${'00'.repeat(13)}`, `666c2d${'ff'.repeat(13)}`],
    ['nf_inet_proto', 'ipv6', '0a', '0a'],
  ];
  for (const [type, text, from, to] of cases) {
    const range = parseNftRange(type, text);
    assert.deepEqual([toHex(range.from), toHex(range.to)], [from, to], text);
    assert.equal(formatNftRange(type, range), text);
  }
  assert.equal(nftHex('mark', parseNftValue('mark', '0x00004000')), '00400000', 'marks are in host order');
});

test('what is not in normal form is refused, with the normal form as hint', () => {
  const hints: readonly (readonly [NftType, text: string, hint: string | undefined])[] = [
    ['ipv4_addr', '10.0.0.1/24', undefined],
    ['ipv4_addr', '10.0.0.1/32', 'write 10.0.0.1'],
    ['ipv4_addr', '10.0.0.0-10.0.0.255', 'write 10.0.0.0/24'],
    ['ipv4_addr', '10.0.0.9-10.0.0.1', 'the smaller value comes first'],
    ['ipv6_addr', 'FD00::1', 'write fd00::1'],
    ['inet_proto', '6', 'write tcp'],
    ['inet_service', '080', 'write 80'],
    ['inet_service', '65536', undefined],
    ['mark', '5', 'write 0x and eight hexadecimal digits'],
    ['ifname', 'a-name-of-16-byt', undefined],
  ];
  for (const [type, text, hint] of hints)
    assert.throws(
      () => parseNftRange(type, text),
      (error: { code?: string; hint?: string }) =>
        /^bad-/.test(error.code ?? '') && (hint === undefined || error.hint === hint),
      text,
    );
});

test('any bytes are printed so that they read back, and any text fails only with a typed error', () => {
  const type = fc.constantFrom(...(Object.keys(NFT_VALUES) as NftType[]));
  fc.assert(
    fc.property(type, fc.uint8Array({ minLength: 16, maxLength: 16 }), (type, bytes) => {
      const value = bytes.subarray(0, NFT_VALUES[type].bytes);
      if (type === 'ifname') return; // names are text, not any bytes
      assert.deepEqual(parseNftValue(type, NFT_VALUES[type].format(value)), Uint8Array.from(value));
    }),
  );
  fc.assert(
    fc.property(type, fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-fx.:/*-]{0,20}$/)), (type, text) => {
      try {
        parseNftRange(type, text);
      } catch (error) {
        assert.match((error as { code?: string }).code ?? String(error), /^bad-/);
      }
    }),
    { numRuns: runs(2000) },
  );
});

test('hexadecimal text and comments', () => {
  assert.deepEqual(fromHex('00ff'), Uint8Array.of(0, 255));
  for (const bad of ['0', '0g', 'FF']) assert.throws(() => fromHex(bad), { code: 'bad-hex' });
  checkNftComment('x'.repeat(127));
  for (const bad of ['x'.repeat(128), 'a "quote"', 'a\nline'])
    assert.throws(() => checkNftComment(bad), { code: 'bad-nft-comment' });
});
