import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c, initPacket } from './sctp.ts';

test('the checksum is CRC-32C (check value of RFC 3720 appendix B.4)', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
  assert.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa);
});

test('an INIT carries ports, tag, and a checksum over itself with the field zero', () => {
  const packet = initPacket(4000, 9, 0xdecafbad);
  assert.deepEqual([packet.readUInt16BE(0), packet.readUInt16BE(2)], [4000, 9]);
  assert.equal(packet.readUInt32BE(16), 0xdecafbad);
  const sum = packet.readUInt32LE(8);
  packet.writeUInt32LE(0, 8);
  assert.equal(sum, crc32c(packet));
});
