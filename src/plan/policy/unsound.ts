/** A fault in the rendering of one policy closes that one; the others of its unit are planned as ever. */
import { describe } from '../../model/errors.ts';
import type { Problem } from '../../model/problem.ts';
import type { Row } from '../../model/rows/row.ts';
import type { UnitPlan } from '../planner.ts';
import type { CompiledPolicy } from './compiled.ts';

type Render = (policies: readonly CompiledPolicy[]) => readonly Row[];

export function closedWhereUnsound(policies: readonly CompiledPolicy[], render: Render): UnitPlan {
  try {
    return { rows: render(policies) };
  } catch {
    const problems: Problem[] = [];
    const sound = policies.map((policy) => {
      try {
        render([policy]);
        return policy;
      } catch (error) {
        problems.push(problemOf(policy, error));
        return closed(policy);
      }
    });
    return { rows: render(sound), problems };
  }
}

/** Nothing is accepted by a NetworkPolicy without rules; a ClusterNetworkPolicy must deny. */
function closed(policy: CompiledPolicy): CompiledPolicy {
  if (policy.tier === 'network-policy') return { ...policy, rules: [] };
  return { ...policy, rules: [{ action: 'deny', index: 0, name: '', peers: 'any', ports: 'any' }] };
}

function problemOf({ tier, name, direction }: CompiledPolicy, error: unknown): Problem {
  return {
    object: `${tier === 'network-policy' ? 'NetworkPolicy' : 'ClusterNetworkPolicy'} ${name}`,
    message: `its ${direction} rules cannot be programmed: ${describe(error)}; it is closed there`,
    hint: 'change the rule, and report this: it should have been understood',
  };
}
