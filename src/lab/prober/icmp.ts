import type { Family } from '../../model/net/ip.ts';
import { IPPROTO_ICMP, IPPROTO_ICMPV6 } from '../sockets/address.ts';

export const icmpProtocol = (family: Family): number => (family === 'ipv4' ? IPPROTO_ICMP : IPPROTO_ICMPV6);

/** Echo request (RFC 792, RFC 4443 section 4.1). For IPv6 the kernel fills in the checksum. */
export function echoRequest(family: Family, id: number, size: number): Buffer {
  const packet = Buffer.alloc(8 + Math.max(size, 4));
  packet[0] = family === 'ipv4' ? 8 : 128;
  packet.writeUInt16BE(id & 0xffff, 4);
  packet.writeUInt32BE(id, 8);
  if (family === 'ipv4') packet.writeUInt16BE(checksum(packet), 2);
  return packet;
}

/** What a packet on a raw ICMP socket says about request `id`; `undefined` = it is about something else. */
export function echoAnswer(family: Family, packet: Buffer, id: number): 'reply' | 'error' | undefined {
  const icmp = family === 'ipv4' ? packet.subarray(((packet[0] ?? 0) & 15) * 4) : packet;
  if (icmp.length < 12) return undefined;
  const reply = family === 'ipv4' ? 0 : 129;
  const unreachable = family === 'ipv4' ? 3 : 1;
  if (icmp[0] === reply) return icmp.readUInt32BE(8) === id ? 'reply' : undefined;
  if (icmp[0] !== unreachable) return undefined;
  // The packet that could not be delivered follows, with its IP header.
  const inner = icmp.subarray(8);
  const start = family === 'ipv4' ? ((inner[0] ?? 0) & 15) * 4 : 40;
  return inner.length >= start + 6 && inner.readUInt16BE(start + 4) === (id & 0xffff) ? 'error' : undefined;
}

function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i + 1 < bytes.length; i += 2) sum += bytes.readUInt16BE(i);
  if (bytes.length % 2 === 1) sum += (bytes[bytes.length - 1] ?? 0) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
