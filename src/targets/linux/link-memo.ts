/** Links by name, asked for once and then known until the kernel says that they changed. */
import { RTNLGRP_LINK } from './netlink/rtnetlink/constants.ts';
import { findLink, type Link, readLink } from './netlink/rtnetlink/link.ts';
import type { NetlinkTransport, Subscription } from './netlink/transport.ts';

/**
 * The kernel queues the notification of a change before the call that makes the change returns. So whoever first takes what is queued knows
 * no less than one who asks anew, and it is one look into an empty queue instead of a question and an answer.
 */
class LinkMemo {
  readonly #nl: NetlinkTransport;
  readonly #links = new Map<string, Link>();
  readonly #events: Subscription;
  #told = 0;

  constructor(nl: NetlinkTransport) {
    this.#nl = nl;
    const onLost = () => {
      this.#told++;
      this.#links.clear();
    };
    this.#events = nl.subscribe([RTNLGRP_LINK], (message) => this.#forget(readLink(message)), onLost);
  }

  async find(name: string): Promise<Link | undefined> {
    this.#events.poll();
    const known = this.#links.get(name);
    if (known) return known;
    const told = this.#told;
    const link = await findLink(this.#nl, name);
    // Of a link that is down the kernel does not tell all (net/core/dev.c, `netdev_state_change`).
    if (link?.up && told === this.#told) this.#links.set(name, link);
    return link;
  }

  /** By its new name, and by the one it had. */
  #forget(changed: Link | undefined): void {
    if (!changed) return;
    this.#told++;
    this.#links.delete(changed.name);
    for (const [name, link] of this.#links) if (link.index === changed.index) this.#links.delete(name);
  }
}

const MEMOS = new WeakMap<NetlinkTransport, LinkMemo>();

/** The link as it is now; `undefined` when there is none of this name. */
export function knownLink(nl: NetlinkTransport, name: string): Promise<Link | undefined> {
  let memo = MEMOS.get(nl);
  if (!memo) {
    memo = new LinkMemo(nl);
    MEMOS.set(nl, memo);
  }
  return memo.find(name);
}
