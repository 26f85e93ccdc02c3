import { prefixKey, prefixOf } from './prefix.ts';

/**
 * Which values (names of Nodes) belong to which prefixes, asked by overlap.
 *
 * Prefixes are nested or disjoint, so in a list sorted by first address all that lie inside a prefix are neighbours (binary
 * search), and all that cover it are found by looking it up cut to each length in use (two or three in practice).
 */
export class PrefixSet {
  readonly #values = new Map<string, Set<string>>();
  /** Sort keys of all prefixes present. */
  #sorted: string[] = [];
  readonly #byKey = new Map<string, string>();
  /** How many prefixes there are of each length; IPv6 lengths count from 1000. */
  readonly #lengths = new Map<number, number>();

  add(prefix: string, value: string): void {
    const key = this.#enter(prefix, value);
    if (key !== undefined) this.#sorted.splice(lowerBound(this.#sorted, key), 0, key);
  }

  /** Many at once: one sort instead of many insertions. */
  addAll(entries: Iterable<readonly [prefix: string, value: string]>): void {
    for (const [prefix, value] of entries) {
      const key = this.#enter(prefix, value);
      if (key !== undefined) this.#sorted.push(key);
    }
    this.#sorted.sort(byCode);
  }

  remove(prefix: string, value: string): void {
    const values = this.#values.get(prefix);
    if (!values?.delete(value) || values.size > 0) return;
    this.#values.delete(prefix);
    const { key, length } = place(prefix);
    this.#byKey.delete(key);
    this.#sorted.splice(lowerBound(this.#sorted, key), 1);
    const left = (this.#lengths.get(length) ?? 1) - 1;
    if (left > 0) this.#lengths.set(length, left);
    else this.#lengths.delete(length);
  }

  values(prefix: string): ReadonlySet<string> {
    return this.#values.get(prefix) ?? NONE;
  }

  /** Every prefix present that contains `prefix`, itself not included. */
  *covering(prefix: string): Iterable<string> {
    const wanted = prefixOf(prefix);
    for (const marked of this.#lengths.keys()) {
      const length = wanted.family === 'ipv6' ? marked - V6 : marked;
      if (length < 0 || length >= wanted.length) continue;
      const wider = this.#byKey.get(prefixKey(wanted, length));
      if (wider !== undefined) yield wider;
    }
  }

  /** Every prefix present that lies inside `prefix`, itself included. */
  *inside(prefix: string): Iterable<string> {
    const wanted = prefixOf(prefix);
    const end = `${wanted.last}~`;
    for (let at = lowerBound(this.#sorted, prefixKey(wanted)); at < this.#sorted.length; at++) {
      const candidate = this.#sorted[at] ?? '';
      if (candidate > end) return;
      const text = this.#byKey.get(candidate);
      if (text !== undefined) yield text;
    }
  }

  *overlapping(prefix: string): Iterable<string> {
    yield* this.covering(prefix);
    yield* this.inside(prefix);
  }

  /** Returns the sort key when the prefix is new. */
  #enter(prefix: string, value: string): string | undefined {
    const values = this.#values.get(prefix);
    if (values) {
      values.add(value);
      return undefined;
    }
    this.#values.set(prefix, new Set([value]));
    const { key, length } = place(prefix);
    this.#byKey.set(key, prefix);
    this.#lengths.set(length, (this.#lengths.get(length) ?? 0) + 1);
    return key;
  }
}

const NONE: ReadonlySet<string> = new Set();
const V6 = 1000;

function place(prefix: string): { key: string; length: number } {
  const parsed = prefixOf(prefix);
  return { key: prefixKey(parsed), length: parsed.family === 'ipv6' ? parsed.length + V6 : parsed.length };
}

function lowerBound(sorted: readonly string[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? '') < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

const byCode = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
