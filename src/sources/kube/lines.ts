import { DecodeError } from './errors.ts';

/** etcd refuses objects over 1.5 MiB; a line longer than this is no watch event. */
const LONGEST_LINE = 32 * 1024 * 1024;

const NEWLINE = 0x0a;

/**
 * Cuts a byte stream into lines. Cutting happens on bytes, and only whole lines are decoded, so a chunk may end in the middle
 * of a UTF-8 sequence: the byte 0x0a is never part of a longer one (RFC 3629 section 3).
 */
export class LineSplitter {
  readonly #onLine: (line: string) => void;
  #pieces: Buffer[] = [];
  #held = 0;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  /** Calls back for every line that this chunk completes; empty lines are left out. Throws `DecodeError` for endless lines. */
  push(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      this.#line(chunk, start, end);
      start = end + 1;
    }
    if (start === chunk.length) return;
    this.#held += chunk.length - start;
    if (this.#held > LONGEST_LINE)
      throw new DecodeError(`a watch event is longer than ${LONGEST_LINE} bytes`);
    this.#pieces.push(start === 0 ? chunk : chunk.subarray(start));
  }

  /** Bytes of a line that has begun and not ended: not zero when the stream ends = it was cut off. */
  get held(): number {
    return this.#held;
  }

  #line(chunk: Buffer, start: number, end: number): void {
    if (this.#held === 0) {
      if (end > start) this.#onLine(chunk.toString('utf8', start, end));
      return;
    }
    const whole = Buffer.concat([...this.#pieces, chunk.subarray(start, end)]);
    this.#pieces = [];
    this.#held = 0;
    this.#onLine(whole.toString('utf8'));
  }
}
