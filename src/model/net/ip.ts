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

function tryV4(text: string): Uint8Array | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  const bytes = new Uint8Array(4);
  for (let i = 0; i < 4; i++) {
    const part = parts[i] ?? '';
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    bytes[i] = Number(part);
  }
  return bytes;
}

function tryV6(text: string): Uint8Array | undefined {
  let source = text;
  const dot = source.lastIndexOf(':');
  if (source.includes('.')) {
    const v4 = tryV4(source.slice(dot + 1));
    if (!v4) return undefined;
    const [a = 0, b = 0, c = 0, d = 0] = v4;
    source = `${source.slice(0, dot + 1)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  }
  const halves = source.split('::');
  if (halves.length > 2) return undefined;
  const head = groupsOf(halves[0] ?? '');
  const tail = halves.length === 2 ? groupsOf(halves[1] ?? '') : [];
  if (!head || !tail) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const bytes = new Uint8Array(16);
  groups.forEach((g, i) => {
    bytes[2 * i] = g >> 8;
    bytes[2 * i + 1] = g & 0xff;
  });
  return bytes;
}

function groupsOf(text: string): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  for (const part of text.split(':')) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
    groups.push(Number.parseInt(part, 16));
  }
  return groups;
}
