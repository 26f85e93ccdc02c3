/** The netlink transport on real sockets: one for changes and questions, one for dumps, one for each subscription. */
import { isSocketError, type PollHandle, socketAddon } from './addon.ts';
import { attributes, eachMessage, type NetlinkMessage, text } from './attributes.ts';
import {
  MSG_DONTWAIT,
  MSG_TRUNC,
  NLM_F_ACK,
  NLM_F_ACK_TLVS,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_HEADER,
  NLMSG_NOOP,
} from './constants.ts';
import { faultArmed, kernelChanged } from './fault.ts';
import { ANSWER_TIMEOUT_SECONDS, joinGroup, openSocket } from './open-socket.ts';
import {
  AmbiguousError,
  NetlinkError,
  type NetlinkOutcome,
  type NetlinkTransport,
  type Subscription,
  type TransactOptions,
} from './transport.ts';

/** Messages a send: 10,000 routes in sends of 500 block the loop for 8 ms at most, and larger sends are no faster. */
const MESSAGES_PER_SEND = faultArmed ? 1 : 400;
const BYTES_PER_SEND = 128 * 1024;
const DUMP_ATTEMPTS = 5;
/** A dump gives the event loop a turn after this long, in milliseconds. */
const DUMP_SLICE = 8;
/** Datagrams taken from a subscription in one turn of the event loop. */
const EVENTS_PER_TURN = 64;

const DONE: NetlinkOutcome = { ok: true };
const NOTHING = new Uint8Array();
/** NLMSGERR_ATTR_MSG: the kernel's own words. */
const EXTENDED_ACK = attributes({ words: [1, text] });

export interface NetlinkSocketOptions {
  /** File of a network namespace; default: that of the calling thread at the time of each first use. */
  readonly namespace?: string;
  /** Dumps are made in another thread: the kernel walks its table of connections for 12 ms even when it is empty. */
  readonly dumpsAside?: boolean;
}

/** Opens a netlink protocol (NETLINK_ROUTE …). Throws `SocketError` when the kernel does not have it. */
export function openNetlink(protocol: number, options: NetlinkSocketOptions = {}): NetlinkTransport {
  return new NetlinkSocket(protocol, options);
}

class NetlinkSocket implements NetlinkTransport {
  readonly port: number;
  readonly #addon = socketAddon();
  readonly #protocol: number;
  readonly #namespace: string | undefined;
  readonly #subscriptions = new Set<Subscription>();
  readonly #buffer = Buffer.allocUnsafeSlow(256 * 1024);
  readonly #outgoing = Buffer.allocUnsafeSlow(BYTES_PER_SEND);
  readonly #changes: number;
  /** What dumps in another thread are received into. */
  readonly #aside: Buffer | undefined;
  #dumps: number | undefined;
  #lastDump: Promise<unknown> = Promise.resolve();
  #sequence = 0;
  #closed = false;

  constructor(protocol: number, options: NetlinkSocketOptions) {
    this.#protocol = protocol;
    this.#namespace = options.namespace;
    if (options.dumpsAside) this.#aside = Buffer.allocUnsafeSlow(256 * 1024);
    this.#changes = openSocket(this.#protocol, this.#namespace);
    this.port = this.#addon.getsockname(this.#changes).readUInt32LE(4);
  }

  async transact(
    messages: readonly Uint8Array[],
    options: TransactOptions = {},
  ): Promise<readonly NetlinkOutcome[]> {
    const outcomes = new Array<NetlinkOutcome>(messages.length).fill(DONE);
    if (options.oneDatagram) {
      this.#sendAndRead(messages, 0, messages.length, outcomes, options);
      return outcomes;
    }
    for (let from = 0; from < messages.length; ) {
      if (from > 0) await nextTurn();
      const to = endOfChunk(messages, from);
      this.#sendAndRead(messages, from, to, outcomes, options);
      from = to;
    }
    return outcomes;
  }

  async request<T>(message: Uint8Array, read: (reply: NetlinkMessage) => T | undefined): Promise<T[]> {
    const results: T[] = [];
    const outcomes = new Array<NetlinkOutcome>(1).fill(DONE);
    const onReply = (reply: NetlinkMessage) => {
      const result = read(reply);
      if (result !== undefined) results.push(result);
    };
    this.#sendAndRead([message], 0, 1, outcomes, { onReply }, false);
    for (const outcome of outcomes) if (!outcome.ok) throw outcome.error;
    return results;
  }

  async dump<T>(message: Uint8Array, read: (reply: NetlinkMessage) => T | undefined): Promise<T[]> {
    // One at a time: the kernel refuses a second dump on a socket (EBUSY).
    const mine = this.#lastDump.then(() => this.#dump(message, read));
    this.#lastDump = mine.catch(() => undefined);
    return mine;
  }

