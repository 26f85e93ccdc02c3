import { splitPrefix } from '../../model/net/cidr.ts';
import { familyOf, ipBytes } from '../../model/net/ip.ts';

/**
 * The prefixes that lie in no other one, each once, in order. The kernel refuses overlapping ranges in one set, and what
 * an inner prefix says the outer one says too.
 */
export function outermost(prefixes: Iterable<string>): string[] {
  const sorted = [...new Set(prefixes)]
    .map((text) => ({ text, family: familyOf(text), ...bitsOf(text) }))
    .sort((a, b) => (a.bits < b.bits ? -1 : a.bits > b.bits ? 1 : 0));
  const result: string[] = [];
  for (const family of ['ipv4', 'ipv6']) {
    let outer: string | undefined;
    for (const one of sorted) {
      // A prefix sorts directly before all that lies in it.
      if (one.family !== family || (outer !== undefined && one.bits.startsWith(outer))) continue;
      outer = one.bits;
      result.push(one.text);
    }
  }
  return result;
}

function bitsOf(prefix: string): { bits: string } {
  const { address, length } = prefix.includes('/')
    ? splitPrefix(prefix)
    : { address: prefix, length: 8 * ipBytes(prefix).length };
  const all = Array.from(ipBytes(address), (byte) => byte.toString(2).padStart(8, '0')).join('');
  return { bits: all.slice(0, length) };
}
