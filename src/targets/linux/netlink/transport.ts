/** What codecs and targets see of a netlink socket, so that a fake can stand in. */
import { getSystemErrorMap } from 'node:util';
import { FairleadError } from '../../../model/errors.ts';
import type { NetlinkMessage } from './attributes.ts';

/** Names and usual words of errno values. */
const ERRORS = getSystemErrorMap();

/** A request that the kernel refused. `code` is errno's name; the message has the kernel's own words where it gave any. */
export class NetlinkError extends FairleadError {
  override readonly name = 'NetlinkError';
  readonly errno: number;
  /** The kernel's own words (NLMSGERR_ATTR_MSG), empty when it gave none. */
  readonly words: string;
  constructor(errno: number, words: string, doing = '') {
    const [code = `errno ${errno}`, usual = 'refused'] = ERRORS.get(-errno) ?? [];
    super(code, `${doing === '' ? '' : `${doing}: `}${words === '' ? usual : words} (${code})`);
    this.errno = errno;
    this.words = words;
  }
}

/** An answer was lost: nobody knows how much was done. Observe again. */
export class AmbiguousError extends FairleadError {
  override readonly name = 'AmbiguousError';
  constructor(message: string, cause?: unknown) {
    super('ambiguous', message, cause === undefined ? {} : { cause });
  }
}

/** What became of one request. The same shape as a row's outcome. */
export type NetlinkOutcome = { readonly ok: true } | { readonly ok: false; readonly error: Error };

/** A running subscription. */
export interface Subscription {
  /** Delivers at once what has come by now; otherwise it waits for the event loop. */
  poll(): void;
  close(): void;
}

export interface TransactOptions {
  /**
   * All messages go in one datagram and the outcomes are read after it: for nftables, whose batch (NFNL_MSG_BATCH_BEGIN …
   * NFNL_MSG_BATCH_END) is one transaction. Without it, messages are independent and go some hundreds at a time.
   */
  readonly oneDatagram?: boolean;
  /** Replies that are not acknowledgements (NLM_F_ECHO); `index` is that of the message it answers. */
  readonly onReply?: (message: NetlinkMessage, index: number) => void;
}

/**
 * One netlink protocol in one network namespace. Messages are whole (`encode`); the transport fills in sequence, port and, where it needs
 * them, acknowledgements. Calls may overlap.
 */
export interface NetlinkTransport {
  /** Notifications that carry this port were caused by our own `transact`. */
  readonly port: number;
  /**
   * Requests that change the kernel: one outcome a message, in order, refusals as `NetlinkError`. Throws only when an answer was lost
   * (`AmbiguousError`) or nothing could be sent.
   */
  transact(messages: readonly Uint8Array[], options?: TransactOptions): Promise<readonly NetlinkOutcome[]>;
  /** One question and what `read` makes of its replies (NLM_F_DUMP not set). Throws `NetlinkError` when refused. */
  request<T>(message: Uint8Array, read: (reply: NetlinkMessage) => T | undefined): Promise<T[]>;
  /**
   * Sends `message` (NLM_F_DUMP set) and returns what `read` makes of each reply, `undefined` left out. Never partial: an interrupted dump is
   * asked for again, up to five times, then it throws.
   */
  dump<T>(message: Uint8Array, read: (reply: NetlinkMessage) => T | undefined): Promise<T[]>;
  /**
   * Notifications of multicast groups (numbers of the RTNLGRP_… and NFNLGRP_… lists). `onLost`: the kernel dropped some, what we know is stale.
   * It does not keep the process alive. `requests` go out by the subscription's own socket first, for what the kernel sends to whoever
   * asked (log groups); throws `NetlinkError` when one is refused.
   */
  subscribe(
    groups: readonly number[],
    onMessage: (message: NetlinkMessage) => void,
    onLost: () => void,
    requests?: readonly Uint8Array[],
  ): Subscription;
  close(): void;
}
