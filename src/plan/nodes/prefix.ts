import { splitPrefix } from '../../model/net/cidr.ts';
import { type Family, familyOf, type Ip, ipBytes } from '../../model/net/ip.ts';

/** A prefix, or an address with the length of its link's prefix, made ready for comparing. */
export interface Prefix {
  /** As written, canonical; host bits kept. */
  readonly address: Ip;
  readonly family: Family;
  readonly length: number;
  /** Family and first address, a byte a character: text order is address order. Not for people. */
  readonly first: string;
  readonly last: string;
}

/**
 * Reads `address/length`, or an address as the prefix of itself. Throws `bad-cidr`. Thousands of Nodes are compared with the same few
 * texts again and again, so what was read is remembered, up to a limit; it is a function of the text alone.
 */
export function prefixOf(text: string): Prefix {
  const known = READ.get(text);
  if (known) return known;
  const host = familyOf(text) === 'ipv6' ? `${text}/128` : `${text}/32`;
  const { address, length, family } = splitPrefix(text.includes('/') ? text : host);
  const bytes = ipBytes(address);
  const prefix = {
    address,
    family,
    length,
    first: packed(bytes, length, 0),
    last: packed(bytes, length, 0xff),
  };
  if (READ.size >= MOST) READ.clear();
  READ.set(text, prefix);
  return prefix;
}

/** Whether `inner` lies wholly in `outer`. */
export function contains(outer: string, inner: string): boolean {
  const a = prefixOf(outer);
  const b = prefixOf(inner);
  return a.first <= b.first && b.last <= a.last;
}

export function overlaps(one: string, other: string): boolean {
  const a = prefixOf(one);
  const b = prefixOf(other);
  return a.first <= b.last && b.first <= a.last;
}

/** Sort key of a prefix cut to `length` (its own by default): a wider one comes before all that it contains. */
export function prefixKey(prefix: Prefix, length: number = prefix.length): string {
  if (length === prefix.length) return prefix.first + String.fromCharCode(length);
  return packed(ipBytes(prefix.address), length, 0) + String.fromCharCode(length);
}

const READ = new Map<string, Prefix>();
const MOST = 4_096;

/** The family's mark, then the address with all bits from `length` on replaced by those of `fill` (0 or 0xff). */
function packed(bytes: Uint8Array, length: number, fill: number): string {
  const codes = [bytes.length === 4 ? IPV4 : IPV6];
  for (let i = 0; i < bytes.length; i++) {
    const low = 0xff >> Math.min(8, Math.max(0, length - 8 * i));
    codes.push(((bytes[i] ?? 0) & ~low) | (fill & low));
  }
  return String.fromCharCode(...codes);
}

/** The digits 4 and 6. */
const [IPV4, IPV6] = [0x34, 0x36];
