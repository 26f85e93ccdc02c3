/** Which links are ours, and names of links. One rule, for all targets whose rows live on our links. */
import { FairleadError } from '../../model/errors.ts';
import { LINK_ALIAS, LINK_PREFIX } from '../../model/rows/link.ts';
import { knownLink } from './link-memo.ts';
import { findLink, type Link, listLinks } from './netlink/rtnetlink/link.ts';
import type { NetlinkTransport } from './netlink/transport.ts';

/**
 * Link group that marks a link of ours from its first moment: the kernel takes the alias only after creation, and the process may die in between.
 * The number is our route protocol's.
 */
export const LINK_GROUP = 201;

export function isOurs(link: Pick<Link, 'name' | 'alias' | 'group'>): boolean {
  if (!link.name.startsWith(LINK_PREFIX)) return false;
  return link.alias.startsWith(LINK_ALIAS) || (link.alias === '' && link.group === LINK_GROUP);
}

export async function listOwnLinks(nl: NetlinkTransport): Promise<Link[]> {
  return (await listLinks(nl, 'vxlan')).filter(isOurs);
}

/** One of our links by name. Throws `no-link`, `foreign-link`. */
export async function ownLink(nl: NetlinkTransport, name: string): Promise<Link> {
  const link = await anyLink(nl, name);
  if (!isOurs(link)) throw foreignLink(name);
  return link;
}

/** Throws `no-link`. */
async function anyLink(nl: NetlinkTransport, name: string): Promise<Link> {
  const link = await knownLink(nl, name);
  if (link === undefined) throw noLink(name);
  return link;
}

export function noLink(name: string): FairleadError {
  return new FairleadError('no-link', `there is no link ${name}`);
}

export function foreignLink(name: string): FairleadError {
  return new FairleadError('foreign-link', `link ${name} exists and is not ours`, {
    hint: `if nothing needs it: ip link delete ${name}`,
  });
}

/** Indexes of links by name, asked once each. A failed answer is kept as the error. */
export async function indexesOf(
  names: Iterable<string>,
  find: (name: string) => Promise<Link>,
): Promise<(name: string) => number> {
  const found = new Map<string, number | FairleadError>();
  for (const name of names) {
    if (found.has(name)) continue;
    try {
      found.set(name, (await find(name)).index);
    } catch (error) {
      if (!(error instanceof FairleadError)) throw error;
      found.set(name, error);
    }
  }
  return (name) => {
    const answer = found.get(name) ?? noLink(name);
    if (typeof answer === 'number') return answer;
    throw answer;
  };
}

/** The same of any links. Each that is found is put into `used`. */
export async function indexesInUse(
  nl: NetlinkTransport,
  names: Iterable<string>,
  used: Set<number>,
): Promise<(name: string) => number> {
  return indexesOf(names, async (name) => {
    const link = await anyLink(nl, name);
    used.add(link.index);
    return link;
  });
}

/** Names of links by index, asked once each; a link that has gone has the name `#INDEX`, and 0 (none) has none. */
export async function namesOf(
  nl: NetlinkTransport,
  indexes: Iterable<number>,
): Promise<ReadonlyMap<number, string>> {
  const names = new Map<number, string>();
  for (const index of indexes) {
    if (index !== 0 && !names.has(index)) names.set(index, (await findLink(nl, index))?.name ?? `#${index}`);
  }
  return names;
}
