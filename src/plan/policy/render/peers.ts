import type { Direction } from '../../../model/cluster/policy.ts';
import { FAMILIES, type Family, familyOf } from '../../../model/net/ip.ts';
import { daddr, saddr } from '../../nft/field.ts';
import { inSet, is } from '../../nft/match.ts';
import { has, type Part } from '../../nft/rule.ts';
import type { CompiledPeer, CompiledRule } from '../compiled.ts';
import { addressSet, blockSet } from './names.ts';
import { addressType, elementRow, type NftRow, prefixText, setRow } from './rows.ts';

/** One way in which a packet can match, of the alternatives that a rule has. */
export interface Match {
  readonly parts: readonly Part[];
  /** It matches packets of this family only. */
  readonly family?: Family;
}

export interface Matches {
  readonly matches: readonly Match[];
  /** Sets that they look into. */
  readonly rows: readonly NftRow[];
}

const ANYBODY: Matches = { matches: [{ parts: [] }], rows: [] };

/** The other end of the packet: its source where we look at what comes in, its destination where we look at what goes out. */
export function peerMatches(
  { peers }: CompiledRule,
  direction: Direction,
  scope: string,
  text: string,
): Matches {
  if (peers === 'any') return ANYBODY;
  const end = direction === 'ingress' ? saddr : daddr;
  const sets = peers.flatMap((peer) => (peer.kind === 'set' ? [peer.set] : []));
  const selected = sets.flatMap((set) =>
    FAMILIES.map((family) => ({ parts: [inSet(end(family), addressSet(set, family))], family })),
  );
  const prefixes = peers.flatMap(prefixesOf);
  const blocks = FAMILIES.map((family) =>
    blockMatches(
      prefixes.filter((prefix) => familyOf(prefix) === family),
      family,
      end,
      scope,
      text,
    ),
  );
  return {
    matches: [...selected, ...blocks.flatMap(({ matches }) => matches)],
    rows: blocks.flatMap(({ rows }) => rows),
  };
}

function prefixesOf(peer: CompiledPeer): readonly string[] {
  return peer.kind === 'prefixes' ? peer.prefixes : [];
}

/** One prefix stands in the rule, several in a set of ranges. */
function blockMatches(
  prefixes: readonly string[],
  family: Family,
  end: typeof saddr,
  scope: string,
  text: string,
): Matches {
  const [first] = prefixes;
  if (first === undefined) return { matches: [], rows: [] };
  if (prefixes.length === 1) {
    const part = first.endsWith('/0') ? has(family) : is(end(family), prefixText(first));
    return { matches: [{ parts: [part], family }], rows: [] };
  }
  const set = blockSet(scope, family);
  const why = `blocks of ${text}`;
  return {
    matches: [{ parts: [inSet(end(family), set)], family }],
    rows: [
      setRow(why, set, [addressType(family)], { interval: true }),
      ...prefixes.map((prefix) => elementRow(why, set, [prefixText(prefix)])),
    ],
  };
}
