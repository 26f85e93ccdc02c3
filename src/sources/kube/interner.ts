import { type Raw, record, text } from './raw.ts';

const NONE: readonly never[] = Object.freeze([]);

/**
 * Makes equal strings and equal label sets the same object in memory: the pods of one Deployment share one set of labels,
 * and 150,000 pods share a few thousand node names.
 *
 * Bounded: when it has grown past its limit it forgets everything. Objects made earlier keep what they share;
 * a table that only ever remembered would leak under churn (every ReplicaSet brings a new pod-template-hash).
 */
export class Interner {
  readonly #limit: number;
  readonly #strings = new Map<string, string>();
  readonly #labels = new Map<string, Readonly<Record<string, string>>>();
  readonly #lists = new Map<string, readonly object[]>();

  constructor(limit = 50_000) {
    this.#limit = limit;
  }

  string(value: string): string {
    const known = this.#strings.get(value);
    if (known !== undefined) return known;
    if (this.#strings.size >= this.#limit) this.#strings.clear();
    this.#strings.set(value, value);
    return value;
  }

  /** A list of small frozen objects of one type, frozen: the same one whenever it reads the same as JSON. */
  list<T extends object>(list: readonly T[]): readonly T[] {
    if (list.length === 0) return NONE;
    const identity = JSON.stringify(list);
    const known = this.#lists.get(identity);
    if (known !== undefined) return known as readonly T[];
    if (this.#lists.size >= this.#limit) this.#lists.clear();
    this.#lists.set(identity, Object.freeze(list));
    return list;
  }

  /** The string-to-string map that `value` is, sorted by key and frozen; anything else in it is left out. */
  labels(value: unknown): Readonly<Record<string, string>> {
    const raw: Raw = record(value);
    const keys = Object.keys(raw).filter((key) => typeof raw[key] === 'string' && key !== '__proto__');
    if (keys.length > 1) keys.sort();
    let identity = '';
    // NUL cannot be part of a label, so two different sets never have the same identity.
    for (const key of keys) identity += `${key}\0${text(raw[key])}\0`;
    const known = this.#labels.get(identity);
    if (known !== undefined) return known;
    const labels: Record<string, string> = {};
    for (const key of keys) labels[this.string(key)] = this.string(text(raw[key]));
    if (this.#labels.size >= this.#limit) this.#labels.clear();
    this.#labels.set(identity, Object.freeze(labels));
    return labels;
  }
}
