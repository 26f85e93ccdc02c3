import { FairleadError } from '../errors.ts';

/** An IP address in canonical text: dotted quad, or RFC 5952 for IPv6 (v4-mapped addresses become plain IPv4). */
export type Ip = string & { readonly __ip: never };

export type Family = 'ipv4' | 'ipv6';

export const FAMILIES: readonly Family[] = ['ipv4', 'ipv6'];

/** The family of a canonical address or prefix, or of any text that has the form of one. */
export function familyOf(text: string): Family {
  return text.includes(':') ? 'ipv6' : 'ipv4';
}

/** Reads an address; `undefined` when the text is not one. Zones (`fe80::1%eth0`) and leading zeros in IPv4 are refused. */
export function tryIp(text: string): Ip | undefined {
  const bytes = tryBytes(text);
  if (!bytes) return undefined;
  const canonical = ipFromBytes(bytes);
  // The text that was given is one piece in memory; the one put together here is many, and addresses are kept by the 100,000.
  return canonical === text ? (text as Ip) : canonical;
}

/** Reads an address. Throws `bad-ip` when the text is not one. */
export function ip(text: string): Ip {
  const parsed = tryIp(text);
  if (parsed === undefined) throw new FairleadError('bad-ip', `"${text}" is not an IP address`);
  return parsed;
}

/** 4 or 16 bytes, network order. */
export function ipBytes(address: string): Uint8Array {
  const bytes = tryBytes(address);
  if (!bytes) throw new FairleadError('bad-ip', `"${address}" is not an IP address`);
  return bytes;
}

/** Canonical text of 4 or 16 bytes in network order. Throws `bad-ip` for any other length. */
export function ipFromBytes(bytes: Uint8Array): Ip {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}` as Ip;
  if (bytes.length !== 16)
    throw new FairleadError('bad-ip', `an IP address has 4 or 16 bytes, not ${bytes.length}`);
  if (isV4Mapped(bytes)) return ipFromBytes(bytes.subarray(12));
  return compress(bytes) as Ip;
}

/** Order by family (IPv4 first), then by value. */
export function compareIp(a: string, b: string): number {
  const x = ipBytes(a);
  const y = ipBytes(b);
  if (x.length !== y.length) return x.length - y.length;
  return Buffer.compare(x, y);
}

function isV4Mapped(bytes: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}

/** Whether `ipFromBytes` would give this text with a colon, for 16 bytes; makes no text to compare with. */
export function isCanonicalV6(text: string, bytes: Uint8Array): boolean {
  if (bytes.length !== 16 || isV4Mapped(bytes)) return false;
  const gap = longestGap(bytes);
  const gapEnd = gap < 0 ? -1 : endOfZeros(bytes, gap);
  let at = 0;
  for (let i = 0; i < 16; i += 2) {
    if (i === gap) {
      if (!text.startsWith('::', at)) return false;
      at += 2;
      i = gapEnd - 2;
      continue;
    }
    if (i > 0 && i !== gapEnd && text.charCodeAt(at++) !== COLON) return false;
    const group = ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
    for (let shift = group > 0xfff ? 12 : group > 0xff ? 8 : group > 0xf ? 4 : 0; shift >= 0; shift -= 4) {
      const digit = (group >> shift) & 15;
      if (text.charCodeAt(at++) !== (digit < 10 ? 48 : 87) + digit) return false;
    }
  }
  return at === text.length;
}

/** RFC 5952 section 4: the longest run of two or more zero groups becomes "::", the first one when runs are equal. */
function compress(bytes: Uint8Array): string {
  const gap = longestGap(bytes);
  if (gap < 0) return hexGroups(bytes, 0, 16);
  return `${hexGroups(bytes, 0, gap)}::${hexGroups(bytes, endOfZeros(bytes, gap), 16)}`;
}

/** Where that run begins; -1 = there is none. */
function longestGap(bytes: Uint8Array): number {
  let best = -1;
  let length = 2;
  for (let i = 0; i < 16; i += 2) {
    const end = endOfZeros(bytes, i);
    if (end - i > length) {
      best = i;
      length = end - i;
    }
    i = Math.max(i, end);
  }
  return best;
}

/** Where the zero groups from `start` on end. */
function endOfZeros(bytes: Uint8Array, start: number): number {
  let end = start;
  while (end < 16 && bytes[end] === 0 && bytes[end + 1] === 0) end += 2;
  return end;
}

function hexGroups(bytes: Uint8Array, from: number, to: number): string {
  let text = '';
  for (let i = from; i < to; i += 2) {
    const group = ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
    text += i === from ? group.toString(16) : `:${group.toString(16)}`;
  }
  return text;
}

// Addresses are read tens of thousands of times when a large cluster is planned, so the readers below go over the characters once.

const DOT = 46;
const COLON = 58;

function tryBytes(text: string): Uint8Array | undefined {
  if (text.includes(':')) return tryV6(text);
  const bytes = new Uint8Array(4);
  return readV4(text, 0, bytes, 0) ? bytes : undefined;
}

/** Reads a dotted quad from `start` to the end of `text` into four bytes of `out`; false when it is none. */
function readV4(text: string, start: number, out: Uint8Array, at: number): boolean {
  let part = 0;
  let value = -1;
  for (let i = start; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : DOT;
    const digit = code - 48;
    if (digit >= 0 && digit <= 9) {
      if (value === 0) return false;
      value = value < 0 ? digit : value * 10 + digit;
      if (value > 255) return false;
    } else {
      if (code !== DOT || value < 0 || part === 4) return false;
      out[at + part++] = value;
      value = -1;
    }
  }
  return part === 4;
}

/** RFC 4291 section 2.2, all three forms. */
function tryV6(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(16);
  let at = 0;
  let gap = -1;
  let digits = 0;
  let group = 0;
  let groupStart = 0;
  // A text may begin with two colons but not with one.
  if (text.startsWith(':') && !text.startsWith('::')) return undefined;
  for (let i = text.startsWith('::') ? 1 : 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const digit = hexDigit(code);
    if (digit >= 0) {
      if (++digits > 4) return undefined;
      group = group * 16 + digit;
    } else if (code === COLON) {
      groupStart = i + 1;
      if (digits === 0) {
        if (gap >= 0) return undefined;
        gap = at;
        continue;
      }
      if (groupStart === text.length || at === 16) return undefined;
      bytes[at++] = group >> 8;
      bytes[at++] = group & 0xff;
      digits = 0;
      group = 0;
    } else {
      if (code !== DOT || at > 12 || !readV4(text, groupStart, bytes, at)) return undefined;
      at += 4;
      digits = 0;
      break;
    }
  }
  if (digits > 0) {
    if (at === 16) return undefined;
    bytes[at++] = group >> 8;
    bytes[at++] = group & 0xff;
  }
  if (gap < 0) return at === 16 ? bytes : undefined;
  if (at === 16) return undefined;
  const tail = 16 - (at - gap);
  bytes.copyWithin(tail, gap, at);
  return bytes.fill(0, gap, tail);
}

/** -1 for what is no hexadecimal digit. */
function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const letter = code | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}
