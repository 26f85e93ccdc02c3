/** Target `fdb`: permanent forwarding entries of our vxlan devices, one VTEP a MAC. */
import type { Ip } from '../../model/net/ip.ts';
import type { Mac } from '../../model/net/mac.ts';
import { type FdbBody, fdbKey } from '../../model/rows/fdb.ts';
import { LINK_PREFIX } from '../../model/rows/link.ts';
import type { Target } from '../../reconcile/target.ts';
import { applyBatch } from './batch.ts';
import { watchDrift } from './drift.ts';
import { RTM_NEWNEIGH, RTNLGRP_LINK, RTNLGRP_NEIGH } from './netlink/rtnetlink/constants.ts';
import {
  deleteFdb,
  dumpFdb,
  type FdbEntry,
  NUD_NOARP,
  NUD_PERMANENT,
  putFdb,
  readFdb,
} from './netlink/rtnetlink/neighbor.ts';
import type { NetlinkTransport } from './netlink/transport.ts';
import { indexesOf, listOwnLinks, ownLink } from './own-links.ts';
import { Standing } from './standing.ts';

interface FoundFdb extends FdbBody {
  /** It has another port, VNI, underlay or state than we give. */
  readonly altered?: true;
}

export function fdbTarget(nl: NetlinkTransport): Target<FdbBody> {
  const names = new Map<number, string>();
  const standing = new Standing<FoundFdb>(({ dst, altered }) => (altered ? 'altered' : dst));
  return {
    name: 'fdb',
    stage: 2,
    same: (wanted, found: FoundFdb) => wanted.dst === found.dst && found.altered === undefined,
    async observe() {
      const found = new Map<string, FoundFdb>();
      for (const link of await listOwnLinks(nl)) {
        names.set(link.index, link.name);
        for (const entry of await nl.dump(dumpFdb(link.index), readFdb)) {
          // Learned entries (somebody switched learning on) are the kernel's and age.
          if (entry.index !== link.index || (entry.state & (NUD_PERMANENT | NUD_NOARP)) === 0) continue;
          if (entry.dst === undefined) continue;
          const altered = isAltered(entry);
          found.set(fdbKey(link.name, entry.mac), {
            dev: link.name,
            mac: entry.mac as Mac,
            dst: entry.dst as Ip,
            ...(altered ? { altered: true as const } : {}),
          });
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
        title: (change) => `fdb ${change.key}`,
        gone: ['ENOENT', 'ENODEV', 'no-link'],
        encode({ wanted, found }) {
          if (wanted) return [putFdb(index(wanted.dev), wanted.mac, wanted.dst)];
          return found ? [deleteFdb(index(found.dev), found.mac)] : [];
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
            const entry = readFdb(message);
            const dev = entry && names.get(entry.index);
            if (!entry || !dev) return undefined;
            const key = fdbKey(dev, entry.mac);
            const value = isAltered(entry) ? 'altered' : entry.dst;
            return standing.isNews(key, message.type === RTM_NEWNEIGH ? value : undefined) ? key : undefined;
          },
        },
        onDrift,
      ),
  };
}

const isAltered = (entry: FdbEntry) => entry.overrides || entry.state !== NUD_PERMANENT;
