/** Kernel notifications as drift: what others changed, told at most once a turn of the event loop. */
import type { Closer } from '../../reconcile/target.ts';
import type { NetlinkMessage } from './netlink/attributes.ts';
import { type Link, readLink } from './netlink/rtnetlink/link.ts';
import type { NetlinkTransport } from './netlink/transport.ts';

export interface DriftOptions {
  readonly nl: NetlinkTransport;
  readonly groups: readonly number[];
  /** Whether an event of this link may have taken rows away without telling. */
  readonly linkMatters: (link: Link) => boolean;
  /** The row's key; `undefined` = not ours. May wait for answers. */
  readonly keyOf: (message: NetlinkMessage) => string | undefined;
  /** Whether this message of somebody else's change means that rows went along without being told. */
  readonly shakes?: (message: NetlinkMessage) => boolean;
}

/**
 * Own changes are left out: their notifications carry our port. Events of links never are, because one change of a link (down, delete) takes
 * addresses, neighbours and IPv4 routes with it that nobody announces.
 */
export function watchDrift(
  options: DriftOptions,
  onDrift: (keys: Iterable<string> | 'unknown') => void,
): Closer {
  const { nl, groups, linkMatters, keyOf, shakes } = options;
  let keys = new Set<string>();
  let unknown = false;
  let scheduled: NodeJS.Immediate | undefined;
  const tell = () => {
    scheduled = undefined;
    const told = unknown ? ('unknown' as const) : keys;
    keys = new Set();
    unknown = false;
    onDrift(told);
  };
  const soon = () => {
    scheduled ??= setImmediate(tell);
  };
  const lost = () => {
    unknown = true;
    soon();
  };
  const onMessage = (message: NetlinkMessage) => {
    const link = readLink(message);
    if (link !== undefined) {
      if (linkMatters(link)) lost();
      return;
    }
    if (message.port === nl.port) return;
    if (shakes?.(message)) {
      lost();
      return;
    }
    const key = keyOf(message);
    if (key === undefined) return;
    keys.add(key);
    soon();
  };
  const subscription = nl.subscribe(groups, onMessage, lost);
  return {
    close() {
      subscription.close();
      clearImmediate(scheduled);
    },
  };
}
