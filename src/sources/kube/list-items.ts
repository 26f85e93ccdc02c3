import { DecodeError } from './errors.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

const ITEMS = /"items"\s*:\s*\[$/;
/** What surrounds the items is some hundred bytes; an object is 1.5 MiB at most (etcd's limit). */
const LARGEST_PART = 32 * 1024 * 1024;

/**
 * Cuts the items out of a list while its bytes come in, so that neither the list's text nor all of its raw objects are ever in
 * memory at once: a page of 500 pods is 3 MB of text and three times that as objects, one pod is 6 KB.
 *
 * ```
 * {"kind":"PodList","metadata":{…},"items":[{…},{…},{…}]}
 * └──────────── rest ─────────────────────┘ │   │   │  └┘ rest
 *                                           └ onItem each
 * ```
 *
 * It looks at quotes and brackets only; whether the pieces are JSON is for the parser to say. All of these are single bytes in
 * UTF-8 and never part of a longer sequence.
 */
export class ItemSplitter {
  readonly #onItem: (text: string) => void;
  /** Pieces of the item, or of the rest, that earlier chunks brought. */
  #held: Buffer[] = [];
  #heldSize = 0;
  #rest = '';
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** Within the array of items. */
  #inItems = false;

  constructor(onItem: (text: string) => void) {
    this.#onItem = onItem;
  }

  push(chunk: Buffer): void {
    // Where the part begins that is neither given out nor kept yet; -1 = between items, where nothing is kept.
    let from = this.#inItems && this.#depth === 2 ? -1 : 0;
    for (let i = 0; i < chunk.length; i++) {
      if (this.#inString) {
        i = this.#skipString(chunk, i);
        continue;
      }
      switch (chunk[i]) {
        case QUOTE:
          this.#inString = true;
          break;
        case OPEN_OBJECT:
        case OPEN_ARRAY:
          if (from < 0) from = i;
          else if (this.#depth === 1 && chunk[i] === OPEN_ARRAY) {
            this.#rest += this.#part(chunk, from, i + 1);
            this.#inItems = ITEMS.test(this.#rest);
            from = this.#inItems ? -1 : i + 1;
          }
          this.#depth++;
          break;
        case CLOSE_OBJECT:
        case CLOSE_ARRAY:
          this.#depth--;
          if (!this.#inItems) break;
          if (this.#depth === 1) {
            this.#inItems = false;
            from = i;
          } else if (this.#depth === 2) {
            this.#onItem(this.#part(chunk, from, i + 1));
            from = -1;
          }
          break;
      }
    }
    if (from >= 0) this.#hold(chunk.subarray(from));
  }

  /** The list without its items, once all bytes came: `{"kind":"PodList","metadata":{…},"items":[]}`. */
  end(): string {
    return this.#rest + this.#part(Buffer.alloc(0), 0, 0);
  }

  /** The index of the quote that ends the string, or of the chunk's last byte. */
  #skipString(chunk: Buffer, start: number): number {
    for (let i = start; i < chunk.length; i++) {
      if (this.#escaped) this.#escaped = false;
      else if (chunk[i] === BACKSLASH) this.#escaped = true;
      else if (chunk[i] === QUOTE) {
        this.#inString = false;
        return i;
      }
    }
    return chunk.length - 1;
  }

  #part(chunk: Buffer, from: number, to: number): string {
    if (this.#heldSize === 0) return chunk.toString('utf8', from, to);
    const whole = Buffer.concat([...this.#held, chunk.subarray(from, to)]);
    this.#held = [];
    this.#heldSize = 0;
    return whole.toString('utf8');
  }

  #hold(piece: Buffer): void {
    this.#heldSize += piece.length;
    if (this.#heldSize > LARGEST_PART)
      throw new DecodeError(`a part of a list is longer than ${LARGEST_PART} bytes`);
    this.#held.push(piece);
  }
}
