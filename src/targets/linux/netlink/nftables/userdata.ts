/**
 * What nft keeps beside the kernel's own data so that `nft list` can show it: comments, byte order of set keys. A row of u8 type,
 * u8 length, value (libnftnl, udata.h); the kernel does not look into it.
 */
import type { Codec } from '../attributes.ts';
import { BadNetlink } from '../writer.ts';

/** Values by type: text ends in a zero byte, numbers are 32 bits in host order. */
export type UserData = ReadonlyMap<number, Uint8Array>;

export const userData: Codec<UserData> = {
  write(out, entries) {
    for (const [type, value] of entries) {
      if (value.length > 0xff)
        throw new BadNetlink(`user data ${type} has ${value.length} bytes, more than 255`);
      out.u8(type);
      out.u8(value.length);
      out.bytes(value);
    }
  },
  /** What is not in this form was written by somebody else and reads as nothing. */
  read(bytes, start, end) {
    const entries = new Map<number, Uint8Array>();
    const limit = Math.min(end, bytes.length);
    for (let at = start; at + 2 <= limit; ) {
      const size = bytes.readUInt8(at + 1);
      if (at + 2 + size > limit) break;
      entries.set(bytes.readUInt8(at), Buffer.from(bytes.subarray(at + 2, at + 2 + size)));
      at += 2 + size;
    }
    return entries;
  },
};

export function userText(text: string): Uint8Array {
  return Buffer.from(`${text}\0`);
}

export function userNumber(n: number): Uint8Array {
  return Uint8Array.of(n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24);
}

/** Comments of tables, chains, rules and elements have type 0, those of sets 7. */
export function commentOnly(comment: string | undefined): UserData | undefined {
  return comment === undefined || comment === '' ? undefined : new Map([[0, userText(comment)]]);
}

export function commentIn(entries: UserData | undefined, type = 0): string | undefined {
  const value = entries?.get(type);
  return value === undefined ? undefined : Buffer.from(value).toString('utf8').replace(/\0.*$/s, '');
}
