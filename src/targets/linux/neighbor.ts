/** Target `neighbor`: permanent neighbours (ARP, NDP) on our links. Learned and multicast ones are the kernel's. */
import type { Ip } from '../../model/net/ip.ts';
import type { Mac } from '../../model/net/mac.ts';
import { LINK_PREFIX } from '../../model/rows/link.ts';
import { type NeighborBody, neighborKey } from '../../model/rows/neighbor.ts';
import type { Target } from '../../reconcile/target.ts';
import { applyBatch } from './batch.ts';
import { watchDrift } from './drift.ts';
import { RTM_NEWNEIGH, RTNLGRP_LINK, RTNLGRP_NEIGH } from './netlink/rtnetlink/constants.ts';
import {
  deleteNeighbor,
  dumpNeighbors,
  NUD_PERMANENT,
  putNeighbor,
  readNeighbor,
} from './netlink/rtnetlink/neighbor.ts';
import type { NetlinkTransport } from './netlink/transport.ts';
import { indexesOf, listOwnLinks, ownLink } from './own-links.ts';
import { Standing } from './standing.ts';

export function neighborTarget(nl: NetlinkTransport): Target<NeighborBody> {
  const names = new Map<number, string>();
  const standing = new Standing<NeighborBody>(({ mac }) => mac);
  return {
    name: 'neighbor',
    stage: 2,
    same: (wanted, found) => wanted.mac === found.mac,
    async observe() {
      const found = new Map<string, NeighborBody>();
      for (const link of await listOwnLinks(nl)) {
        names.set(link.index, link.name);
        for (const neighbor of await nl.dump(dumpNeighbors(link.index), readNeighbor)) {
          if (neighbor.index !== link.index || (neighbor.state & NUD_PERMANENT) === 0) continue;
          const body = { dev: link.name, ip: neighbor.ip as Ip, mac: neighbor.mac as Mac };
          found.set(neighborKey(body.dev, body.ip), body);
        }
      }
      standing.observed(found);
      return found;
    },
    async apply(batch) {
      const devs = batch.map(({ wanted, found }) => (wanted ?? found)?.dev ?? '');
      const index = await indexesOf(devs, (name) => ownLink(nl, name));
      standing.applying(batch);
      return applyBatch(nl, batch, {
        title: (change) => `neighbour ${change.key}`,
        gone: ['ENOENT', 'ENODEV', 'no-link'],
        encode({ wanted, found }) {
          if (wanted) return [putNeighbor(index(wanted.dev), wanted.ip, wanted.mac)];
          return found ? [deleteNeighbor(index(found.dev), found.ip)] : [];
        },
      });
    },
    watch: (onDrift) =>
      watchDrift(
        {
          nl,
          groups: [RTNLGRP_LINK, RTNLGRP_NEIGH],
          linkMatters: (link) => link.name.startsWith(LINK_PREFIX) || names.delete(link.index),
          keyOf(message) {
            const neighbor = readNeighbor(message);
            const dev = neighbor && names.get(neighbor.index);
            if (!neighbor || !dev) return undefined;
            const key = neighborKey(dev, neighbor.ip);
            const stands = message.type === RTM_NEWNEIGH && (neighbor.state & NUD_PERMANENT) !== 0;
            return standing.isNews(key, stands ? neighbor.mac : undefined) ? key : undefined;
          },
        },
        onDrift,
      ),
  };
}
