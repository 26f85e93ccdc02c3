/** Notifications of the nftables group: which of our rows somebody else touched. */
import { NFT_TABLE, type NftFamily, nftChainKey, nftElementKey, nftSetKey } from '../../../model/rows/nft.ts';
import type { NetlinkMessage } from '../netlink/attributes.ts';
import {
  NFPROTO,
  NFT_MSG_DELCHAIN,
  NFT_MSG_DELRULE,
  NFT_MSG_DELSET,
  NFT_MSG_DELSETELEM,
  NFT_MSG_DELTABLE,
  NFT_MSG_NEWCHAIN,
  NFT_MSG_NEWGEN,
  NFT_MSG_NEWRULE,
  NFT_MSG_NEWSET,
  NFT_MSG_NEWSETELEM,
  NFT_MSG_NEWTABLE,
} from '../netlink/nftables/constants.ts';
import { ELEMENTS, readElements } from '../netlink/nftables/elements.ts';
import { bodyOf, CHAIN, familyOf, RULE, TABLE } from '../netlink/nftables/objects.ts';
import { isRangeConcatenation, SET } from '../netlink/nftables/sets.ts';
import { BadNetlink } from '../netlink/writer.ts';
import type { Known } from './known.ts';

const NONE: readonly string[] = [];

export class DriftReader {
  readonly #family: NftFamily;
  readonly #port: number;
  readonly #known: Known;
  readonly #onDrift: (keys: Iterable<string> | 'unknown') => void;
  #keys = new Set<string>();
  #unknown = false;

  /** `port`: that of the socket that we change things with; its own changes are no drift. */
  constructor(
    family: NftFamily,
    port: number,
    known: Known,
    onDrift: (keys: Iterable<string> | 'unknown') => void,
  ) {
    this.#family = family;
    this.#port = port;
    this.#known = known;
    this.#onDrift = onDrift;
  }

  /** A transaction's messages come one by one, the new generation (NFT_MSG_NEWGEN) last. */
  take(message: NetlinkMessage): void {
    if (message.port === this.#port) return;
    if (message.type === NFT_MSG_NEWGEN) this.#report();
    else this.#collect(message);
  }

  #report(): void {
    if (this.#unknown) this.#onDrift('unknown');
    else if (this.#keys.size > 0) this.#onDrift(this.#keys);
    this.#unknown = false;
    this.#keys = new Set();
  }

  #collect(message: NetlinkMessage): void {
    try {
      const keys = this.#keysOf(message);
      if (keys === 'unknown') this.#unknown = true;
      else for (const key of keys) this.#keys.add(key);
    } catch (error) {
      if (!(error instanceof BadNetlink)) throw error;
      this.#unknown = true;
    }
  }

  #keysOf(message: NetlinkMessage): readonly string[] | 'unknown' {
    if (familyOf(message) !== NFPROTO[this.#family]) return NONE;
    switch (message.type) {
      case NFT_MSG_NEWTABLE:
      case NFT_MSG_DELTABLE:
        return bodyOf(message, TABLE).name === NFT_TABLE ? 'unknown' : NONE;
      case NFT_MSG_NEWCHAIN:
      case NFT_MSG_DELCHAIN:
        return ours(bodyOf(message, CHAIN), ({ name }) => name && nftChainKey(name));
      case NFT_MSG_NEWRULE:
      case NFT_MSG_DELRULE:
        return ours(bodyOf(message, RULE), ({ chain }) => chain && nftChainKey(chain));
      case NFT_MSG_NEWSET:
      case NFT_MSG_DELSET:
        return ours(bodyOf(message, SET), ({ name }) => name && nftSetKey(name));
      case NFT_MSG_NEWSETELEM:
      case NFT_MSG_DELSETELEM:
        return this.#elementKeys(message);
      default:
        return NONE;
    }
  }

  #elementKeys(message: NetlinkMessage): readonly string[] | 'unknown' {
    const { table, set: name, elements } = bodyOf(message, ELEMENTS);
    if (table !== NFT_TABLE || name === undefined) return NONE;
    const set = this.#known.sets.get(name);
    if (set?.dynamic) return NONE;
    // Half a range tells nothing.
    if (set === undefined || (set.interval && !isRangeConcatenation(set))) return 'unknown';
    return readElements(set, elements ?? []).map((element) => nftElementKey(name, element.key));
  }
}

function ours<T extends { readonly table?: string | undefined }>(
  body: T,
  key: (body: T) => string | undefined,
): readonly string[] {
  const found = body.table === NFT_TABLE ? key(body) : undefined;
  return found ? [found] : NONE;
}
