import { type Family, familyOf } from '../../model/net/ip.ts';
import { type PollHandle, socketAddon } from '../../targets/linux/netlink/addon.ts';
import {
  addressIn,
  domainOf,
  SO_ERROR,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  sockaddr,
} from '../sockets/address.ts';
import type { NetNs } from '../sockets/netns.ts';
import type { StreamResult } from './types.ts';

export interface StreamPath {
  readonly from: string;
  readonly to: string;
  readonly ns: NetNs;
  readonly source: string;
  readonly address: string;
  readonly port: number;
}

export interface StreamOptions {
  readonly rate: number;
  readonly count: number;
  readonly timeout: number;
  readonly protocol: 'udp' | 'tcp';
}

interface Sent {
  readonly path: StreamPath;
  readonly at: number;
  readonly tick: number;
}

const TICK = 5;

/**
 * Probes at a steady rate, round robin over the paths, and counts what did not come back. UDP: each probe stands alone. TCP: one
 * connection a path lives as long as the stream, each probe is a line that must be echoed, so a broken flow shows.
 */
export class Stream {
  readonly #paths: readonly StreamPath[];
  readonly #options: StreamOptions;
  readonly #pending = new Map<number, Sent>();
  readonly #lanes = new Map<string, Lane>();
  readonly #foreign = new Set<string>();
  readonly #losses: { from: string; to: string; family: Family; at: number }[] = [];
  readonly #finished = Promise.withResolvers<StreamResult>();
  #sent = 0;
  #received = 0;
  #lost = 0;
  #began = 0;
  #ticks = 0;
  #stopped = false;
  #ticker: NodeJS.Timeout | undefined;

  constructor(paths: readonly StreamPath[], options: StreamOptions) {
    this.#paths = paths;
    this.#options = options;
  }

