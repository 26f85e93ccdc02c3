import type { Cidr } from '../net/cidr.ts';
import type { Family } from '../net/ip.ts';

/** A policy routing rule (`ip rule`). Ours = FRA_PROTOCOL is our route protocol number. */
export interface RuleBody {
  readonly family: Family;
  readonly priority: number;
  readonly table: number;
  readonly from: Cidr | undefined;
  readonly to: Cidr | undefined;
  readonly mark: { readonly value: number; readonly mask: number } | undefined;
}

export const ruleKey = (family: Family, priority: number): string => `${family} ${priority}`;
