/**
 * Whether packets from outside reach pods: one UDP packet each, sent in the network namespace of the outside, received in that of the pods. Nobody
 * answers, so connection tracking never calls them established and each is judged anew. Within one machine a packet has arrived when the call that
 * sends it returns. This is the same measure for every agent, whatever it programs.
 */
import { spawn } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { sockaddr, v6Only } from '../src/lab/sockets/address.ts';
import { socketAddon } from '../src/targets/linux/netlink/addon.ts';
import { NETLINK_NETFILTER } from '../src/targets/linux/netlink/constants.ts';
import { inNetworkNamespace } from '../src/targets/linux/netlink/netns.ts';
import { NFNLGRP_NFTABLES } from '../src/targets/linux/netlink/nftables/constants.ts';
import { openNetlink } from '../src/targets/linux/netlink/socket.ts';
import { ip, until } from './tools.ts';

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0x800;
const MSG_DONTWAIT = 0x40;
const PORT = 4242;

/** A network namespace that lives as long as its process. */
export class Namespace {
  readonly #holder = spawn('unshare', ['-n', 'sleep', 'infinity'], { stdio: 'ignore' });
  readonly pid = this.#holder.pid ?? 0;

  constructor() {
    process.once('exit', () => this.close());
  }

  async ready(): Promise<void> {
    const here = readlinkSync('/proc/self/ns/net');
    await until('namespace', () => readlinkSync(this.path) !== here, 5_000);
  }

  get path(): string {
    return `/proc/${this.pid}/ns/net`;
  }

  /** Runs `ip` inside, once for each argument line. */
  ip(...lines: readonly string[]): void {
    inNetworkNamespace(this.path, () => ip(...lines));
  }

  close(): void {
    this.#holder.kill('SIGKILL');
  }
}

/** Sends from addresses of `outside` and looks whether it arrives in `pods`. */
export class Verdicts {
  readonly #addon = socketAddon();
  readonly #outside: Namespace;
  readonly #senders = new Map<string, number>();
  readonly #receivers: ReadonlyMap<number, number>;
  readonly #netlink = openNetlink(NETLINK_NETFILTER);
  readonly #into = Buffer.alloc(64);
  #count = 0;
  #moved = () => {};

  constructor(outside: Namespace, pods: Namespace) {
    this.#outside = outside;
    this.#receivers = new Map(
      ([AF_INET, AF_INET6] as const).map((family) => [
        family,
        inNetworkNamespace(pods.path, () => this.#bound(family, family === AF_INET ? '0.0.0.0' : '::', PORT)),
      ]),
    );
    const moved = () => queueMicrotask(() => this.#moved());
    this.#netlink.subscribe([NFNLGRP_NFTABLES], moved, moved);
  }

  /** Whether a packet passes now. */
  passes(from: string, to: string): boolean {
    const family = to.includes(':') ? AF_INET6 : AF_INET;
    const receiver = this.#receivers.get(family) ?? -1;
    while (this.#addon.recv(receiver, this.#into, MSG_DONTWAIT) >= 0) {}
    const packet = Buffer.from(String(++this.#count));
    this.#addon.send(this.#sender(family, from), packet, 0, packet.length, MSG_DONTWAIT, sockaddr(to, PORT));
    for (;;) {
      const length = this.#addon.recv(receiver, this.#into, MSG_DONTWAIT);
      if (length < 0) return false;
      if (this.#into.toString('utf8', 0, length) === String(this.#count)) return true;
    }
  }

  /**
   * Resolves with the time when all packets passed, or none did. Looks whenever nftables changed, and every millisecond for agents that
   * program something else.
   */
  async become(
    wanted: boolean,
    pairs: readonly (readonly [from: string, to: string])[],
    deadline: number,
  ): Promise<number> {
    const end = performance.now() + deadline;
    for (;;) {
      const now = performance.now();
      // A packet may be late: what was lost counts as denied when the next one is lost too.
      const all = () => pairs.every(([from, to]) => this.passes(from, to) === wanted);
      if (all() && all()) return now;
      if (now > end)
        throw new Error(`packets ${wanted ? 'did not pass' : 'still passed'} after ${deadline} ms`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1);
        this.#moved = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  close(): void {
    for (const fd of [...this.#senders.values(), ...this.#receivers.values()]) this.#addon.close(fd);
    this.#netlink.close();
  }

  #sender(family: number, from: string): number {
    const known = this.#senders.get(from);
    if (known !== undefined) return known;
    const fd = inNetworkNamespace(this.#outside.path, () => this.#bound(family, from, 0));
    this.#senders.set(from, fd);
    return fd;
  }

  #bound(family: number, address: string, port: number): number {
    const fd = this.#addon.socket(family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (family === AF_INET6) this.#addon.setsockopt(fd, ...v6Only());
    this.#addon.bind(fd, sockaddr(address, port));
    return fd;
  }
}
