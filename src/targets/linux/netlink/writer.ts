/** Where netlink messages are put together: numbers, text, attributes with their lengths. */
import { FairleadError } from '../../../model/errors.ts';

/** The bits of an attribute's type that are its number. */
export const TYPE_MASK = 0x3fff;
const MAX_ATTRIBUTE = 0xffff;

/** Bytes that are not what the kernel's headers promise. */
export class BadNetlink extends FairleadError {
  override readonly name = 'BadNetlink';
  constructor(message: string, cause?: unknown) {
    super('bad-netlink', message, cause === undefined ? {} : { cause });
  }
}

/** Grows as needed. Attributes and messages are aligned to 4 bytes; padding is zero. */
export class Writer {
  #bytes = Buffer.alloc(4096);
  #at = 0;

  get length(): number {
    return this.#at;
  }

  // Plain stores: Buffer's own methods check every number, and messages consist of these.
  u8(n: number): void {
    this.#room(1);
    this.#bytes[this.#at++] = n;
  }
  u16(n: number): void {
    this.#room(2);
    this.#bytes[this.#at++] = n;
    this.#bytes[this.#at++] = n >>> 8;
  }
  u32(n: number): void {
    this.#room(4);
    this.#bytes[this.#at++] = n;
    this.#bytes[this.#at++] = n >>> 8;
    this.#bytes[this.#at++] = n >>> 16;
    this.#bytes[this.#at++] = n >>> 24;
  }
  u64(n: bigint): void {
    this.#room(8);
    this.#at = this.#bytes.writeBigUInt64LE(BigInt.asUintN(64, n), this.#at);
  }
  be16(n: number): void {
    this.#room(2);
    this.#bytes[this.#at++] = n >>> 8;
    this.#bytes[this.#at++] = n;
  }
  be32(n: number): void {
    this.#room(4);
    this.#bytes[this.#at++] = n >>> 24;
    this.#bytes[this.#at++] = n >>> 16;
    this.#bytes[this.#at++] = n >>> 8;
    this.#bytes[this.#at++] = n;
  }
  be64(n: bigint): void {
    this.#room(8);
    this.#at = this.#bytes.writeBigUInt64BE(BigInt.asUintN(64, n), this.#at);
  }
  bytes(data: Uint8Array): void {
    this.#room(data.length);
    this.#bytes.set(data, this.#at);
    this.#at += data.length;
  }
  /** Bytes as lower-case hexadecimal text. */
  hex(data: string): void {
    this.#room(data.length);
    for (let i = 0; i < data.length; i += 2) {
      const high = nibble(data.charCodeAt(i));
      const low = nibble(data.charCodeAt(i + 1));
      if ((high | low) > 15) throw new BadNetlink(`"${data}" is not hexadecimal text`);
      this.#bytes[this.#at++] = (high << 4) | low;
    }
  }
  text(data: string): void {
    this.#room(3 * data.length);
    const start = this.#at;
    for (let i = 0; i < data.length; i++) {
      const code = data.charCodeAt(i);
      if (code > 127) {
        this.#at = start + this.#bytes.write(data, start);
        return;
      }
      this.#bytes[this.#at++] = code;
    }
  }

  /** Begins an attribute; the result goes to `endAttribute`. */
  beginAttribute(type: number): number {
    const start = this.#at;
    this.u16(0);
    this.u16(type);
    return start;
  }
  endAttribute(start: number): void {
    const length = this.#at - start;
    if (length > MAX_ATTRIBUTE) {
      const type = this.#bytes.readUInt16LE(start + 2) & TYPE_MASK;
      throw new BadNetlink(`attribute ${type} has ${length} bytes, more than the format can say`);
    }
    this.#bytes[start] = length;
    this.#bytes[start + 1] = length >>> 8;
    this.align();
  }
  align(): void {
    while (this.#at % 4 !== 0) this.u8(0);
  }

  /** Begins a message: sequence and port are filled in by the transport. */
  begin(type: number, flags: number): void {
    this.#at = 0;
    this.u32(0);
    this.u16(type);
    this.u16(flags);
    this.u32(0);
    this.u32(0);
  }
  /** A copy of the message begun. */
  end(): Buffer {
    this.#bytes.writeUInt32LE(this.#at, 0);
    const message = Buffer.allocUnsafe(this.#at);
    this.#bytes.copy(message, 0, 0, this.#at);
    return message;
  }

  #room(more: number): void {
    if (this.#at + more <= this.#bytes.length) return;
    const larger = Buffer.alloc(2 * (this.#at + more));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }
}

/** Above 15 for what is no digit. */
function nibble(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  return code >= 97 && code <= 102 ? code - 87 : 255;
}
