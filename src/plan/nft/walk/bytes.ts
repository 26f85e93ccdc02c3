/** Headers of a packet, as far as rules look into them. */
import { ipBytes } from '../../../model/net/ip.ts';
import type { Packet } from './packet.ts';

const PROTOCOLS = { tcp: 6, udp: 17, sctp: 132, icmp: 1, icmpv6: 58 } as const;
const ECHO_REQUEST = { icmp: 8, icmpv6: 128 } as const;
const SYN = 0x02;
const ACK = 0x10;

export function protocolNumber({ protocol }: Packet): number {
  return typeof protocol === 'number' ? protocol : PROTOCOLS[protocol];
}

/** RFC 791 and RFC 8200: addresses and protocol; all else is zero. */
export function networkHeader(packet: Packet): Uint8Array {
  const [from, to] = [ipBytes(packet.from), ipBytes(packet.to)];
  const ipv4 = from.length === 4;
  const header = new Uint8Array(ipv4 ? 20 : 40);
  header[0] = ipv4 ? 0x45 : 0x60;
  header[ipv4 ? 9 : 6] = protocolNumber(packet);
  header.set(from, ipv4 ? 12 : 8);
  header.set(to, ipv4 ? 16 : 24);
  return header;
}

export function transportHeader(packet: Packet): Uint8Array {
  const { sport = 40000, dport = 0, state = 'new' } = packet;
  const ports = [sport >> 8, sport & 0xff, dport >> 8, dport & 0xff];
  switch (protocolNumber(packet)) {
    case PROTOCOLS.tcp: {
      const header = Uint8Array.of(...ports, ...new Uint8Array(16));
      header[13] = packet.tcpFlags ?? (state === 'new' ? SYN : ACK);
      return header;
    }
    case PROTOCOLS.udp:
      return Uint8Array.of(...ports, 0, 8, 0, 0);
    case PROTOCOLS.sctp:
      return Uint8Array.of(...ports, ...new Uint8Array(8));
    case PROTOCOLS.icmp:
      return Uint8Array.of(packet.icmpType ?? ECHO_REQUEST.icmp, 0, 0, 0, 0, 1, 0, 1);
    case PROTOCOLS.icmpv6:
      return Uint8Array.of(packet.icmpType ?? ECHO_REQUEST.icmpv6, 0, 0, 0, 0, 1, 0, 1);
    default:
      return new Uint8Array(8);
  }
}
