import type { Direction } from '../../../model/cluster/policy.ts';
import { Memo } from '../../../model/memo.ts';
import { FAMILIES, type Family } from '../../../model/net/ip.ts';
import { daddr, saddr } from '../../nft/field.ts';
import { inSet, is } from '../../nft/match.ts';
import { has, type Part } from '../../nft/rule.ts';
import type { BlockSet, CompiledRule } from '../compiled.ts';
import { addressSet, blockSet } from './names.ts';
import { type NftRow, prefixText } from './rows.ts';

/** One way in which a packet can match, of the alternatives that a rule has. */
export interface Match {
  readonly parts: readonly Part[];
  /** It matches packets of this family only. */
  readonly family?: Family;
  /** Costs so little that it is asked before the others. */
  readonly first?: true;
}

export interface Matches {
  readonly matches: readonly Match[];
  /** Sets that they look into and nobody else does. */
  readonly rows: readonly NftRow[];
}

const ANYBODY: readonly Match[] = [{ parts: [] }];

/** The other end of the packet: its source where we look at what comes in, its destination where we look at what goes out. */
export function peerMatches({ peers }: CompiledRule, direction: Direction): readonly Match[] {
  if (peers === 'any') return ANYBODY;
  return peers.flatMap((peer) => {
    const id = peer.kind === 'set' ? peer.set : `${peer.blocks.family} ${peer.blocks.id}`;
    return KNOWN[direction].get(id, () => {
      const end = direction === 'ingress' ? saddr : daddr;
      if (peer.kind === 'blocks') return [blockMatch(peer.blocks, end)];
      return FAMILIES.map((family) => ({
        parts: [inSet(end(family), addressSet(peer.set, family))],
        family,
      }));
    });
  });
}

const KNOWN: Readonly<Record<Direction, Memo<readonly Match[]>>> = {
  ingress: new Memo(10_000),
  egress: new Memo(10_000),
};

/** One prefix stands in the rule, several in a set of ranges. */
function blockMatch(blocks: BlockSet, end: typeof saddr): Match {
  const { family, prefixes } = blocks;
  const [first = '', second] = prefixes;
  if (second !== undefined) return { parts: [inSet(end(family), blockSet(blocks))], family };
  return { parts: [first.endsWith('/0') ? has(family) : is(end(family), prefixText(first))], family };
}
