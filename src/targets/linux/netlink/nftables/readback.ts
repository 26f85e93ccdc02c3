/** Everything that is in one of our tables, in the form of rows. */
import {
  type NftBody,
  type NftChain,
  type NftElement,
  type NftFamily,
  type NftRule,
  type NftSet,
  nftChainKey,
  nftElementKey,
  nftSetKey,
} from '../../../../model/rows/nft.ts';
import { NetlinkError, type NetlinkTransport } from '../transport.ts';
import { NFT_TABLE_F_DORMANT } from './constants.ts';
import { dumpElements, elementsOf, readElements } from './elements.ts';
import {
  bodyOf,
  chainOf,
  dumpChains,
  dumpRules,
  generationOf,
  getGeneration,
  getTable,
  ruleOf,
  TABLE,
} from './objects.ts';
import { countedSetOf, dumpSets } from './sets.ts';

export interface Snapshot {
  /** Somebody put the table to sleep (NFT_TABLE_F_DORMANT): its chains are there, but hooked nowhere. */
  readonly dormant: boolean;
  readonly generation: number;
  readonly chains: ReadonlyMap<string, NftChain>;
  readonly sets: ReadonlyMap<string, NftSet>;
  /** By set. Those of dynamic sets are the packet path's and not listed. */
  readonly elements: ReadonlyMap<string, readonly NftElement[]>;
}

/** Other software (kubelet, container runtimes) writes its rules in bursts; each write anywhere begins a new generation. */
const ATTEMPTS = 20;

/** One consistent picture: when anybody changed anything meanwhile (NFT_MSG_GETGEN tells), all is read again. */
export async function readTable(nl: NetlinkTransport, family: NftFamily): Promise<Snapshot> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const generation = await currentGeneration(nl);
    const snapshot = await readOnce(nl, family, generation);
    if (snapshot !== undefined && (await currentGeneration(nl)) === generation) return snapshot;
  }
  throw new NetlinkError(
    EINTR,
    `the nftables rules changed during each of ${ATTEMPTS} attempts to read them`,
  );
}

const EINTR = 4;
const ENOENT = 2;

export async function currentGeneration(nl: NetlinkTransport): Promise<number> {
  const [generation = 0] = await nl.request(getGeneration(), generationOf);
  return generation;
}

/** Rows by key. While the table sleeps, no chain is hooked: what is wanted differs, and whoever programs that wakes it. */
export function rowsOf(snapshot: Snapshot): Map<string, NftBody> {
  const rows = new Map<string, NftBody>();
  for (const chain of snapshot.chains.values())
    rows.set(nftChainKey(chain.name), snapshot.dormant ? { ...chain, hook: undefined } : chain);
  for (const set of snapshot.sets.values()) rows.set(nftSetKey(set.name), set);
  for (const elements of snapshot.elements.values())
    for (const element of elements) rows.set(nftElementKey(element.set, element.key), element);
  return rows;
}

/** `undefined` when something vanished while it was read. */
async function readOnce(
  nl: NetlinkTransport,
  family: NftFamily,
  generation: number,
): Promise<Snapshot | undefined> {
  const chains = new Map<string, NftChain>();
  const sets = new Map<string, NftSet>();
  const elements = new Map<string, readonly NftElement[]>();
  const flags = await tableFlags(nl, family);
  if (flags === undefined) return { dormant: false, generation, chains, sets, elements };
  const dormant = (flags & NFT_TABLE_F_DORMANT) !== 0;
  try {
    const rules = Map.groupBy(
      await nl.dump(dumpRules(family), (reply) => ruleOf(reply, family)),
      ({ chain }) => chain,
    );
    for (const chain of await nl.dump(dumpChains(family), (reply) => chainOf(reply, family)))
      chains.set(chain.name, {
        ...chain,
        rules: (rules.get(chain.name) ?? []).map(({ rule }): NftRule => rule),
      });
    for (const { set, count } of await nl.dump(dumpSets(family), (reply) => countedSetOf(reply, family))) {
      sets.set(set.name, set);
      if (!set.dynamic && set.key.length > 0)
        elements.set(set.name, await elementsIn(nl, family, set, count));
    }
  } catch (error) {
    if (error instanceof NetlinkError && error.errno === ENOENT) return undefined;
    throw error;
  }
  return { dormant, generation, chains, sets, elements };
}

/**
 * The kernel makes a hash table larger in the background, and a dump that meets this leaves out some elements and repeats others, without
 * a word. So a dump counts when it has as many elements as the kernel says or, where it does not say, when two in a row agree.
 */
async function elementsIn(
  nl: NetlinkTransport,
  family: NftFamily,
  set: NftSet,
  count: number | undefined,
): Promise<readonly NftElement[]> {
  let before: ReadonlySet<string> | undefined;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    // Kernels before 6.18, which do not count, end a dump with an empty message.
    const replies = (await nl.dump(dumpElements(family, set.name), elementsOf)).filter(
      (reply) => reply.length > 0,
    );
    const elements = readElements(set, replies.flat());
    if (set.interval) return elements;
    const byKey = new Map(elements.map((element) => [element.key.join(' . '), element]));
    const agree = before?.size === byKey.size && [...byKey.keys()].every((key) => before?.has(key));
    if (replies.length <= 1 || byKey.size === count || agree) return [...byKey.values()];
    before = new Set(byKey.keys());
  }
  throw new NetlinkError(
    EINTR,
    `the set ${set.name} was rearranged during each of ${ATTEMPTS} attempts to read it`,
  );
}

/** `undefined` when there is no such table. */
async function tableFlags(nl: NetlinkTransport, family: NftFamily): Promise<number | undefined> {
  try {
    const [flags = 0] = await nl.request(getTable(family), (reply) => bodyOf(reply, TABLE).flags);
    return flags;
  } catch (error) {
    if (error instanceof NetlinkError && error.errno === ENOENT) return undefined;
    throw error;
  }
}