  start(): void {
    for (const path of this.#paths) this.#lane(path);
    this.#began = performance.now();
    this.#ticker = setInterval(() => this.#tick(), TICK);
  }

  /** Resolves when all probes were answered or counted as lost. */
  get result(): Promise<StreamResult> {
    return this.#finished.promise;
  }

  progress(): StreamResult {
    const broken = [...this.#lanes.values()].filter((lane) => lane.broken !== undefined).length;
    return {
      sent: this.#sent,
      received: this.#received,
      lost: this.#lost,
      losses: this.#losses,
      foreignSources: [...this.#foreign],
      broken,
    };
  }

  /** Sends no more; answers under way are still waited for. */
  stop(): void {
    this.#stopped = true;
  }

  #tick(): void {
    const now = performance.now();
    this.#ticks++;
    const due = Math.min(Math.floor(((now - this.#began) * this.#options.rate) / 1000), this.#options.count);
    while (!this.#stopped && this.#sent < due) this.#send(now);
    // Counted in ticks: while the machine gave this process no time, answers waited to be read.
    for (const [id, sent] of this.#pending) {
      if (this.#ticks - sent.tick < this.#options.timeout / TICK) break;
      this.#pending.delete(id);
      this.#lose(sent);
    }
    const ended = this.#stopped || this.#sent >= this.#options.count;
    if (ended && this.#pending.size === 0) this.#end();
  }

  #send(now: number): void {
    const path = this.#paths[this.#sent % this.#paths.length];
    if (!path) {
      this.stop();
      return;
    }
    this.#sent++;
    const sent = { path, at: now, tick: this.#ticks };
    this.#pending.set(this.#sent, sent);
    this.#lane(path).send(this.#sent, path);
  }

  /** UDP: one socket for each asker and family. TCP: one connection for each path. */
  #lane(path: StreamPath): Lane {
    const tcp = this.#options.protocol === 'tcp';
    const key = `${path.from} ${familyOf(path.address)}${tcp ? ` ${path.to}` : ''}`;
    let lane = this.#lanes.get(key);
    if (!lane) {
      lane = tcp ? new TcpLane(path, this.#arrived) : new UdpLane(path, this.#arrived);
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  readonly #arrived = (id: number, source: string): void => {
    const sent = this.#pending.get(id);
    if (!sent) return;
    this.#pending.delete(id);
    this.#received++;
    if (source !== sent.path.source)
      this.#foreign.add(`${sent.path.from} → ${sent.path.to}: seen as ${source}, is ${sent.path.source}`);
  };

  #lose({ path, at }: Sent): void {
    this.#lost++;
    if (this.#losses.length >= 20) return;
    const { from, to, address } = path;
    this.#losses.push({ from, to, family: familyOf(address), at: Math.round(at - this.#began) });
  }

  #end(): void {
    clearInterval(this.#ticker);
    const result = this.progress();
    for (const lane of this.#lanes.values()) lane.close();
    this.#finished.resolve(result);
  }
}

interface Lane {
  readonly broken: string | undefined;
  send(id: number, path: StreamPath): void;
  close(): void;
}

type Arrived = (id: number, source: string) => void;

class UdpLane implements Lane {
  readonly broken = undefined;
  readonly #fd: number;
  readonly #poll: PollHandle;

  constructor(path: StreamPath, arrived: Arrived) {
    const addon = socketAddon();
    this.#fd = path.ns.inside(() =>
      addon.socket(domainOf(familyOf(path.address)), SOCK_DGRAM | SOCK_NONBLOCK, 0),
    );
    const buffer = Buffer.alloc(2048);
    this.#poll = addon.pollStart(this.#fd, 1, () => {
      for (;;) {
        const got = quietly(() => addon.recvfrom(this.#fd, buffer, 0));
        if (!got) return;
        const [id, source = ''] = buffer.toString('latin1', 0, got.length).trim().split(' ');
        if (addressIn(got.peer) !== '') arrived(Number(id), source);
      }
    });
  }

  send(id: number, path: StreamPath): void {
    const bytes = Buffer.alloc(64, ' ');
    bytes.write(`${id} `, 'latin1');
    // A refused send is a lost probe, which is what gets counted.
    quietly(() => socketAddon().send(this.#fd, bytes, 0, bytes.length, 0, sockaddr(path.address, path.port)));
  }

  close(): void {
    socketAddon().pollStop(this.#poll);
    socketAddon().close(this.#fd);
  }
}

class TcpLane implements Lane {
  broken: string | undefined;
  readonly #fd: number;
  readonly #arrived: Arrived;
  #poll: PollHandle;
  #source: string | undefined;
  #text = '';
  #waiting: string[] = [];

  constructor(path: StreamPath, arrived: Arrived) {
    const addon = socketAddon();
    this.#arrived = arrived;
    this.#fd = path.ns.inside(() =>
      addon.socket(domainOf(familyOf(path.address)), SOCK_STREAM | SOCK_NONBLOCK, 0),
    );
    quietly(() => addon.connect(this.#fd, sockaddr(path.address, path.port)));
    this.#poll = addon.pollStart(this.#fd, 2, () => this.#connected());
  }

  #connected(): void {
    const addon = socketAddon();
    const errno = addon.getsockopt(this.#fd, SOL_SOCKET, SO_ERROR, 4).readInt32LE();
    addon.pollStop(this.#poll);
    if (errno !== 0) {
      this.broken = `connect: errno ${errno}`;
      return;
    }
    const buffer = Buffer.alloc(16_384);
    this.#poll = addon.pollStart(this.#fd, 1, () => this.#read(buffer));
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#source = '';
    for (const line of waiting) this.#write(line);
  }

  #read(buffer: Buffer): void {
    const length = quietly(() => socketAddon().recv(this.#fd, buffer, 0), 0) ?? 0;
    if (length < 0) return;
    if (length === 0) {
      this.broken ??= 'closed by the other end or reset';
      socketAddon().pollStop(this.#poll);
      return;
    }
    const lines = (this.#text + buffer.toString('latin1', 0, length)).split('\n');
    this.#text = lines.pop() ?? '';
    for (const line of lines) {
      if (this.#source === '') this.#source = line;
      else this.#arrived(Number(line), this.#source ?? '');
    }
  }

  send(id: number): void {
    if (this.#source === undefined) this.#waiting.push(`${id}\n`);
    else this.#write(`${id}\n`);
  }

  #write(line: string): void {
    const bytes = Buffer.from(line, 'latin1');
    quietly(() => socketAddon().send(this.#fd, bytes, 0, bytes.length, 0));
  }

  close(): void {
    socketAddon().pollStop(this.#poll);
    socketAddon().close(this.#fd);
  }
}

/** Socket errors of a probe are judged by the missing answer. */
function quietly<T>(work: () => T, instead?: T): T | undefined {
  try {
    return work();
  } catch {
    return instead;
  }
}
