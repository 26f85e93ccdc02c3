/** A netlink socket as the transport needs it: bound, with large buffers, and with the kernel's own words in its refusals. */
import { socketAddon } from './addon.ts';
import {
  AF_NETLINK,
  NETLINK_ADD_MEMBERSHIP,
  NETLINK_CAP_ACK,
  NETLINK_EXT_ACK,
  NETLINK_GET_STRICT_CHK,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_RCVTIMEO,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_RAW,
  SOL_NETLINK,
  SOL_SOCKET,
} from './constants.ts';
import { inNetworkNamespace } from './netns.ts';

const BUFFER = 8 * 1024 * 1024;
/** No answer for so long means a kernel bug or a lost answer; blocking for ever would be worse. */
export const ANSWER_TIMEOUT_SECONDS = 10;

/** Returns the descriptor. `namespace`: file of a network namespace, else that of the calling thread. Throws `SocketError`. */
export function openSocket(protocol: number, namespace: string | undefined): number {
  const addon = socketAddon();
  const open = () => addon.socket(AF_NETLINK, SOCK_RAW, protocol);
  const fd = namespace === undefined ? open() : inNetworkNamespace(namespace, open);
  // The forced sizes need CAP_NET_ADMIN; without it the machine's limit (net.core.rmem_max) has to do.
  for (const [force, plain] of [
    [SO_RCVBUFFORCE, SO_RCVBUF],
    [SO_SNDBUFFORCE, SO_SNDBUF],
  ] as const) {
    if (!option(fd, SOL_SOCKET, force, int32(BUFFER))) option(fd, SOL_SOCKET, plain, int32(BUFFER));
  }
  option(fd, SOL_SOCKET, SO_RCVTIMEO, timeval(ANSWER_TIMEOUT_SECONDS));
  // A socket without a port of its own gets no notifications.
  addon.bind(fd, sockaddrNetlink());
  for (const name of [NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK])
    option(fd, SOL_NETLINK, name, int32(1));
  return fd;
}

/** Asks for the notifications of a multicast group (RTNLGRP_LINK …). Throws `SocketError`. */
export function joinGroup(fd: number, group: number): void {
  socketAddon().setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, int32(group));
}

function option(fd: number, level: number, name: number, value: Uint8Array): boolean {
  try {
    socketAddon().setsockopt(fd, level, name, value);
    return true;
  } catch {
    return false;
  }
}

function int32(n: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(n);
  return bytes;
}

/** `struct sockaddr_nl`: the kernel chooses the port. */
function sockaddrNetlink(): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt16LE(AF_NETLINK);
  return bytes;
}

/** `struct timeval` of 64-bit Linux. */
function timeval(seconds: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeBigInt64LE(BigInt(seconds));
  return bytes;
}
