/** What chains of policy are while the kernel refuses their rules: closed, and nobody else's. */
import type { NftFallback } from '../../../model/rows/nft.ts';
import { rule } from '../../nft/rule.ts';
import { accept, drop } from '../../nft/statement.ts';
import type { CompiledPolicy } from '../compiled.ts';

const closed = rule([drop], 'closed: the kernel refuses its rules');

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
