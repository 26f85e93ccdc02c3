import type { Family } from '../../../model/net/ip.ts';
import {
  type NftChain,
  type NftElement,
  type NftRule,
  type NftSet,
  type NftType,
  nftChainKey,
  nftElementKey,
  nftSetKey,
} from '../../../model/rows/nft.ts';
import type { RowOf } from '../../../model/rows/row.ts';
import { comment } from './words.ts';

export type NftRow = RowOf<'nft'>;

export function chainRow(
  why: string,
  name: string,
  rules: readonly NftRule[],
  hook?: NftChain['hook'],
): NftRow {
  const body: NftChain = { kind: 'chain', name, hook, rules };
  return { target: 'nft', key: nftChainKey(name), body, why };
}

export function setRow(
  text: string,
  name: string,
  key: readonly NftType[],
  more: Partial<Pick<NftSet, 'interval' | 'value'>> = {},
): NftRow {
  const body: NftSet = { kind: 'set', name, key, interval: false, ...more, comment: comment(text) };
  return { target: 'nft', key: nftSetKey(name), body, why: text };
}

export function elementRow(
  why: string,
  set: string,
  key: readonly string[],
  more: Partial<Pick<NftElement, 'value' | 'comment'>> = {},
): NftRow {
  return {
    target: 'nft',
    key: nftElementKey(set, key),
    body: { kind: 'element', set, key, ...more },
    why,
  };
}

export const addressType = (family: Family): NftType => (family === 'ipv4' ? 'ipv4_addr' : 'ipv6_addr');

/** As nft writes it: a prefix of one address is that address. */
export function prefixText(prefix: string): string {
  const whole = prefix.includes(':') ? '/128' : '/32';
  return prefix.endsWith(whole) ? prefix.slice(0, -whole.length) : prefix;
}
