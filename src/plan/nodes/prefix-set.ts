import type { Family } from '../../model/net/ip.ts';
import { prefixKey, prefixOf } from './prefix.ts';

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
  #sorted: Entry[] = [];
  /** How many prefixes there are of each length; IPv6 lengths count from 1000. */
  readonly #lengths = new Map<number, number>();

  add(prefix: string, value: string): void {
    const entry = this.#enter(prefix, value);
    if (entry) this.#sorted.splice(lowerBound(this.#sorted, entry.key), 0, entry);
  }

  /** Many at once: one sort instead of many insertions. */
  addAll(entries: Iterable<readonly [prefix: string, value: string]>): void {
    for (const [prefix, value] of entries) {
      const entry = this.#enter(prefix, value);
      if (entry) this.#sorted.push(entry);
    }
    this.#sorted.sort(byKey);
  }

  remove(prefix: string, value: string): void {
    const entry = this.#entries.get(prefix);
    if (!entry?.values.includes(value)) return;
    entry.values = entry.values.filter((present) => present !== value);
    if (entry.values.length > 0) return;
    this.#entries.delete(prefix);
    this.#byKey.delete(entry.key);
    this.#sorted.splice(lowerBound(this.#sorted, entry.key), 1);
    const length = mark(prefix);
    const left = (this.#lengths.get(length) ?? 1) - 1;
    if (left > 0) this.#lengths.set(length, left);
    else this.#lengths.delete(length);
  }

  /** Each once. */
  values(prefix: string): readonly string[] {
    return this.#entries.get(prefix)?.values ?? NONE;
  }

  /** Every prefix present that contains `prefix`, itself not included. */
  covering(prefix: string): readonly string[] {
    const wanted = prefixOf(prefix);
    const base = wanted.family === 'ipv6' ? V6 : 0;
    const found: string[] = [];
    for (const marked of this.#lengths.keys()) {
      const length = marked - base;
      if (length < 0 || length >= wanted.length) continue;
      const wider = this.#byKey.get(prefixKey(wanted, length));
      if (wider) found.push(wider.prefix);
    }
    return found;
  }

  /** Every prefix present that lies inside `prefix`, itself included. */
  inside(prefix: string): readonly string[] {
    const wanted = prefixOf(prefix);
    const end = endOf(prefix);
    const found: string[] = [];
    for (let at = lowerBound(this.#sorted, prefixKey(wanted)); at < this.#sorted.length; at++) {
      const candidate = this.#sorted[at];
      if (!candidate || candidate.key > end) break;
      found.push(candidate.prefix);
    }
    return found;
  }

  overlapping(prefix: string): readonly string[] {
    const covering = this.covering(prefix);
    const inside = this.inside(prefix);
    return covering.length === 0 ? inside : [...covering, ...inside];
  }

  /** Prefix lengths in use, shortest first. */
  lengths(family: Family): readonly number[] {
    const base = family === 'ipv6' ? V6 : 0;
    return [...this.#lengths.keys()]
      .map((marked) => marked - base)
      .filter((length) => length >= 0 && length <= 128)
      .sort((a, b) => a - b);
  }

  /** Whether a prefix that is present has one value, and no other overlaps it. What nearly all are, found without a list. */
  alone(prefix: string): boolean {
    const entry = this.#entries.get(prefix);
    if (entry?.values.length !== 1) return false;
    const next = this.#sorted[lowerBound(this.#sorted, entry.key) + 1];
    return !(next && next.key <= endOf(prefix)) && this.covering(prefix).length === 0;
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
    const length = mark(prefix);
    this.#lengths.set(length, (this.#lengths.get(length) ?? 0) + 1);
    return entry;
  }
}

const NONE: readonly string[] = [];
const V6 = 1000;

function mark(prefix: string): number {
  const { family, length } = prefixOf(prefix);
  return family === 'ipv6' ? length + V6 : length;
}

/** No key within the prefix is greater: it is its last address and then the longest length. */
function endOf(prefix: string): string {
  return `${prefixOf(prefix).last}\u{ffff}`;
}

function lowerBound(sorted: readonly Entry[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle]?.key ?? '') < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

const byKey = (a: Entry, b: Entry): number => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
