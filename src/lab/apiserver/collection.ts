/** What one storage holds, by key and in key order. The order is kept cheaply where it can be and mended when a list needs it. */
export class Collection<Entry extends { readonly key: string }> {
  readonly #entries = new Map<string, Entry>();
  /** The keys, and those in `#gone`. */
  #order: string[] = [];
  #sorted = true;
  /** Removed, and still in the order: it is not mended for each removal. */
  readonly #gone = new Set<string>();

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  /** Returns what the entry replaced. */
  put(entry: Entry): Entry | undefined {
    const before = this.#entries.get(entry.key);
    this.#entries.set(entry.key, entry);
    if (!before && !this.#gone.delete(entry.key)) {
      const last = this.#order[this.#order.length - 1];
      if (last !== undefined && last > entry.key) this.#sorted = false;
      this.#order.push(entry.key);
    }
    return before;
  }

  remove(key: string): void {
    if (this.#entries.delete(key)) this.#gone.add(key);
  }

  /** Entries in key order; a copy that later writes do not touch. */
  list(namespace: string): Entry[] {
    this.#mend();
    const found: Entry[] = [];
    const prefix = namespace === '' ? '' : `${namespace}/`;
    for (let i = this.#position(prefix); i < this.#order.length; i++) {
      const key = this.#order[i] ?? '';
      if (!key.startsWith(prefix)) break;
      const entry = this.#entries.get(key);
      if (entry) found.push(entry);
    }
    return found;
  }

  #mend(): void {
    if (this.#gone.size > 0) this.#order = this.#order.filter((key) => !this.#gone.has(key));
    this.#gone.clear();
    if (!this.#sorted) this.#order.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    this.#sorted = true;
  }

  /** The first position whose key is not before this one. */
  #position(key: string): number {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#order[middle] ?? '') < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
