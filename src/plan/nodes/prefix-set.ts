import type { Family } from '../../model/net/ip.ts';
import { prefixKey, prefixOf } from './prefix.ts';
import { SortedList } from './sorted-list.ts';

interface Entry {
  readonly prefix: string;
  /** Sort key. */
  readonly key: string;
  /** Nobody keeps it: it is replaced and never changed. */
  values: readonly string[];
}

/**
 * Which values (names of Nodes) belong to which prefixes, asked by overlap.
 *
 * Prefixes are nested or disjoint, so in a list sorted by first address all that lie inside a prefix are neighbours (binary
 * search), and all that cover it are found by looking it up cut to each length in use (two or three in practice).
 */
export class PrefixSet {
  readonly #entries = new Map<string, Entry>();
  readonly #byKey = new Map<string, Entry>();
  readonly #sorted = new SortedList<Entry>();
  /** How many prefixes there are of each length. */
  readonly #lengths: Readonly<Record<Family, Map<number, number>>> = { ipv4: new Map(), ipv6: new Map() };
  #sortedLengths: Readonly<Record<Family, readonly number[]>> | undefined;

  add(prefix: string, value: string): void {
    const entry = this.#enter(prefix, value);
    if (entry) this.#sorted.add(entry);
  }

  /** Many at once: one sort instead of many insertions. */
  addAll(entries: Iterable<readonly [prefix: string, value: string]>): void {
    const fresh = Array.from(entries, ([prefix, value]) => this.#enter(prefix, value));
    this.#sorted.addAll(fresh.filter((entry) => entry !== undefined));
  }

  remove(prefix: string, value: string): void {
    const entry = this.#entries.get(prefix);
    if (!entry?.values.includes(value)) return;
    entry.values = entry.values.filter((present) => present !== value);
    if (entry.values.length > 0) return;
    this.#entries.delete(prefix);
    this.#byKey.delete(entry.key);
    this.#sorted.remove(entry.key);
    this.#count(prefix, -1);
  }

  /** Each once. */
  values(prefix: string): readonly string[] {
    return this.#entries.get(prefix)?.values ?? NONE;
  }

  /** Every prefix present that contains `prefix`, itself not included. */
  covering(prefix: string): readonly string[] {
    const wanted = prefixOf(prefix);
    const found: string[] = [];
    for (const length of this.lengths(wanted.family)) {
      if (length >= wanted.length) break;
      const wider = this.#byKey.get(prefixKey(wanted, length));
      if (wider) found.push(wider.prefix);
    }
    return found;
  }

  /** Every prefix present that lies inside `prefix`, itself included. */
  inside(prefix: string): readonly string[] {
    const wanted = prefixOf(prefix);
    const longest = this.lengths(wanted.family).at(-1) ?? -1;
    if (longest < wanted.length) return NONE;
    return this.#sorted.between(prefixKey(wanted), endOf(prefix)).map((entry) => entry.prefix);
  }

  overlapping(prefix: string): readonly string[] {
    const covering = this.covering(prefix);
    const inside = this.inside(prefix);
    return covering.length === 0 ? inside : [...covering, ...inside];
  }

  /** Prefix lengths in use, shortest first: the same list as long as they are the same. */
  lengths(family: Family): readonly number[] {
    this.#sortedLengths ??= {
      ipv4: [...this.#lengths.ipv4.keys()].sort((a, b) => a - b),
      ipv6: [...this.#lengths.ipv6.keys()].sort((a, b) => a - b),
    };
    return this.#sortedLengths[family];
  }

  /** Whether a prefix that is present has one value, and no other overlaps it. What nearly all are, found without a list. */
  alone(prefix: string): boolean {
    const entry = this.#entries.get(prefix);
    if (entry?.values.length !== 1) return false;
    const { family } = prefixOf(prefix);
    // Of one length, different ones never overlap.
    if (this.lengths(family).length === 1) return true;
    return this.inside(prefix).length === 1 && this.covering(prefix).length === 0;
  }

  /** Returns the entry when the prefix is new. */
  #enter(prefix: string, value: string): Entry | undefined {
    const present = this.#entries.get(prefix);
    if (present) {
      if (!present.values.includes(value)) present.values = [...present.values, value];
      return undefined;
    }
    const entry = { prefix, key: prefixKey(prefixOf(prefix)), values: [value] };
    this.#entries.set(prefix, entry);
    this.#byKey.set(entry.key, entry);
    this.#count(prefix, 1);
    return entry;
  }

  #count(prefix: string, by: 1 | -1): void {
    const { family, length } = prefixOf(prefix);
    const counts = this.#lengths[family];
    const before = counts.get(length) ?? 0;
    if (before + by > 0) counts.set(length, before + by);
    else counts.delete(length);
    if (before === 0 || before + by === 0) this.#sortedLengths = undefined;
  }
}

const NONE: readonly string[] = [];
/** No key within the prefix is greater: it is its last address and then the longest length. */
function endOf(prefix: string): string {
  return `${prefixOf(prefix).last}\xff`;
}
