import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import { type Family, familyOf } from '../../model/net/ip.ts';
import { socketAddon } from '../../targets/linux/netlink/addon.ts';
import {
  domainOf,
  int,
  SO_REUSEADDR,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  sockaddr,
  v6Only,
} from './address.ts';
import type { NetNs } from './netns.ts';

/** A bound socket that lives in `ns`. */
function bound(ns: NetNs, family: Family, type: number, address: string, port: number): number {
  const addon = socketAddon();
  const fd = ns.inside(() => addon.socket(domainOf(family), type | SOCK_NONBLOCK, 0));
  try {
    addon.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, int(1));
    if (family === 'ipv6') addon.setsockopt(fd, ...v6Only());
    addon.bind(fd, sockaddr(address, port));
  } catch (error) {
    addon.close(fd);
    throw error;
  }
  return fd;
}

/** A TCP server of this process that listens inside `ns`. */
export async function listenTcp(
  ns: NetNs,
  address: string,
  port: number,
  onConnection: (socket: Socket) => void,
): Promise<Server> {
  const fd = bound(ns, familyOf(address), SOCK_STREAM, address, port);
  const server = createServer({ noDelay: true, allowHalfOpen: true }, onConnection);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd }, resolve);
  });
  return server;
}

/** A UDP socket of this process, bound inside `ns`. */
export async function listenUdp(ns: NetNs, address: string, port: number): Promise<UdpSocket> {
  const family = familyOf(address);
  const fd = bound(ns, family, SOCK_DGRAM, address, port);
  const socket = createSocket(family === 'ipv4' ? 'udp4' : 'udp6');
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ fd }, resolve);
  });
  return socket;
}
