import type { Family } from '../../model/net/ip.ts';
import { type NftChain, nftChainKey } from '../../model/rows/nft.ts';
import type { RowOf } from '../../model/rows/row.ts';

/**
 * Names in our nftables table, as an operator sees them. Not `masquerade`: that is a word of nft's language, and what it lists could not be
 * read back.
 */
export const FROM_PODS_CHAIN = 'from-pods';
export const MASQUERADE_CHAIN = 'masquerade-pods';
export const CLAMP_CHAIN = 'clamp-mss';
export const CLAMP_PODS_CHAIN = 'clamp-mss-of-pods';

const short = (family: Family): string => (family === 'ipv4' ? 'v4' : 'v6');

/** Pod CIDRs of all nodes that have this prefix length. */
export const podCidrSet = (family: Family, length: number): string => `pod-cidrs-${short(family)}-${length}`;
/** Addresses of all nodes. */
export const nodeIpSet = (family: Family): string => `node-ips-${short(family)}`;
/** Setting masquerade.exclude. */
export const excludeSet = (family: Family): string => `no-masquerade-${short(family)}`;

export function chainRow(why: string, body: NftChain): RowOf<'nft'> {
  return { target: 'nft', key: nftChainKey(body.name), body, why };
}
