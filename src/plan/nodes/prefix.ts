import { splitPrefix } from '../../model/net/cidr.ts';
import { type Family, type Ip, ipBytes } from '../../model/net/ip.ts';

/** A prefix, or an address with the length of its link's prefix, made ready for comparing. */
export interface Prefix {
  /** As written, canonical; host bits kept. */
  readonly address: Ip;
  readonly family: Family;
  readonly length: number;
  /** Family (`4` or `6`) and first address in hex: text order is address order. */
  readonly first: string;
  readonly last: string;
}

/**
 * Reads `address/length`, or an address as the prefix of itself. Throws `bad-cidr`. Thousands of Nodes are compared by the same few
 * texts again and again, so what was read is remembered, up to a limit; it is a function of the text alone.
 */
export function prefixOf(text: string): Prefix {
  const known = READ.get(text);
  if (known) return known;
  const host = text.includes(':') ? `${text}/128` : `${text}/32`;
  const { address, length, family } = splitPrefix(text.includes('/') ? text : host);
  const mark = family === 'ipv4' ? '4' : '6';
  const hex = Buffer.from(ipBytes(address)).toString('hex');
  const prefix: Prefix = {
    address,
    family,
    length,
    first: mark + cut(hex, length, '0'),
    last: mark + cut(hex, length, 'f'),
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
  const first = prefix.first[0] + cut(prefix.first.slice(1), length, '0');
  return `${first}/${length < 10 ? '00' : length < 100 ? '0' : ''}${length}`;
}

const READ = new Map<string, Prefix>();
const MOST = 50_000;

/** Replaces all bits of a hex text from `length` on by zeros or ones. */
function cut(hex: string, length: number, fill: '0' | 'f'): string {
  const whole = length >> 2;
  if (whole >= hex.length) return hex;
  const low = 0xf >> (length & 3);
  const digit = Number.parseInt(hex[whole] ?? '0', 16);
  const edge = fill === '0' ? digit & ~low : digit | low;
  return hex.slice(0, whole) + edge.toString(16) + fill.repeat(hex.length - whole - 1);
}
