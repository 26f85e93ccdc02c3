import type { BlockPeer } from '../../../model/cluster/policy.ts';
import { type Cidr, splitPrefix } from '../../../model/net/cidr.ts';
import { FAMILIES, type Family, ipBytes, ipFromBytes } from '../../../model/net/ip.ts';

/** All addresses from `first` to `last`, both included. */
interface Range {
  readonly first: bigint;
  readonly last: bigint;
}

const BITS: Readonly<Record<Family, number>> = { ipv4: 32, ipv6: 128 };
/** `::ffff:0:0/96`: never on the wire, and without a text of its own. */
const MAPPED: Range = { first: 0xffff_0000_0000n, last: 0xffff_ffff_ffffn };

/**
 * What any of the blocks contains, each without its own `except`, as the fewest prefixes: disjoint, IPv4 first, in order. An exception
 * takes away from its own block only: what another block contains stays.
 */
export function prefixesOf(blocks: readonly Pick<BlockPeer, 'cidr' | 'except'>[]): readonly Cidr[] {
  const [first, ...others] = blocks;
  if (first && others.length === 0 && first.except.length === 0) return [first.cidr];
  const text = blocks.map(({ cidr, except }) => [cidr, ...except].join(' ')).join();
  const known = KNOWN.get(text);
  if (known) return known;
  const prefixes = compute(blocks);
  if (KNOWN.size >= MOST) KNOWN.clear();
  KNOWN.set(text, prefixes);
  return prefixes;
}

/** Everything outside private networks, and the like: many policies say the same. A function of the text alone, up to a limit. */
const KNOWN = new Map<string, readonly Cidr[]>();
const MOST = 1_000;

function compute(blocks: readonly Pick<BlockPeer, 'cidr' | 'except'>[]): readonly Cidr[] {
  return FAMILIES.flatMap((family) => {
    const ranges: Range[] = [];
    for (const { cidr, except } of blocks) {
      const whole = rangeOf(cidr, family);
      if (!whole) continue;
      const gaps = except.map((one) => rangeOf(one, family)).filter((gap) => gap !== undefined);
      ranges.push(...without(whole, gaps));
    }
    return united(ranges).flatMap((range) => prefixes(range, family));
  });
}

function rangeOf(prefix: string, family: Family): Range | undefined {
  const { address, length, family: own } = splitPrefix(prefix);
  if (own !== family) return undefined;
  let first = 0n;
  for (const byte of ipBytes(address)) first = (first << 8n) | BigInt(byte);
  return { first, last: first + (1n << BigInt(BITS[family] - length)) - 1n };
}

function without({ first, last }: Range, gaps: readonly Range[]): Range[] {
  const left: Range[] = [];
  let from = first;
  for (const gap of united(gaps)) {
    if (gap.last < from || gap.first > last) continue;
    if (gap.first > from) left.push({ first: from, last: gap.first - 1n });
    from = gap.last + 1n;
  }
  if (from <= last) left.push({ first: from, last });
  return left;
}

/** In order, and with those joined that overlap or follow each other. */
function united(ranges: readonly Range[]): Range[] {
  const sorted = [...ranges].sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const result: Range[] = [];
  for (const range of sorted) {
    const previous = result.at(-1);
    if (!previous || range.first > previous.last + 1n) result.push(range);
    else if (range.last > previous.last)
      result[result.length - 1] = { first: previous.first, last: range.last };
  }
  return result;
}

function prefixes({ first, last }: Range, family: Family): Cidr[] {
  const result: Cidr[] = [];
  for (let from = first; from <= last; ) {
    let host = 0;
    while (host < BITS[family]) {
      const size = 1n << BigInt(host + 1);
      if (from % size !== 0n || from + size - 1n > last) break;
      host++;
    }
    if (family === 'ipv4' || from < MAPPED.first || from > MAPPED.last) {
      result.push(`${textOf(from, family)}/${BITS[family] - host}` as Cidr);
    }
    from += 1n << BigInt(host);
  }
  return result;
}

function textOf(value: bigint, family: Family): string {
  const bytes = new Uint8Array(BITS[family] / 8);
  let rest = value;
  for (let i = bytes.length - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return ipFromBytes(bytes);
}
