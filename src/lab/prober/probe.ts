import { type Family, familyOf } from '../../model/net/ip.ts';
import { isSocketError, type PollHandle, socketAddon } from '../../targets/linux/netlink/addon.ts';
import {
  anyAddress,
  domainOf,
  dontFragment,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  int,
  SO_ERROR,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOCK_STREAM,
  SOL_SOCKET,
  sockaddr,
  TCP_SYNCNT,
} from '../sockets/address.ts';
import type { NetNs } from '../sockets/netns.ts';
import { echoAnswer, echoRequest, icmpProtocol } from './icmp.ts';
import { patience } from './patience.ts';
import { expectInit, forgetInit, initPacket } from './sctp.ts';
import type { Answer, ProbeProtocol } from './types.ts';

const READABLE = 1;
const WRITABLE = 2;
const DEFAULT_TIMEOUT = 1000;

export interface Target {
  readonly address: string;
  readonly protocol: ProbeProtocol;
  readonly port: number;
  readonly size?: number;
  readonly timeout?: number;
}

/** Asks once, from inside `ns`. Never throws for what the network did. */
export function probe(ns: NetNs, target: Target): Promise<Answer> {
  return new Promise((resolve) => {
    const attempt = new Attempt(ns, target, resolve);
    attempt.start();
  });
}

let lastId = 0;
const nextId = (): number => {
  lastId = (lastId + 1) & 0x7fffffff;
  return lastId;
};

/** One socket, one question, one answer. */
class Attempt {
  readonly #addon = socketAddon();
  readonly #ns: NetNs;
  readonly #target: Target;
  readonly #family: Family;
  readonly #resolve: (answer: Answer) => void;
  readonly #id = nextId();
  #fd = -1;
  #poll: PollHandle | undefined;
  #calm: (() => void) | undefined;
  #tag: number | undefined;

  constructor(ns: NetNs, target: Target, resolve: (answer: Answer) => void) {
    this.#ns = ns;
    this.#target = target;
    this.#family = familyOf(target.address);
    this.#resolve = resolve;
  }

  start(): void {
    this.#calm = patience(this.#target.timeout ?? DEFAULT_TIMEOUT, () =>
      this.#done({ verdict: 'dropped', source: '', reason: 'no answer' }),
    );
    this.#guarded(() => {
      const { protocol } = this.#target;
      if (protocol === 'tcp') this.#tcp();
      else if (protocol === 'udp') this.#udp();
      else if (protocol === 'icmp') this.#icmp();
      else this.#sctp();
    });
  }

  #open(type: number, protocol: number): number {
    this.#fd = this.#ns.inside(() =>
      this.#addon.socket(domainOf(this.#family), type | SOCK_NONBLOCK, protocol),
    );
    return this.#fd;
  }

  #tcp(): void {
    const fd = this.#open(SOCK_STREAM, 0);
    // One repetition of the SYN at most: the wait decides, not the kernel's patience.
    this.#addon.setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, int(1));
    const connected = this.#addon.connect(fd, sockaddr(this.#target.address, this.#target.port));
    const read = () => this.#await(READABLE, (text) => text.trim().split('\n')[0]);
    if (connected) read();
    else
      this.#watch(WRITABLE, () => {
        const errno = this.#addon.getsockopt(fd, SOL_SOCKET, SO_ERROR, 4).readInt32LE();
        if (errno !== 0) this.#failed(errno, `connect: errno ${errno}`);
        else read();
      });
  }

  #udp(): void {
    const fd = this.#open(SOCK_DGRAM, 0);
    if (this.#target.size !== undefined) this.#addon.setsockopt(fd, ...dontFragment(this.#family));
    this.#addon.connect(fd, sockaddr(this.#target.address, this.#target.port));
    const question = `q${this.#id} `;
    const bytes = Buffer.alloc(Math.max(this.#target.size ?? 64, question.length), ' ');
    bytes.write(question, 'latin1');
    this.#await(READABLE, (text) => {
      const [id, source] = text.trim().split(' ');
      return id === question.trim() ? source : undefined;
    });
    this.#addon.send(fd, bytes, 0, bytes.length, 0);
  }

  #icmp(): void {
    const fd = this.#open(SOCK_RAW, icmpProtocol(this.#family));
    if (this.#target.size !== undefined) this.#addon.setsockopt(fd, ...dontFragment(this.#family));
    const buffer = Buffer.alloc(65_536);
    this.#watch(READABLE, () => {
      for (;;) {
        const got = this.#addon.recvfrom(fd, buffer, 0);
        if (!got) return;
        const answer = echoAnswer(this.#family, buffer.subarray(0, got.length), this.#id);
        if (answer === 'reply') return this.#done({ verdict: 'allowed', source: '' });
        if (answer === 'error')
          return this.#done({ verdict: 'rejected', source: '', reason: 'ICMP unreachable' });
      }
    });
    const bytes = echoRequest(this.#family, this.#id, this.#target.size ?? 56);
    this.#addon.send(fd, bytes, 0, bytes.length, 0, sockaddr(this.#target.address, 0));
  }

  #sctp(): void {
    const fd = this.#open(SOCK_RAW, IPPROTO_SCTP);
    this.#addon.bind(fd, sockaddr(anyAddress(this.#family), 0));
    this.#addon.connect(fd, sockaddr(this.#target.address, 0));
    this.#tag = expectInit((source) => this.#done({ verdict: 'allowed', source }));
    const buffer = Buffer.alloc(2048);
    // Only errors matter here: the answer is the INIT's arrival at the other end.
    this.#watch(READABLE, () => {
      while (this.#addon.recv(fd, buffer, 0) >= 0);
    });
    const bytes = initPacket(32_768 + (this.#id % 28_000), this.#target.port, this.#tag);
    this.#addon.send(fd, bytes, 0, bytes.length, 0);
  }

  #watch(events: number, callback: () => void): void {
    if (this.#poll) this.#addon.pollStop(this.#poll);
    this.#poll = this.#addon.pollStart(this.#fd, events, () => this.#guarded(callback));
  }

  /** Reads until `source` finds the far end's words in what arrived. */
  #await(events: number, source: (text: string) => string | undefined): void {
    const buffer = Buffer.alloc(65_536);
    this.#watch(events, () => {
      const length = this.#addon.recv(this.#fd, buffer, 0);
      if (length < 0) return;
      if (length === 0 && this.#target.protocol === 'tcp')
        return this.#done({ verdict: 'rejected', source: '', reason: 'closed without an answer' });
      const found = source(buffer.toString('latin1', 0, length));
      if (found !== undefined) this.#done({ verdict: 'allowed', source: found });
    });
  }

  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (isSocketError(error)) this.#failed(Math.abs(error.errno), error.message);
      else this.#done({ verdict: 'dropped', source: '', reason: String(error) });
    }
  }

  #failed(errno: number, reason: string): void {
    this.#done({ verdict: REJECTED.has(errno) ? 'rejected' : 'dropped', source: '', reason });
  }

  #done(answer: Answer): void {
    if (!this.#calm) return;
    this.#calm();
    this.#calm = undefined;
    if (this.#tag !== undefined) forgetInit(this.#tag);
    if (this.#poll) this.#addon.pollStop(this.#poll);
    if (this.#fd >= 0) this.#addon.close(this.#fd);
    this.#resolve(answer);
  }
}

/** What the kernel makes of a reset or an ICMP error: EACCES, EPROTO, ENETUNREACH, ECONNRESET, ECONNREFUSED, EHOSTUNREACH, ENOPROTOOPT. */
const REJECTED = new Set([13, 71, 101, 104, 111, 113, 92]);
