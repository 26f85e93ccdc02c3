import { networkOf, splitPrefix } from '../../model/net/cidr.ts';
import { ipBytes } from '../../model/net/ip.ts';

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
    const { address, length, family } = splitPrefix(prefix);
    for (const marked of this.#lengths.keys()) {
      const other = family === 'ipv6' ? marked - V6 : marked;
      if (other < 0 || other >= length) continue;
      const wider = networkOf(address, other);
      if (this.#values.has(wider)) yield wider;
    }
  }

  /** Every prefix present that lies inside `prefix`, itself included. */
  *inside(prefix: string): Iterable<string> {
    const { key, first, last } = place(prefix);
    let at = lowerBound(this.#sorted, key);
    for (; at < this.#sorted.length; at++) {
      const candidate = this.#sorted[at] ?? '';
      if (candidate.slice(0, first.length) > last) return;
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

interface Place {
  /** Family and first address in hex, then the length: a wider prefix sorts before what it contains. */
  readonly key: string;
  readonly first: string;
  /** Family and last address in hex. */
  readonly last: string;
  readonly length: number;
}

function place(prefix: string): Place {
  const { address, length, family } = splitPrefix(prefix);
  const bytes = ipBytes(address);
  const mark = family === 'ipv4' ? '4' : '6';
  const end = bytes.map((byte, i) => byte | (0xff >> Math.min(8, Math.max(0, length - 8 * i))));
  const first = `${mark}${Buffer.from(bytes).toString('hex')}`;
  return {
    key: `${first}/${String(length).padStart(3, '0')}`,
    first,
    last: `${mark}${Buffer.from(end).toString('hex')}`,
    length: family === 'ipv6' ? length + V6 : length,
  };
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
