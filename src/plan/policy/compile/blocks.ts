import type { BlockPeer } from '../../../model/cluster/policy.ts';
import { Memo } from '../../../model/memo.ts';
import { type Cidr, splitPrefix } from '../../../model/net/cidr.ts';
import { FAMILIES, type Family, familyOf, ipBytes, ipFromBytes } from '../../../model/net/ip.ts';
import type { BlockSet } from '../compiled.ts';

/** All addresses from `first` to `last`, both included. */
interface Range {
  readonly first: bigint;
  readonly last: bigint;
}

const BITS: Readonly<Record<Family, number>> = { ipv4: 32, ipv6: 128 };
/** `::ffff:0:0/96`: never on the wire, and without a text of its own. */
const MAPPED: Range = { first: 0xffff_0000_0000n, last: 0xffff_ffff_ffffn };

type Block = Pick<BlockPeer, 'cidr' | 'except'>;

/**
 * What any of the blocks contains, each without its own `except`, as the fewest prefixes: disjoint, in order; IPv4 first. An exception
 * takes away from its own block only: what another block contains stays.
 */
export function blocksOf(blocks: readonly Block[]): readonly BlockSet[] {
  if (blocks.length === 0) return NONE;
  return KNOWN.get(wordsOf(blocks), () =>
    FAMILIES.map((family) => compute(blocks, family)).filter((set) => set !== undefined),
  );
}

const NONE: readonly BlockSet[] = [];
/** Everything outside private networks, and the like: many policies say the same. */
const KNOWN = new Memo<readonly BlockSet[]>(1_000);

/** `10.0.0.0/8 except 10.1.0.0/16 10.2.0.0/16, 192.168.0.0/16`: in no order of its own, and each once. */
function wordsOf(blocks: readonly Block[]): string {
  const [first, ...others] = blocks.map(({ cidr, except }) =>
    except.length === 0 ? cidr : `${cidr} except ${[...new Set(except)].sort().join(' ')}`,
  );
  if (first === undefined || others.length === 0) return first ?? '';
  return [...new Set([first, ...others])].sort().join(', ');
}

function compute(all: readonly Block[], family: Family): BlockSet | undefined {
  const blocks = all.filter(({ cidr }) => familyOf(cidr) === family);
  const ranges = blocks.flatMap(({ cidr, except }) => {
    const gaps = except.filter((one) => familyOf(one) === family).map(rangeOf);
    return without(rangeOf(cidr), gaps);
  });
  const prefixes = united(ranges).flatMap((range) => prefixesIn(range, family));
  if (prefixes.length === 0) return undefined;
  const text = wordsOf(blocks);
  return { id: `blocks ${text}`, text, family, prefixes };
}

function rangeOf(prefix: string): Range {
  const { address, length, family } = splitPrefix(prefix);
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

function prefixesIn({ first, last }: Range, family: Family): Cidr[] {
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
