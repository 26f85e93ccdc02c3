/** Target `neighbor`: permanent neighbours (ARP, NDP) on our links. Learned and multicast ones are the kernel's. */
import type { Ip } from '../../model/net/ip.ts';
import type { Mac } from '../../model/net/mac.ts';
import { type NeighborBody, neighborKey } from '../../model/rows/neighbor.ts';
import type { Target } from '../../reconcile/target.ts';
import { type EntryKind, entryTarget } from './link-entries.ts';
import {
  deleteNeighbor,
  dumpNeighbors,
  type Neighbor,
  NUD_PERMANENT,
  putNeighbor,
  readNeighbor,
} from './netlink/rtnetlink/neighbor.ts';
import type { NetlinkTransport } from './netlink/transport.ts';

export function neighborTarget(nl: NetlinkTransport): Target<NeighborBody> {
  return entryTarget(nl, NEIGHBORS);
}

const NEIGHBORS: EntryKind<NeighborBody, Neighbor> = {
  name: 'neighbor',
  title: 'neighbour',
  same: (wanted, found) => wanted.mac === found.mac,
  dump: dumpNeighbors,
  read: readNeighbor,
  keyOf: (dev, { ip }) => neighborKey(dev, ip),
  bodyOf(dev, { ip, mac, state }) {
    return (state & NUD_PERMANENT) === 0 ? undefined : { dev, ip: ip as Ip, mac: mac as Mac };
  },
  valueOf: ({ mac }) => mac,
  put: (index, { ip, mac }) => putNeighbor(index, ip, mac),
  remove: (index, { ip }) => deleteNeighbor(index, ip),
};
