import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '../../../../../test/support/property.ts';
import { readHeaders } from './packet.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');

/** 10.0.0.1 → 10.0.0.2; fragment offset and protocol as asked, options make the header longer. */
const v4 = (protocol: string, rest: string, { fragment = '4000', words = '5' } = {}): Buffer =>
  bytes(`4${words} 00 0028 0001 ${fragment} 40 ${protocol} 0000 0a000001 0a000002 ${rest}`);
/** fd00::1 → fd00::2 */
const v6 = (next: string, rest: string): Buffer =>
  bytes(`60000000 0014 ${next} 40 fd00${'00'.repeat(13)}01 fd00${'00'.repeat(13)}02 ${rest}`);

const PORTS = '9c40 0050 00000000 00000000';

test('IPv4: ports where there are some, options, later fragments', () => {
  const basis = { from: '10.0.0.1', to: '10.0.0.2' };
  const ports = { sourcePort: 40_000, destinationPort: 80 };
  assert.deepEqual(readHeaders(v4('06', PORTS)), { ...basis, protocol: 6, ...ports });
  assert.deepEqual(readHeaders(v4('84', PORTS)), { ...basis, protocol: 132, ...ports });
  assert.deepEqual(readHeaders(v4('11', `01010101 ${PORTS}`, { words: '6' })), {
    ...basis,
    protocol: 17,
    ...ports,
  });
  assert.deepEqual(readHeaders(v4('01', '0800 f7ff')), { ...basis, protocol: 1 });
  assert.deepEqual(readHeaders(v4('11', PORTS, { fragment: '0010' })), { ...basis, protocol: 17 });
  assert.deepEqual(readHeaders(v4('06', '9c40')), { ...basis, protocol: 6 });
});

test('IPv6: extension headers are passed over', () => {
  const basis = { from: 'fd00::1', to: 'fd00::2' };
  const ports = { sourcePort: 40_000, destinationPort: 80 };
  assert.deepEqual(readHeaders(v6('06', PORTS)), { ...basis, protocol: 6, ...ports });
  assert.deepEqual(readHeaders(v6('3a', '8000 0000')), { ...basis, protocol: 58 });
  const hop = '3c00 0000 00000000';
  const options = '1101 0000 00000000 00000000 00000000';
  assert.deepEqual(readHeaders(v6('00', `${hop} ${options} ${PORTS}`)), { ...basis, protocol: 17, ...ports });
  const authentication = '0601 0000 00000000 00000000';
  assert.deepEqual(readHeaders(v6('33', authentication + PORTS)), { ...basis, protocol: 6, ...ports });
  assert.deepEqual(readHeaders(v6('2c', `0600 0001 00000000 ${PORTS}`)), { ...basis, protocol: 6, ...ports });
  assert.deepEqual(readHeaders(v6('2c', `0600 0009 00000000 ${PORTS}`)), { ...basis, protocol: 6 });
});

test('what is no packet is none, and nothing throws', () => {
  assert.equal(readHeaders(bytes('')), undefined);
  assert.equal(readHeaders(v4('06', PORTS).subarray(0, 19)), undefined);
  assert.equal(readHeaders(v6('06', PORTS).subarray(0, 39)), undefined);
  assert.equal(readHeaders(bytes('50'.repeat(60))), undefined);
  fc.assert(
    fc.property(fc.constantFrom(0x45, 0x4f, 0x60), fc.uint8Array({ maxLength: 120 }), (first, rest) => {
      readHeaders(Buffer.from([first, ...rest]));
    }),
  );
});
