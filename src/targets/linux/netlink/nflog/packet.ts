import { type Ip, ipFromBytes } from '../../../../model/net/ip.ts';

/** What the headers of a packet say. */
export interface PacketHeaders {
  readonly from: Ip;
  readonly to: Ip;
  /** IANA number of the transport protocol. */
  readonly protocol: number;
  /** Of protocols that have ports, when the packet is the first fragment and was not cut before them. */
  readonly sourcePort?: number;
  readonly destinationPort?: number;
}

/** TCP, UDP, DCCP, SCTP and UDP-Lite begin with two ports. */
const WITH_PORTS: ReadonlySet<number> = new Set([6, 17, 33, 132, 136]);

/** Reads a packet from its network header on; `undefined` when it is neither IPv4 nor IPv6 or is cut within the addresses. */
export function readHeaders(packet: Buffer): PacketHeaders | undefined {
  const version = (packet[0] ?? 0) >> 4;
  if (version === 4) return readV4(packet);
  return version === 6 ? readV6(packet) : undefined;
}

/** RFC 791 section 3.1 */
function readV4(packet: Buffer): PacketHeaders | undefined {
  if (packet.length < 20) return undefined;
  const isFirst = (packet.readUInt16BE(6) & 0x1fff) === 0;
  const protocol = packet.readUInt8(9);
  const addresses = { from: address(packet, 12, 4), to: address(packet, 16, 4) };
  const start = 4 * (packet.readUInt8(0) & 15);
  return { ...addresses, protocol, ...(isFirst && portsAt(packet, start, protocol)) };
}

const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const AUTHENTICATION = 51;
const DESTINATION_OPTIONS = 60;

/** RFC 8200 sections 3 and 4 */
function readV6(packet: Buffer): PacketHeaders | undefined {
  if (packet.length < 40) return undefined;
  const addresses = { from: address(packet, 8, 16), to: address(packet, 24, 16) };
  let protocol = packet.readUInt8(6);
  let start = 40;
  let isFirst = true;
  while (start + 8 <= packet.length) {
    const size = packet.readUInt8(start + 1);
    if (protocol === FRAGMENT) {
      isFirst &&= packet.readUInt16BE(start + 2) >> 3 === 0;
      [protocol, start] = [packet.readUInt8(start), start + 8];
    } else if (protocol === AUTHENTICATION) {
      // RFC 4302 section 2.2: in words of 4 bytes, less 2.
      [protocol, start] = [packet.readUInt8(start), start + 4 * (size + 2)];
    } else if (protocol === HOP_BY_HOP || protocol === ROUTING || protocol === DESTINATION_OPTIONS) {
      [protocol, start] = [packet.readUInt8(start), start + 8 * (size + 1)];
    } else break;
    if (!isFirst) break;
  }
  return { ...addresses, protocol, ...(isFirst && portsAt(packet, start, protocol)) };
}

function portsAt(
  packet: Buffer,
  start: number,
  protocol: number,
): Pick<PacketHeaders, 'sourcePort' | 'destinationPort'> {
  if (!WITH_PORTS.has(protocol) || packet.length < start + 4) return {};
  return { sourcePort: packet.readUInt16BE(start), destinationPort: packet.readUInt16BE(start + 2) };
}

const address = (packet: Buffer, at: number, size: number): Ip => ipFromBytes(packet.subarray(at, at + size));
