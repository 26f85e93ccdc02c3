/** Watches what an agent programs into this network namespace, from outside it: the same measure for any agent. */
import {
  RTM_DELROUTE,
  RTM_NEWNEIGH,
  RTM_NEWROUTE,
  RTNLGRP_IPV4_ROUTE,
  RTNLGRP_IPV6_ROUTE,
  RTNLGRP_NEIGH,
} from '../src/targets/linux/netlink/rtnetlink/constants.ts';
import { readRoute } from '../src/targets/linux/netlink/rtnetlink/route.ts';
import { openNetlink } from '../src/targets/linux/netlink/socket.ts';

/** Prefixes that the benches give to pods (`cluster.ts`). */
const POD_PREFIX = /^(10\.|fd00:10:)/;

export interface KernelWatch {
  /** Monotonic milliseconds of the first and the last row seen: routes to pods, neighbours, forwarding entries. */
  first: number;
  last: number;
  /** Routes to pods, and when each was seen. */
  readonly podRoutes: Map<string, number>;
  /** Some notifications were lost: the counts are too low. */
  lost: boolean;
  /** Resolves once these prefixes all have a route (`present`), or none has. Rejects after 30 s. */
  settled(prefixes: readonly string[], present: boolean): Promise<void>;
  close(): void;
}

export function watchKernel(): KernelWatch {
  const netlink = openNetlink(0);
  let moved = () => {};
  const watch: KernelWatch = {
    first: 0,
    last: 0,
    podRoutes: new Map(),
    lost: false,
    async settled(prefixes, present) {
      const timer = setTimeout(() => moved(), 30_000);
      const begun = performance.now();
      while (!prefixes.every((prefix) => watch.podRoutes.has(prefix) === present)) {
        if (performance.now() - begun > 30_000)
          throw new Error(`routes to ${prefixes.join(' ')} did not settle`);
        await new Promise<void>((resolve) => {
          moved = resolve;
        });
      }
      clearTimeout(timer);
    },
    close: () => netlink.close(),
  };
  netlink.subscribe(
    [RTNLGRP_NEIGH, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE],
    (message) => {
      const now = performance.now();
      if (message.type === RTM_NEWROUTE || message.type === RTM_DELROUTE) {
        const route = readRoute(message);
        if (!route || !POD_PREFIX.test(route.dst)) return;
        const dst = `${route.dst}/${route.length}`;
        if (message.type === RTM_DELROUTE) watch.podRoutes.delete(dst);
        else watch.podRoutes.set(dst, now);
        moved();
      } else if (message.type !== RTM_NEWNEIGH) return;
      watch.last = now;
      if (watch.first === 0) watch.first = now;
    },
    () => {
      watch.lost = true;
    },
  );
  return watch;
}
