/** The types of the socket addon (`addon/`), and its loader. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { FairleadError } from '../../../model/errors.ts';

declare const pollHandle: unique symbol;
/** A running readiness watch. */
export interface PollHandle {
  readonly [pollHandle]: never;
}

/**
 * System calls on sockets, synchronous, numbers and bytes as the kernel has them (see `constants.ts`). A failed call
 * throws a `SocketError`. Socket addresses are the bytes of the kernel's `struct sockaddr_…`.
 */
export interface SocketAddon {
  /** Returns a descriptor, always close-on-exec. */
  socket(domain: number, type: number, protocol: number): number;
  /** Stop a watch on the descriptor first. */
  close(fd: number): void;
  bind(fd: number, address: Uint8Array): void;
  /** `false`: under way (non-blocking); wait for writable, then read SO_ERROR. */
  connect(fd: number, address: Uint8Array): boolean;
  listen(fd: number, backlog: number): void;
  /** A new non-blocking descriptor, or -1 when nobody waits. */
  accept(fd: number): number;
  getsockname(fd: number): Buffer;
  setsockopt(fd: number, level: number, name: number, value: Uint8Array): void;
  getsockopt(fd: number, level: number, name: number, length: number): Buffer;
  /** Bytes sent, or -1 when it would block. MSG_NOSIGNAL is always set. */
  send(
    fd: number,
    data: Uint8Array,
    offset: number,
    length: number,
    flags: number,
    address?: Uint8Array,
  ): number;
  /** Bytes received, or -1 when it would block. With MSG_TRUNC the true length, which may exceed `into`. */
  recv(fd: number, into: Uint8Array, flags: number): number;
  /**
   * Sends `data`, unless it is empty, and receives into `into` (at least 64 KiB): the first datagram, waiting for it, and those that are there
   * then, each beginning at a multiple of four bytes. All in another thread: for questions over which the kernel takes its time. Until it is
   * settled, neither the buffers nor the descriptor may be touched. Rejects with EAGAIN when nothing came within SO_RCVTIMEO.
   */
  exchange(fd: number, data: Uint8Array, into: Uint8Array): Promise<number>;
  /** As `recv`, and the sender's address; `undefined` when it would block. */
  recvfrom(
    fd: number,
    into: Uint8Array,
    flags: number,
  ): { readonly length: number; readonly peer: Buffer } | undefined;
  /** Moves the calling thread only: threads of the pool (asynchronous file calls, DNS) stay where they are. */
  setns(fd: number, type: number): void;
  unshare(flags: number): void;
  /**
   * Calls back whenever the descriptor is ready (level-triggered). `events`: 1 readable, 2 writable, 4 hung up; `errno` is 0, or
   * why the watch failed. One watch a descriptor; it makes the descriptor non-blocking and keeps the process alive unless unref'd.
   */
  pollStart(fd: number, events: number, callback: (events: number, errno: number) => void): PollHandle;
  /** What the kernel should do with pages of this process. Wrong advice destroys memory: see `agent/memory.ts`. */
  madvise(address: number, length: number, advice: number): void;
  /** May be called twice. */
  pollStop(handle: PollHandle): void;
  pollUnref(handle: PollHandle): void;
}

/** What a failed call throws. */
export interface SocketError extends Error {
  /** `EPERM`, `ENOBUFS` … */
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
}

export function isSocketError(error: unknown): error is SocketError {
  return error instanceof Error && 'syscall' in error && 'errno' in error && 'code' in error;
}

/** Beside the bundle, or in `dist/` when the program runs from its sources. */
const PLACES = ['socket.node', '../../../../dist/socket.node'];

function load(): SocketAddon {
  const path = PLACES.map((place) => join(import.meta.dirname, place)).find((place) => existsSync(place));
  if (path === undefined) {
    throw new FairleadError('no-addon', 'the socket addon (socket.node) is not built', {
      hint: 'type: npm run build',
    });
  }
  const loaded: { exports: unknown } = { exports: {} };
  process.dlopen(loaded, path);
  return loaded.exports as SocketAddon;
}

let loaded: SocketAddon | undefined;

/** The addon, loaded at the first call. Throws `no-addon` when it was not built. */
export function socketAddon(): SocketAddon {
  loaded ??= load();
  return loaded;
}
