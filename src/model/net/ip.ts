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
  return bytes && ipFromBytes(bytes);
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

/** RFC 5952 section 4: the longest run of two or more zero groups becomes "::", the first one when runs are equal. */
function compress(bytes: Uint8Array): string {
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0));
  let best = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let length = 0;
    while (i + length < 8 && groups[i + length] === 0) length++;
    if (length > bestLength) [best, bestLength] = [i, length];
    i += length;
  }
  const hex = (part: number[]) => part.map((g) => g.toString(16)).join(':');
  if (best < 0) return hex(groups);
  return `${hex(groups.slice(0, best))}::${hex(groups.slice(best + bestLength))}`;
}

function tryBytes(text: string): Uint8Array | undefined {
  return text.includes(':') ? tryV6(text) : tryV4(text);
}

// Character by character: ten thousand routes are parsed at once when an agent starts, and splitting text is five times slower.
function tryV4(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(4);
  let part = 0;
  let digits = 0;
  let value = 0;
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : DOT;
    if (code === DOT) {
      if (digits === 0 || part > 3) return undefined;
      bytes[part++] = value;
      digits = 0;
      value = 0;
    } else {
      const digit = code - ZERO;
      if (digit < 0 || digit > 9 || (digits > 0 && value === 0)) return undefined;
      value = 10 * value + digit;
      digits++;
      if (value > 255) return undefined;
    }
  }
  return part === 4 ? bytes : undefined;
}

const ZERO = 48;
const DOT = 46;
const COLON = 58;

function tryV6(text: string): Uint8Array | undefined {
  let source = text;
  if (source.includes('.')) {
    const last = source.lastIndexOf(':');
    const v4 = tryV4(source.slice(last + 1));
    if (!v4) return undefined;
    const [a = 0, b = 0, c = 0, d = 0] = v4;
    source = `${source.slice(0, last + 1)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  }
  const gap = source.indexOf('::');
  const bytes = new Uint8Array(16);
  if (gap < 0) return readGroups(source, 0, source.length, bytes, 0) === 16 ? bytes : undefined;
  const head = readGroups(source, 0, gap, bytes, 0);
  if (head < 0) return undefined;
  const tail = readGroups(source, gap + 2, source.length, bytes, head);
  // "::" stands for at least one group.
  if (tail < 0 || tail > 14) return undefined;
  bytes.copyWithin(16 - (tail - head), head, tail);
  bytes.fill(0, head, 16 - (tail - head));
  return bytes;
}

/** Reads groups of hexadecimal digits between colons into `bytes` from `at`; returns where it ended, -1 when malformed. */
function readGroups(text: string, from: number, to: number, bytes: Uint8Array, at: number): number {
  if (from === to) return at;
  let end = at;
  let digits = 0;
  let value = 0;
  for (let i = from; i <= to; i++) {
    const code = i < to ? text.charCodeAt(i) : COLON;
    if (code === COLON) {
      if (digits === 0 || end > 14) return -1;
      bytes[end] = value >> 8;
      bytes[end + 1] = value & 0xff;
      end += 2;
      digits = 0;
      value = 0;
    } else {
      const digit = hexDigit(code);
      if (digit < 0 || ++digits > 4) return -1;
      value = (value << 4) | digit;
    }
  }
  return end;
}

/** Value of a hexadecimal digit's character code, -1 for any other. */
function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const letter = code | 0x20;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}