  subscribe(
    groups: readonly number[],
    onMessage: (message: NetlinkMessage) => void,
    onLost: () => void,
    requests: readonly Uint8Array[] = [],
  ): Subscription {
    const addon = this.#addon;
    const fd = openSocket(this.#protocol, this.#namespace);
    let poll: PollHandle;
    const buffer = Buffer.allocUnsafeSlow(64 * 1024);
    const isOpen = () => this.#subscriptions.has(subscription);
    const deliver = (most: number) => this.#deliver(fd, buffer, most, isOpen, onMessage, onLost);
    const subscription: Subscription = {
      poll: () => deliver(Number.POSITIVE_INFINITY),
      close: () => {
        if (!this.#subscriptions.delete(subscription)) return;
        addon.pollStop(poll);
        addon.close(fd);
      },
    };
    try {
      for (const group of groups) joinGroup(fd, group);
      for (const request of requests) this.#ask(fd, request);
      poll = addon.pollStart(fd, 1, () => deliver(EVENTS_PER_TURN));
    } catch (error) {
      addon.close(fd);
      throw error;
    }
    addon.pollUnref(poll);
    this.#subscriptions.add(subscription);
    return subscription;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const subscription of [...this.#subscriptions]) subscription.close();
    this.#addon.close(this.#changes);
    const dumps = this.#dumps;
    this.#dumps = undefined;
    if (dumps === undefined) return;
    // The other thread may still use it.
    if (this.#aside) void this.#lastDump.then(() => this.#addon.close(dumps));
    else this.#addon.close(dumps);
  }

  /**
   * Sends messages `from … to` in one datagram and reads their outcomes. The kernel works through the datagram within the call of send, so all
   * answers are in the receive buffer when it returns. Refusals are always answered; success only on demand, so one acknowledgement, of the last
   * message, proves that all were seen.
   */
  #sendAndRead(
    messages: readonly Uint8Array[],
    from: number,
    to: number,
    outcomes: NetlinkOutcome[],
    options: TransactOptions,
    changes = true,
  ): void {
    if (to === from) return;
    const first = this.#sequence + 1;
    const data = this.#join(messages, from, to, options.oneDatagram === true);
    this.#addon.send(this.#changes, data, 0, data.length, 0);
    if (changes) kernelChanged();
    let answered = false;
    // Answers come in the order of the messages: behind that of the last one there is nothing more to look for.
    let complete = false;
    while (!complete) {
      const length = this.#receive(this.#changes, MSG_DONTWAIT);
      if (length < 0) break;
      eachMessage(this.#buffer, length, (reply) => {
        const index = (reply.sequence - first) >>> 0;
        if (index >= to - from) return; // the rest of an exchange that was given up
        if (reply.type === NLMSG_ERROR) {
          answered = true;
          complete = !options.oneDatagram && from + index === to - 1;
          const error = errorOf(reply);
          if (error) outcomes[from + index] = { ok: false, error };
        } else if (reply.type !== NLMSG_NOOP) {
          options.onReply?.(reply, from + index);
        }
      });
    }
    if (!answered) throw new AmbiguousError('the kernel did not acknowledge a request');
  }

  /** One buffer of all messages, numbered, the last one that can be acknowledged marked so. */
  #join(messages: readonly Uint8Array[], from: number, to: number, oneDatagram: boolean): Buffer {
    let total = 0;
    for (let i = from; i < to; i++) total += ((messages[i]?.length ?? 0) + 3) & ~3;
    const data =
      total <= this.#outgoing.length ? this.#outgoing.subarray(0, total) : Buffer.allocUnsafeSlow(total);
    // The end of an nftables batch is acknowledged by new kernels only; the message before it by all.
    const acknowledged = oneDatagram && to - from > 1 ? to - 2 : to - 1;
    let at = 0;
    for (let i = from; i < to; i++) {
      const message = messages[i];
      if (message === undefined) continue;
      data.set(message, at);
      this.#sequence = (this.#sequence + 1) >>> 0;
      data.writeUInt32LE(this.#sequence, at + 8);
      if (i === acknowledged) data.writeUInt16LE(data.readUInt16LE(at + 6) | NLM_F_ACK, at + 6);
      at += (message.length + 3) & ~3;
    }
    return data;
  }

  /** Bytes received into the shared buffer, -1 when nothing is there. Throws `AmbiguousError` when answers were lost. */
  #receive(fd: number, flags: number): number {
    let length: number;
    try {
      length = this.#addon.recv(fd, this.#buffer, flags | MSG_TRUNC);
    } catch (error) {
      throw new AmbiguousError('answers of the kernel were lost', error);
    }
    if (length > this.#buffer.length) throw new AmbiguousError(`an answer of ${length} bytes was cut`);
    return length;
  }

  async #dump<T>(message: Uint8Array, read: (reply: NetlinkMessage) => T | undefined): Promise<T[]> {
    for (let attempt = 1; attempt <= DUMP_ATTEMPTS; attempt++) {
      try {
        const results = await this.#dumpOnce(message, read);
        if (results) return results;
      } catch (error) {
        // What is left of this dump must not be read as the answer of the next one.
        if (this.#dumps !== undefined) this.#addon.close(this.#dumps);
        this.#dumps = undefined;
        throw error;
      }
      await nextTurn();
    }
    throw new NetlinkError(4, `the dump was interrupted ${DUMP_ATTEMPTS} times by changes`);
  }

  /** `undefined` when the kernel says that the objects changed while it listed them (NLM_F_DUMP_INTR). */
  async #dumpOnce<T>(
    message: Uint8Array,
    read: (reply: NetlinkMessage) => T | undefined,
  ): Promise<T[] | undefined> {
    this.#dumps ??= openSocket(this.#protocol, this.#namespace);
    const fd = this.#dumps;
    const data = this.#join([message], 0, 1, false);
    // A dump ends with NLMSG_DONE; an acknowledgement besides would be one more.
    data.writeUInt16LE(data.readUInt16LE(6) & ~NLM_F_ACK, 6);
    const sequence = this.#sequence;
    if (!this.#aside) this.#addon.send(fd, data, 0, data.length, 0);
    // Others may send from the shared buffer before the other thread does.
    let question: Uint8Array = this.#aside ? Buffer.from(data) : NOTHING;
    const results: T[] = [];
    let interrupted = false;
    let done = false;
    const take = (reply: NetlinkMessage) => {
      if (reply.sequence !== sequence || done) return;
      if ((reply.flags & NLM_F_DUMP_INTR) !== 0) interrupted = true;
      if (reply.type === NLMSG_DONE || reply.type === NLMSG_ERROR) {
        done = true;
        const error = errorOf(reply);
        if (error) throw error;
      } else if (reply.type !== NLMSG_NOOP) {
        const result = read(reply);
        if (result !== undefined) results.push(result);
      }
    };
    for (let sliceEnd = performance.now() + DUMP_SLICE; !done; ) {
      const buffer = this.#aside ?? this.#buffer;
      const length = this.#aside ? await this.#exchange(fd, question, buffer) : this.#receive(fd, 0);
      question = NOTHING;
      if (length < 0) throw new AmbiguousError(`no answer to a dump within ${ANSWER_TIMEOUT_SECONDS} s`);
      eachMessage(buffer, length, take);
      if (!done && performance.now() > sliceEnd) {
        await nextTurn();
        sliceEnd = performance.now() + DUMP_SLICE;
      }
    }
    return interrupted ? undefined : results;
  }

  async #exchange(fd: number, question: Uint8Array, into: Buffer): Promise<number> {
    try {
      return await this.#addon.exchange(fd, question, into);
    } catch (error) {
      throw new AmbiguousError('answers of the kernel were lost', error);
    }
  }

  /** A request on a socket of its own. Its answer is there when `send` returns. */
  #ask(fd: number, message: Uint8Array): void {
    const data = this.#join([message], 0, 1, false);
    this.#addon.send(fd, data, 0, data.length, 0);
    let error: NetlinkError | undefined;
    const note = (reply: NetlinkMessage) => {
      if (reply.type === NLMSG_ERROR) error ??= errorOf(reply);
    };
    for (let length = 0; length >= 0; length = this.#receive(fd, MSG_DONTWAIT))
      eachMessage(this.#buffer, length, note);
    if (error) throw error;
  }

  #deliver(
    fd: number,
    buffer: Buffer,
    most: number,
    isOpen: () => boolean,
    onMessage: (message: NetlinkMessage) => void,
    onLost: () => void,
  ): void {
    for (let i = 0; i < most && isOpen(); i++) {
      let length: number;
      try {
        length = this.#addon.recv(fd, buffer, MSG_DONTWAIT | MSG_TRUNC);
      } catch (error) {
        if (!isSocketError(error)) throw error;
        onLost(); // ENOBUFS: more came than the buffer holds
        continue;
      }
      if (length < 0) return;
      if (length > buffer.length) onLost();
      else eachMessage(buffer, length, (message) => isOpen() && onMessage(message));
    }
  }
}

function endOfChunk(messages: readonly Uint8Array[], from: number): number {
  let bytes = messages[from]?.length ?? 0;
  let to = from + 1;
  while (to < messages.length && to - from < MESSAGES_PER_SEND) {
    bytes += messages[to]?.length ?? 0;
    if (bytes > BYTES_PER_SEND - 4 * MESSAGES_PER_SEND) break;
    to++;
  }
  return to;
}

/** `struct nlmsgerr` (or the end of a dump): i32 error, and with NLM_F_ACK_TLVS the kernel's words. `undefined` = success. */
function errorOf(reply: NetlinkMessage): NetlinkError | undefined {
  if (reply.end - reply.start < 4) return undefined;
  const errno = -reply.bytes.readInt32LE(reply.start);
  if (errno === 0) return undefined;
  // An error repeats the request's header (NETLINK_CAP_ACK: no more of it); the end of a dump does not.
  const skip = reply.type === NLMSG_ERROR ? 4 + NLMSG_HEADER : 4;
  const hasWords = (reply.flags & NLM_F_ACK_TLVS) !== 0;
  const words = hasWords ? EXTENDED_ACK.read(reply.bytes, reply.start + skip, reply.end, {}).words : '';
  return new NetlinkError(errno, words ?? '');
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
