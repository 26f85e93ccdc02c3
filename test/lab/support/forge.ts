/**
 * A program for pods and other machines that sends what nobody should believe, as JSON in its argument says, each packet a UDP packet with the
 * text of its `why` inside an Ethernet frame: on the wire of eth0 with `head` between MAC addresses and packet, or inside a VXLAN packet for the `node`,
 * in the sender's own name or, by way of the MAC address `via`, in that of `as`.
 */
import { createSocket } from 'node:dgram';
import { AF_INET6, IPPROTO_ICMPV6, int, SOCK_RAW, sockaddr } from '../../../src/lab/sockets/address.ts';
import { type Family, familyOf, ipBytes } from '../../../src/model/net/ip.ts';
import { macBytes } from '../../../src/model/net/mac.ts';
import { socketAddon } from '../../../src/targets/linux/netlink/addon.ts';

export interface Forged {
  readonly why: string;
  readonly from: string;
  readonly to: string;
  readonly port: number;
  /** Of the device that takes it. */
  readonly mac: string;
  /** Default: nobody's. */
  readonly source?: string;
  /** `head`: hexadecimal; `LLLL` stands for the length of all that follows it. */
  readonly wire:
    | { readonly head: string }
    | { readonly node: string; readonly as?: { readonly address: string; readonly via: string } };
}

type Sent =
  | Forged
  | { readonly raw: string }
  | { readonly icmpv6: number; readonly to: string; readonly about: string };

const ETHERTYPES: Readonly<Record<Family, string>> = { ipv4: '0800', ipv6: '86dd' };
const UDP = 17;
const AF_PACKET = 17;
const VXLAN_PORT = 8472;
const IPPROTO_IPV6 = 41;
const IPV6_UNICAST_HOPS = 16;

function frame({ from, to, port, mac, source = '02:02:02:02:02:02', why, wire }: Forged): Buffer {
  const [saddr, daddr] = [Buffer.from(ipBytes(from)), Buffer.from(ipBytes(to))];
  const ends = Buffer.concat([macBytes(mac), macBytes(source)]);
  const body = packet(saddr, daddr, udp(saddr, daddr, port, Buffer.from(why)));
  const [before = '', behind] = ('head' in wire ? wire.head : ETHERTYPES[familyOf(from)]).split('LLLL');
  if (behind === undefined) return Buffer.concat([ends, Buffer.from(before, 'hex'), body]);
  const rest = Buffer.concat([Buffer.from(behind, 'hex'), body]);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(rest.length);
  return Buffer.concat([ends, Buffer.from(before, 'hex'), length, rest]);
}

/** The packet of an ICMPv6 message without its checksum, from a neighbour: hop limit 255. */
export function icmpv6Packet(from: string, to: string, message: Buffer): Buffer {
  const [source, destination] = [Buffer.from(ipBytes(from)), Buffer.from(ipBytes(to))];
  const bytes = Buffer.from(message);
  const pseudo = [source, destination, Buffer.from([0, 0, 0, bytes.length, 0, 0, 0, IPPROTO_ICMPV6]), bytes];
  bytes.writeUInt16BE(checksum(Buffer.concat(pseudo)), 2);
  const head = Buffer.from([0x60, 0, 0, 0, 0, bytes.length, IPPROTO_ICMPV6, 255]);
  return Buffer.concat([head, source, destination, bytes]);
}

function packet(source: Buffer, destination: Buffer, payload: Buffer): Buffer {
  if (source.length === 16) {
    const head = Buffer.alloc(8);
    head.set([0x60, 0, 0, 0, 0, payload.length, UDP, 64]);
    return Buffer.concat([head, source, destination, payload]);
  }
  const head = Buffer.alloc(12);
  head.set([0x45, 0, 0, 20 + payload.length, 0, 0, 0, 0, 64, UDP]);
  head.writeUInt16BE(checksum(Buffer.concat([head, source, destination])), 10);
  return Buffer.concat([head, source, destination, payload]);
}

function udp(source: Buffer, destination: Buffer, port: number, payload: Buffer): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(8), payload]);
  bytes.writeUInt16BE(40_000, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.writeUInt16BE(bytes.length, 4);
  const pseudo = Buffer.concat([source, destination, Buffer.from([0, UDP, 0, bytes.length]), bytes]);
  bytes.writeUInt16BE(checksum(pseudo) || 0xffff, 6);
  return bytes;
}

function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum >>> 16) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function toWire(bytes: Buffer): void {
  const addon = socketAddon();
  const fd = addon.socket(AF_PACKET, SOCK_RAW, 0);
  // struct sockaddr_ll: family, protocol, index of the link. A pod's eth0 is its second link.
  addon.bind(fd, Buffer.concat([Buffer.from([AF_PACKET, 0, 0, 0]), int(2), Buffer.alloc(12)]));
  addon.send(fd, bytes, 0, bytes.length, 0);
  addon.close(fd);
}

/** RFC 7348 section 5: a VNI follows, and it is 1. */
const VXLAN_HEAD = Buffer.from([8, 0, 0, 0, 0, 0, 1, 0]);

/** The tunnel packet of another node, as it would be on the wire. */
function inNameOf({ address, via }: { address: string; via: string }, node: string, bytes: Buffer): Buffer {
  const [saddr, daddr] = [Buffer.from(ipBytes(address)), Buffer.from(ipBytes(node))];
  const head = Buffer.concat([
    macBytes(via),
    macBytes('02:02:02:02:02:02'),
    Buffer.from(ETHERTYPES[familyOf(node)], 'hex'),
  ]);
  const payload = Buffer.concat([VXLAN_HEAD, bytes]);
  return Buffer.concat([head, packet(saddr, daddr, udp(saddr, daddr, VXLAN_PORT, payload))]);
}

function toTunnel(bytes: Buffer, node: string): Promise<void> {
  const socket = createSocket(familyOf(node) === 'ipv4' ? 'udp4' : 'udp6');
  return new Promise((resolve) =>
    socket.send(Buffer.concat([VXLAN_HEAD, bytes]), VXLAN_PORT, node, () => {
      socket.close();
      resolve();
    }),
  );
}

/** A message with the type of those that neighbours tell each other, about that address, and with the hop limit that they have. */
function toFar(type: number, to: string, about: string): void {
  const addon = socketAddon();
  const fd = addon.socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
  addon.setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, int(255));
  const message = Buffer.alloc(24);
  message[0] = type;
  message.set(ipBytes(about), 8);
  addon.send(fd, message, 0, message.length, 0, sockaddr(to, 0));
  addon.close(fd);
}

if (import.meta.main) {
  for (const forged of JSON.parse(process.argv[2] ?? '[]') as Sent[]) {
    if ('raw' in forged) toWire(Buffer.from(forged.raw, 'hex'));
    else if ('icmpv6' in forged) toFar(forged.icmpv6, forged.to, forged.about);
    else if ('head' in forged.wire) toWire(frame(forged));
    else if (forged.wire.as) toWire(inNameOf(forged.wire.as, forged.wire.node, frame(forged)));
    else await toTunnel(frame(forged), forged.wire.node);
  }
}
