import { type Labels, matches, type Selector } from '../../../model/cluster/selector.ts';

/**
 * Items by label selector, asked by labels: which of them match?
 *
 * Each is filed under one equality that it demands (`app=web`, or `app in (a,b)` under both), so that labels find it by looking up
 * what they say, and all that demand something else cost nothing. Only selectors without any equality are tried one by one.
 */
export class SelectorFile<T> {
  readonly #selectorOf: (item: T) => Selector;
  /** key → value → items */
  readonly #filed = new Map<string, Map<string, Set<T>>>();
  readonly #unfiled = new Set<T>();

  constructor(selectorOf: (item: T) => Selector) {
    this.#selectorOf = selectorOf;
  }

  add(item: T): void {
    const term = equality(this.#selectorOf(item));
    if (!term) this.#unfiled.add(item);
    else for (const value of term.values) bucket(this.#filed, term.key, value).add(item);
  }

  remove(item: T): void {
    const term = equality(this.#selectorOf(item));
    if (!term) this.#unfiled.delete(item);
    else for (const value of term.values) takeOut(this.#filed, term.key, value, item);
  }

  get empty(): boolean {
    return this.#unfiled.size === 0 && this.#filed.size === 0;
  }

  *items(): Iterable<T> {
    const seen = new Set(this.#unfiled);
    for (const values of this.#filed.values())
      for (const items of values.values()) for (const item of items) seen.add(item);
    yield* seen;
  }

  /** Adds to `found` each item whose selector matches, once. */
  find(labels: Labels, found: T[]): void {
    this.#filed.forEach((values, key) => {
      const items = Object.hasOwn(labels, key) ? values.get(labels[key] ?? '') : undefined;
      if (items) for (const item of items) this.#try(item, labels, found);
    });
    if (this.#unfiled.size > 0) for (const item of this.#unfiled) this.#try(item, labels, found);
  }

  #try(item: T, labels: Labels, found: T[]): void {
    if (matches(this.#selectorOf(item), labels)) found.push(item);
  }
}

/** The term to file under: the one with the fewest values; `undefined` when it demands no equality. */
export function equality({ terms }: Selector): Selector['terms'][number] | undefined {
  let best: Selector['terms'][number] | undefined;
  for (const term of terms) {
    if (term.operator === 'In' && (!best || term.values.length < best.values.length)) best = term;
  }
  return best;
}

export function bucket<T>(filed: Map<string, Map<string, Set<T>>>, key: string, value: string): Set<T> {
  const values = filed.get(key) ?? new Map<string, Set<T>>();
  filed.set(key, values);
  const items = values.get(value) ?? new Set<T>();
  values.set(value, items);
  return items;
}

export function takeOut<T>(
  filed: Map<string, Map<string, Set<T>>>,
  key: string,
  value: string,
  item: T,
): void {
  const values = filed.get(key);
  const items = values?.get(value);
  if (!items?.delete(item) || items.size > 0) return;
  values?.delete(value);
  if (values?.size === 0) filed.delete(key);
}
