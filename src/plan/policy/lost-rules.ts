/** Instead of rules that are gone and not known again yet: closed. See README.md. */
import { DIRECTIONS } from '../../model/cluster/policy.ts';
import type { Problem } from '../../model/problem.ts';
import { nftChainKey } from '../../model/rows/nft.ts';
import { podLinks } from '../nodes/pod-links.ts';
import { nothing, type Planner } from '../planner.ts';
import { baseChain } from './render/names.ts';
import { baseRows } from './render/render.ts';

const BASE_CHAINS = (['forward', 'output', 'input'] as const).flatMap((hook) =>
  DIRECTIONS.map((direction) => nftChainKey(baseChain(hook, direction))),
);

/** Whether rules of policies are among what target nft has. Where some are, they are left as they are. */
export function hasPolicyRules(found: ReadonlyMap<string, unknown>): boolean {
  return BASE_CHAINS.some((key) => found.has(key));
}

/**
 * Asks for what does not need the API server: base chains, and dispatch without any pod in it, so that all pods of this node are unknown
 * ones. What the policy planner wants later holds all of it.
 */
export const lostRulesPlanner: Planner<'base'> = {
  name: 'lost-rules',
  reads: ['config', 'kernel', 'cni', 'links', 'lostRules'],
  writes: ['nft'],
  units: () => ['base'],
  affected: ({ source }) => (lostRulesPlanner.reads.includes(source) ? ['base'] : []),
  plan(_, world) {
    const config = world.config.objects.get('config');
    const lost = world.lostRules.objects.get('policy');
    const missing = world.kernel.objects.get('kernel')?.missing ?? {};
    if (!lost || !config?.policy.enabled || missing.nftables !== undefined) return nothing;
    if (config.policy.unknownPods === 'open') return nothing;
    const { rows } = baseRows({ config, missing, pods: podLinks(world, lost), ...lost });
    return { rows, problems: [CLOSED] };
  },
};

const CLOSED: Problem = {
  object: 'nft table inet fairlead',
  message:
    'the rules of policies are gone, and the API server has not told the policies yet: until it has, pods of this node are closed, but to their node',
  hint: 'the API server must be reachable: fairlead status says why it is not',
};
