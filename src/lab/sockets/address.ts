import { type Family, familyOf, ipBytes, ipFromBytes } from '../../model/net/ip.ts';

export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = 0o4000;
export const IPPROTO_ICMP = 1;
export const IPPROTO_TCP = 6;
export const IPPROTO_ICMPV6 = 58;
export const IPPROTO_SCTP = 132;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
export const TCP_SYNCNT = 7;
const IPV6_V6ONLY = 26;
const IPPROTO_IP = 0;
const IPPROTO_IPV6 = 41;
const IP_MTU_DISCOVER = 10;
const IPV6_MTU_DISCOVER = 23;
const PMTUDISC_PROBE = 3;

export const domainOf = (family: Family): number => (family === 'ipv4' ? AF_INET : AF_INET6);

export const anyAddress = (family: Family): string => (family === 'ipv4' ? '0.0.0.0' : '::');

/** A C int in host byte order, as socket options take it. */
export function int(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

/** `struct sockaddr_in` or `sockaddr_in6`. */
export function sockaddr(address: string, port: number): Buffer {
  const v4 = familyOf(address) === 'ipv4';
  const bytes = Buffer.alloc(v4 ? 16 : 28);
  bytes.writeUInt16LE(v4 ? AF_INET : AF_INET6, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(ipBytes(address), v4 ? 4 : 8);
  return bytes;
}

/** The address in a `struct sockaddr_in` or `sockaddr_in6`. */
export function addressIn(bytes: Buffer): string {
  return bytes.readUInt16LE(0) === AF_INET
    ? ipFromBytes(bytes.subarray(4, 8))
    : ipFromBytes(bytes.subarray(8, 24));
}

/** Option that sets "do not fragment" and ignores what was learned of the path's MTU: level, name, value. */
export function dontFragment(family: Family): readonly [number, number, Buffer] {
  return family === 'ipv4'
    ? [IPPROTO_IP, IP_MTU_DISCOVER, int(PMTUDISC_PROBE)]
    : [IPPROTO_IPV6, IPV6_MTU_DISCOVER, int(PMTUDISC_PROBE)];
}

export const v6Only = (): readonly [number, number, Buffer] => [IPPROTO_IPV6, IPV6_V6ONLY, int(1)];
