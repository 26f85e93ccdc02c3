/** Pieces of a list of thousands: a change moves the entries of one of them, and not those of the whole list. */
const PIECE = 256;

/** Entries in the order of their keys. */
export class SortedList<T extends { readonly key: string }> {
  /** Each in order, and they among each other; none is empty. */
  #pieces: T[][] = [];

  /** Many at once: one sort instead of many insertions. */
  addAll(entries: readonly T[]): void {
    const all = [...this.#pieces.flat(), ...entries].sort((a, b) =>
      a.key < b.key ? -1 : a.key > b.key ? 1 : 0,
    );
    this.#pieces = [];
    for (let at = 0; at < all.length; at += PIECE) this.#pieces.push(all.slice(at, at + PIECE));
  }

  add(entry: T): void {
    const place = Math.min(this.#pieceOf(entry.key), this.#pieces.length - 1);
    const piece = this.#pieces[place];
    if (!piece) {
      this.#pieces.push([entry]);
      return;
    }
    piece.splice(lowerBound(piece, entry.key), 0, entry);
    if (piece.length > 2 * PIECE) this.#pieces.splice(place + 1, 0, piece.splice(PIECE));
  }

  /** The entry with this key, which must be there. */
  remove(key: string): void {
    const place = this.#pieceOf(key);
    const piece = this.#pieces[place];
    piece?.splice(lowerBound(piece, key), 1);
    if (piece?.length === 0) this.#pieces.splice(place, 1);
  }

  /** All with keys from `first` to `last`, both included. */
  between(first: string, last: string): T[] {
    const found: T[] = [];
    for (let place = this.#pieceOf(first); place < this.#pieces.length; place++) {
      const piece = this.#pieces[place] ?? [];
      for (let at = lowerBound(piece, first); at < piece.length; at++) {
        const entry = piece[at];
        if (!entry || entry.key > last) return found;
        found.push(entry);
      }
    }
    return found;
  }

  /** The first piece that does not end before `key`. */
  #pieceOf(key: string): number {
    return partition(this.#pieces.length, (at) => (this.#pieces[at]?.at(-1)?.key ?? '') < key);
  }
}

const lowerBound = <T extends { readonly key: string }>(sorted: readonly T[], key: string): number =>
  partition(sorted.length, (at) => (sorted[at]?.key ?? '') < key);

/** The first of `length` places for which `before` does not hold; it holds for all places in front of that one. */
function partition(length: number, before: (at: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (before(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}
