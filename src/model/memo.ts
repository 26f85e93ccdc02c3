/**
 * What was made of texts before, for functions of the text alone: so that what is equal is made, and kept, once. It forgets everything
 * when it knows too much.
 */
export class Memo<V> {
  readonly #known = new Map<string, V>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  get(text: string, make: () => V): V {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const made = make();
    if (this.#known.size >= this.#most) this.#known.clear();
    this.#known.set(text, made);
    return made;
  }
}
