/** Permanent entries of our own links, which the kernel tells as RTM_*NEIGH: what targets `neighbor` and `fdb` have in common. */
import { LINK_PREFIX } from '../../model/rows/link.ts';
import type { Target } from '../../reconcile/target.ts';
import { applyBatch } from './batch.ts';
import { watchDrift } from './drift.ts';
import type { NetlinkMessage } from './netlink/attributes.ts';
import { RTM_NEWNEIGH, RTNLGRP_LINK, RTNLGRP_NEIGH } from './netlink/rtnetlink/constants.ts';
import type { NetlinkTransport } from './netlink/transport.ts';
import { indexesOf, listOwnLinks, ownLink } from './own-links.ts';
import { Standing } from './standing.ts';

export interface EntryKind<Body, Entry> {
  readonly name: string;
  /** Begins the row's name in an error. */
  readonly title: string;
  same(wanted: Body, found: Body): boolean;
  /** Asks for the entries of the link with this index. */
  dump(index: number): Buffer;
  read(message: NetlinkMessage): Entry | undefined;
  keyOf(dev: string, entry: Entry): string;
  /** `undefined`: one that the kernel has learned, and that is not ours to judge. */
  bodyOf(dev: string, entry: Entry): Body | undefined;
  /** All of it that can be altered. */
  valueOf(body: Body): string;
  put(index: number, wanted: Body): Buffer;
  remove(index: number, found: Body): Buffer;
}

export function entryTarget<Body extends { readonly dev: string }, Entry extends { readonly index: number }>(
  nl: NetlinkTransport,
  kind: EntryKind<Body, Entry>,
): Target<Body> {
  const names = new Map<number, string>();
  const standing = new Standing<Body>(kind.valueOf);
  return {
    name: kind.name,
    stage: 2,
    same: kind.same,
    async observe() {
      const found = new Map<string, Body>();
      for (const link of await listOwnLinks(nl)) {
        names.set(link.index, link.name);
        for (const entry of await nl.dump(kind.dump(link.index), kind.read)) {
          const body = entry.index === link.index ? kind.bodyOf(link.name, entry) : undefined;
          if (body) found.set(kind.keyOf(link.name, entry), body);
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
        title: (change) => `${kind.title} ${change.key}`,
        gone: ['ENOENT', 'ENODEV', 'no-link'],
        encode({ wanted, found }) {
          if (wanted) return [kind.put(index(wanted.dev), wanted)];
          return found ? [kind.remove(index(found.dev), found)] : [];
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
            const entry = kind.read(message);
            const dev = entry && names.get(entry.index);
            if (!entry || !dev) return undefined;
            const body = message.type === RTM_NEWNEIGH ? kind.bodyOf(dev, entry) : undefined;
            const key = kind.keyOf(dev, entry);
            return standing.isNews(key, body && kind.valueOf(body)) ? key : undefined;
          },
        },
        onDrift,
      ),
  };
}
