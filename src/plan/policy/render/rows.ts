import { Memo } from '../../../model/memo.ts';
import {
  type NftChain,
  type NftElement,
  type NftExpr,
  type NftRule,
  type NftSet,
  type NftType,
  nftChainKey,
  nftElementKey,
  nftSetKey,
} from '../../../model/rows/nft.ts';
import type { RowOf, RowRef } from '../../../model/rows/row.ts';
import { comment } from './words.ts';

export type NftRow = RowOf<'nft'>;

export const chainRef = (name: string): RowRef =>
  CHAIN_REFS.get(name, () => ({ target: 'nft', key: nftChainKey(name) }));
const CHAIN_REFS = new Memo<RowRef>(50_000);
const setRef = (name: string): RowRef => SET_REFS.get(name, () => ({ target: 'nft', key: nftSetKey(name) }));
const SET_REFS = new Memo<RowRef>(50_000);

/** A chain that needs all that it refers to, so that whoever waits for it waits for the whole. */
export function chainRow(
  why: string,
  name: string,
  rules: readonly NftRule[],
  more: Partial<Pick<NftChain, 'hook' | 'ifRefused'>> = {},
): NftRow {
  const body: NftChain = { kind: 'chain', name, hook: undefined, rules, ...more };
  const needs = new Map<string, RowRef>();
  for (const { exprs } of rules) {
    for (const expr of exprs) {
      const ref = refOf(expr);
      if (ref) needs.set(ref.key, ref);
    }
  }
  const row = { target: 'nft', key: nftChainKey(name), body, why } as const;
  return needs.size === 0 ? row : { ...row, needs: [...needs.values()] };
}

function refOf(expr: NftExpr): RowRef | undefined {
  if (expr.expr === 'lookup') return setRef(expr.set);
  if (expr.expr === 'verdict' && expr.verdict.chain !== undefined) return chainRef(expr.verdict.chain);
  return undefined;
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
  more?: Partial<Pick<NftElement, 'value' | 'comment'>> & { needs?: readonly RowRef[] },
): NftRow {
  if (!more) return { target: 'nft', key: nftElementKey(set, key), body: { kind: 'element', set, key }, why };
  const { needs = [], ...rest } = more;
  const body: NftElement = { kind: 'element', set, key, ...rest };
  const row = { target: 'nft', key: nftElementKey(set, key), body, why } as const;
  return needs.length === 0 ? row : { ...row, needs };
}

/** As nft writes it: a prefix of one address is that address. */
export function prefixText(prefix: string): string {
  const whole = prefix.includes(':') ? '/128' : '/32';
  return prefix.endsWith(whole) ? prefix.slice(0, -whole.length) : prefix;
}
