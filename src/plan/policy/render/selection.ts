import type { Config } from '../../../model/cluster/config.ts';
import { rule } from '../../nft/rule.ts';
import { accept, counter, goTo, jump } from '../../nft/statement.ts';
import type { CompiledPolicy, Selection } from '../compiled.ts';
import { auditChain, deniedChain, policyChain, selectionChain, tierChain } from './names.ts';
import { chainRow, type NftRow } from './rows.ts';
import { policyRules } from './rules.ts';

/** The chain that the dispatch map leads a pod's packets to, and the chains of its tiers, which other Selections share. */
export function selectionChains(
  selection: Selection,
  admin: readonly CompiledPolicy[],
  baseline: readonly CompiledPolicy[],
  settings: Config['policy'],
): NftRow[] {
  const { direction, policies, defaultDeny, enforced } = selection;
  const tiers = [tierRows('admin', admin, settings), tierRows('baseline', baseline, settings)];
  const [first, last] = tiers.map(({ chain }) =>
    chain === undefined ? [] : [rule([jump(chain)], 'ClusterNetworkPolicy')],
  );
  const chosen = policies.length > 0 || defaultDeny;
  const denied = enforced ? deniedChain(direction) : auditChain(direction);
  const rules = [
    ...(first ?? []),
    ...policies.map((name) => rule([jump(policyChain(name, direction))])),
    ...(chosen
      ? [
          rule(
            [counter, goTo(denied)],
            policies.length > 0 ? 'none of them allows it' : 'setting policy.defaultDeny',
          ),
        ]
      : [...(last ?? []), rule([accept], 'nothing denies it')]),
  ];
  return [
    ...tiers.flatMap(({ rows }) => rows),
    chainRow(`${direction} of pods that these policies select`, selectionChain(selection), rules),
  ];
}

function tierRows(
  tier: 'admin' | 'baseline',
  policies: readonly CompiledPolicy[],
  settings: Config['policy'],
): { chain?: string; rows: NftRow[] } {
  const [first] = policies;
  if (!first) return { rows: [] };
  const names = policies.map(({ name }) => name);
  const chain = tierChain(first.direction, tier, names);
  const rendered = policies.map((policy) => policyRules(policy, settings));
  const why = `ClusterNetworkPolicies of the ${tier} tier`;
  return {
    chain,
    rows: [
      ...rendered.flatMap(({ rows }) => rows),
      chainRow(
        why,
        chain,
        rendered.flatMap(({ rules }) => rules),
      ),
    ],
  };
}
