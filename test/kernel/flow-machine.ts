/**
 * A node with two pods, each in a namespace, routed by the test's own. Servers never stop sending, whatever becomes of their packets.
 *
 *     client 10.244.1.2 ── c0 ┐                 ┌ s0 ── server 10.244.2.2
 *     fd00:1::2               └── this process ─┘       fd00:2::2
 *                                 10.96.0.10 → server
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { domainOf, SOCK_NONBLOCK, SOCK_STREAM, sockaddr } from '../../src/lab/sockets/address.ts';
import { listenTcp, listenUdp } from '../../src/lab/sockets/listen.ts';
import { NetNs } from '../../src/lab/sockets/netns.ts';
import { familyOf, type Ip } from '../../src/model/net/ip.ts';
import { socketAddon } from '../../src/targets/linux/netlink/addon.ts';

export const CLIENT = { ipv4: '10.244.1.2' as Ip, ipv6: 'fd00:1::2' as Ip };
export const SERVER = { ipv4: '10.244.2.2' as Ip, ipv6: 'fd00:2::2' as Ip };
export const SERVICE = { ipv4: '10.96.0.10' as Ip, ipv6: 'fd00:96::10' as Ip };

const TICK = 10;

export const run = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', stdio: 'pipe' });
const ip = (words: string) => run('ip', ...words.split(' '));

export function makeMachine(): { client: NetNs; server: NetNs } {
  mkdirSync('/run/netns', { recursive: true });
  run('mount', '-t', 'tmpfs', 'none', '/run/netns');
  for (const [name, end, net] of [
    ['client', 'c0', 1],
    ['server', 's0', 2],
  ] as const) {
    ip(`netns add ${name}`);
    ip(`link add ${end} type veth peer name eth0 netns ${name}`);
    ip(`link set ${end} up`);
    ip(`addr add 10.244.${net}.1/24 dev ${end}`);
    ip(`addr add fd00:${net}::1/64 dev ${end} nodad`);
    ip(`-n ${name} link set lo up`);
    ip(`-n ${name} link set eth0 up`);
    ip(`-n ${name} addr add 10.244.${net}.2/24 dev eth0`);
    ip(`-n ${name} addr add fd00:${net}::2/64 dev eth0 nodad`);
    ip(`-n ${name} route add default via 10.244.${net}.1`);
    ip(`-n ${name} -6 route add default via fd00:${net}::1`);
  }
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
  writeFileSync('/proc/sys/net/ipv6/conf/all/forwarding', '1');
  return { client: new NetNs('client'), server: new NetNs('server') };
}

/** Something that arrives at the client as long as nothing stops it. */
export interface Download {
  /** Bytes or packets that have arrived. */
  readonly arrived: () => number;
  /** Packets missing between those that arrived. */
  readonly gaps: () => number;
  readonly close: () => void;
}

/** The server writes to whoever connects. */
export async function serveTcp(ns: NetNs, address: string, port: number): Promise<() => void> {
  const open = new Set<NodeJS.Timeout>();
  const server = await listenTcp(ns, address, port, (socket) => {
    const timer = setInterval(() => socket.writableLength < 100_000 && socket.write('x'.repeat(100)), TICK);
    open.add(timer);
    socket.on('error', () => clearInterval(timer));
    socket.on('close', () => clearInterval(timer));
  });
  return () => {
    for (const timer of open) clearInterval(timer);
    server.close();
  };
}

export async function downloadTcp(ns: NetNs, address: string, port: number): Promise<Download> {
  const addon = socketAddon();
  const fd = ns.inside(() => addon.socket(domainOf(familyOf(address)), SOCK_STREAM | SOCK_NONBLOCK, 0));
  addon.connect(fd, sockaddr(address, port));
  let arrived = 0;
  await new Promise<void>((resolve) => {
    const poll = addon.pollStart(fd, 2, () => {
      addon.pollStop(poll);
      resolve();
    });
  });
  const socket = new Socket({ fd, readable: true, writable: true });
  socket.on('data', (bytes) => {
    arrived += bytes.length;
  });
  socket.on('error', () => undefined);
  socket.resume();
  return { arrived: () => arrived, gaps: () => 0, close: () => socket.destroy() };
}

/** The server sends numbered packets to whoever has once asked. */
export async function serveUdp(ns: NetNs, address: string, port: number): Promise<() => void> {
  const socket = await listenUdp(ns, address, port);
  const timers: NodeJS.Timeout[] = [];
  socket.on('message', (_, peer) => {
    let number = 0;
    timers.push(
      setInterval(() => socket.send(String(number++), peer.port, peer.address, () => undefined), TICK),
    );
  });
  socket.on('error', () => undefined);
  return () => {
    for (const timer of timers) clearInterval(timer);
    socket.close();
  };
}

export async function downloadUdp(ns: NetNs, from: string, address: string, port: number): Promise<Download> {
  const socket = await listenUdp(ns, from, 0);
  const numbers: number[] = [];
  socket.on('message', (bytes) => numbers.push(Number(bytes.toString())));
  socket.on('error', () => undefined);
  socket.send('begin', port, address);
  return {
    arrived: () => numbers.length,
    gaps: () => numbers.reduce((sum, n, i) => sum + (i > 0 ? n - (numbers[i - 1] ?? n) - 1 : 0), 0),
    close: () => socket.close(),
  };
}
