import type { Family } from '../../model/net/ip.ts';
import { type PollHandle, socketAddon } from '../../targets/linux/netlink/addon.ts';
import { addressIn, domainOf, IPPROTO_SCTP, SOCK_NONBLOCK, SOCK_RAW } from '../sockets/address.ts';
import type { NetNs } from '../sockets/netns.ts';

/**
 * SCTP without SCTP sockets, which many kernels lack: the asker sends one raw INIT chunk (RFC 9260 section 3.3.2), and a raw socket at the
 * other end sees it or does not. Both ends live in this process, so the tag in the chunk is how they meet.
 */
const seen = new Map<number, (source: string) => void>();
let lastTag = 1;

/** Calls back once with the source address when the INIT with the returned tag arrives somewhere. */
export function expectInit(onSeen: (source: string) => void): number {
  lastTag = (lastTag + 1) >>> 0 || 1;
  seen.set(lastTag, onSeen);
  return lastTag;
}

export function forgetInit(tag: number): void {
  seen.delete(tag);
}

/** Common header and INIT chunk, checksum included: conntrack calls a packet with a wrong one invalid. */
export function initPacket(sourcePort: number, port: number, tag: number): Buffer {
  const packet = Buffer.alloc(32);
  packet.writeUInt16BE(sourcePort, 0);
  packet.writeUInt16BE(port, 2);
  packet.writeUInt8(1, 12);
  packet.writeUInt16BE(20, 14);
  packet.writeUInt32BE(tag, 16);
  packet.writeUInt32BE(65_536, 20);
  packet.writeUInt16BE(1, 24);
  packet.writeUInt16BE(1, 26);
  packet.writeUInt32BE(tag, 28);
  packet.writeUInt32LE(crc32c(packet), 8);
  return packet;
}

export class SctpResponder {
  readonly #watches: { fd: number; poll: PollHandle }[] = [];
  readonly #ports = new Set<number>();
  readonly #families = new Set<Family>();

  listen(ns: NetNs, family: Family, port: number): void {
    this.#ports.add(port);
    if (this.#families.has(family)) return;
    this.#families.add(family);
    const addon = socketAddon();
    const fd = ns.inside(() => addon.socket(domainOf(family), SOCK_RAW | SOCK_NONBLOCK, IPPROTO_SCTP));
    const buffer = Buffer.alloc(2048);
    const poll = addon.pollStart(fd, 1, () => {
      for (;;) {
        const got = addon.recvfrom(fd, buffer, 0);
        if (!got) return;
        this.#arrived(family, buffer.subarray(0, got.length), addressIn(got.peer));
      }
    });
    this.#watches.push({ fd, poll });
  }

  #arrived(family: Family, bytes: Buffer, source: string): void {
    // Raw IPv4 sockets show the IP header, IPv6 ones do not.
    const start = family === 'ipv4' ? ((bytes[0] ?? 0) & 15) * 4 : 0;
    if (bytes.length < start + 20 || bytes[start + 12] !== 1) return;
    if (!this.#ports.has(bytes.readUInt16BE(start + 2))) return;
    const tag = bytes.readUInt32BE(start + 16);
    seen.get(tag)?.(source);
    seen.delete(tag);
  }

  close(): void {
    const addon = socketAddon();
    for (const { fd, poll } of this.#watches) {
      addon.pollStop(poll);
      addon.close(fd);
    }
  }
}

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
  return c >>> 0;
});

/** CRC-32C (RFC 9260 appendix A). */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (TABLE[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
