import { connect, type Server, type Socket } from 'node:net';
import { listenTcp } from '../sockets/listen.ts';
import type { NetNs } from '../sockets/netns.ts';

/**
 * A node's way to the API server: a TCP port inside the node's namespace, joined to the server's unix socket. It does not cross the
 * underlay, so that a broken pod network and an unreachable API server are two faults and not one.
 */
export class ApiRelay {
  readonly #ns: NetNs;
  readonly #socketPath: string;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #server: Server | undefined;
  readonly #stalled = new Set<readonly [Socket, Socket]>();

  constructor(ns: NetNs, socketPath: string) {
    this.#ns = ns;
    this.#socketPath = socketPath;
  }

  /** Port of the API server as every node sees it, on 127.0.0.1. */
  static readonly port = 6443;

  async open(): Promise<void> {
    this.#server ??= await listenTcp(this.#ns, '127.0.0.1', ApiRelay.port, (socket) => this.#join(socket));
  }

  /** Refuses connections and cuts those that are open. */
  away(): void {
    this.#server?.close();
    this.#server = undefined;
    for (const [a, b] of this.#pairs) {
      a.destroy();
      b.destroy();
    }
  }

  /** Connections that are open now stay so, and not one byte comes from the server any more. New ones work. */
  stall(): void {
    for (const pair of this.#pairs) {
      this.#stalled.add(pair);
      pair[1].pause();
    }
  }

  resume(): void {
    for (const [, upstream] of this.#stalled) upstream.resume();
    this.#stalled.clear();
  }

  #join(client: Socket): void {
    const upstream = connect({ path: this.#socketPath, allowHalfOpen: true });
    const pair = [client, upstream] as const;
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      this.#stalled.delete(pair);
      client.destroy();
      upstream.destroy();
    };
    for (const socket of pair) socket.on('error', end).once('close', end);
    client.on('data', (chunk) => {
      if (!upstream.write(chunk)) client.pause();
    });
    upstream.on('drain', () => client.resume());
    upstream.on('data', (chunk) => {
      if (!client.write(chunk)) upstream.pause();
    });
    client.on('drain', () => {
      if (!this.#stalled.has(pair)) upstream.resume();
    });
    client.once('end', () => upstream.end());
    upstream.once('end', () => client.end());
  }
}
