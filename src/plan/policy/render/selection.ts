import type { Config } from '../../../model/cluster/config.ts';
import type { Direction } from '../../../model/cluster/policy.ts';
import { Memo } from '../../../model/memo.ts';
import type { NftRule } from '../../../model/rows/nft.ts';
import { rule } from '../../nft/rule.ts';
import { accept, counter, goTo, jump } from '../../nft/statement.ts';
import type { CompiledPolicy, Selection } from '../compiled.ts';
import { auditChain, deniedChain, policyChain, selectionChain, tierChain } from './names.ts';
import { closedFrom, DROPS } from './refused.ts';
import { chainRow, type NftRow } from './rows.ts';
import { policyRules } from './rules.ts';

/** The chain that the dispatch maps lead a pod's packets to, unless its Admin tier decides. */
export function selectionRow(selection: Selection): NftRow {
  const { direction, policies, defaultDeny, enforced, baseline } = selection;
  const denied = enforced ? deniedChain(direction) : auditChain(direction);
  const why = policies.length > 0 ? 'none of them allows it' : 'setting policy.defaultDeny';
  const rules = [
    ...policies.map((name) => askingPolicy(name, direction)),
    ...(policies.length > 0 || defaultDeny
      ? [rule([counter, goTo(denied)], why)]
      : [
          rule([jump(tierChain({ tier: 'baseline', direction, policies: baseline }))]),
          rule([accept], 'nothing denies it'),
        ]),
  ];
  return chainRow(`${direction} of pods that these policies select`, selectionChain(selection), rules, {
    ifRefused: DROPS,
  });
}

/** Kept: pods with different policies have most of them in common. */
function askingPolicy(name: string, direction: Direction): NftRule {
  return ASKING[direction].get(name, () => rule([jump(policyChain(name, direction))]));
}

const ASKING: Readonly<Record<Direction, Memo<NftRule>>> = {
  ingress: new Memo(20_000),
  egress: new Memo(20_000),
};

/** The rules of these ClusterNetworkPolicies, in order; the last one falls through to what follows the tier. */
export function tierChains(
  direction: Direction,
  tier: 'admin' | 'baseline',
  policies: readonly CompiledPolicy[],
  settings: Config['policy'],
): NftRow[] {
  const rendered = policies.map((policy) => policyRules(policy, settings));
  const names = policies.map(({ name }) => name);
  const name = tierChain({ tier, direction, policies: names });
  const rules = rendered.flatMap((one) => one.rules);
  const ifRefused = closedFrom(
    policies,
    rendered.map((one) => one.rules.length),
  );
  return [
    ...rendered.flatMap(({ rows }) => rows),
    chainRow(`ClusterNetworkPolicies ${names.join(', ')}: the ${tier} tier`, name, rules, { ifRefused }),
  ];
}
