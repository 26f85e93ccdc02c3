/** What chains of policy are while the kernel refuses their rules: closed, and nobody else's. */
import type { NftFallback, NftRule } from '../../../model/rows/nft.ts';
import { rule } from '../../nft/rule.ts';
import { accept, drop } from '../../nft/statement.ts';
import type { CompiledPolicy } from '../compiled.ts';

const closed = rule([drop], 'closed: the kernel refuses its rules');

/**
 * Of a base chain: what an expression that the kernel lacks would let pass (replies, the node's own traffic) is judged like all else. The
 * rules before it stay.
 */
export function judgesAll(length: number, judge: NftRule): NftFallback {
  return { rules: [judge], parts: Array.from({ length }, (_, i) => i) };
}

/** Behind a NetworkPolicy's chain come the others that select the pod, and then what denies. */
export const ALLOWS_NOTHING: NftFallback = { rules: [] };
export const DROPS: NftFallback = { rules: [closed] };
/** Of an audited denial: told or not, it ends nothing. */
export const GOES_ON: NftFallback = { rules: [] };
export const ACCEPTS: NftFallback = { rules: [rule([accept])] };

/** ClusterNetworkPolicies before the refused one stay in force. Where all are audited, none of them denies. */
export function closedFrom(policies: readonly CompiledPolicy[], lengths: readonly number[]): NftFallback {
  let start = 0;
  const parts = lengths.map((length) => {
    const part = start;
    start += length;
    return part;
  });
  if (policies.every(({ audit }) => audit)) return { ...GOES_ON, parts };
  return { ...DROPS, parts, onElements: true };
}
