import type { PolicyStatus } from '../model/api.ts';
import { DIRECTIONS } from '../model/cluster/policy.ts';
import type { World } from '../model/world.ts';
import { countsForPolicy } from '../plan/policy/decide/addresses.ts';
import { selectedFor } from '../plan/policy/decide/selected.ts';

/** What policies there are, and what they are about on this node. */
export function policyStatus(world: World): PolicyStatus {
  const { networkPolicies, clusterNetworkPolicies } = world;
  const pods = [...world.pods.objects.values()].filter(countsForPolicy);
  const inForce = new Set<unknown>();
  let selected = 0;
  for (const pod of pods) {
    const both = DIRECTIONS.map((direction) => selectedFor(world, pod)[direction]);
    const policies = both.flatMap(({ admin, policies, baseline }) => [...admin, ...policies, ...baseline]);
    for (const policy of policies) inForce.add(policy);
    if (policies.length > 0 || both.some(({ defaultDeny }) => defaultDeny)) selected++;
  }
  const invalid = [
    ...[...networkPolicies.objects.values()].map(({ key, problems }) => ({
      name: `NetworkPolicy ${key}`,
      problems,
    })),
    ...[...clusterNetworkPolicies.objects.values()].map(({ name, problems }) => ({
      name: `ClusterNetworkPolicy ${name}`,
      problems,
    })),
  ].filter(({ problems }) => problems.length > 0);
  return {
    enabled: world.config.objects.get('config')?.policy.enabled ?? false,
    networkPolicies: networkPolicies.objects.size,
    clusterNetworkPolicies: clusterNetworkPolicies.objects.size,
    inForce: inForce.size,
    pods: pods.length,
    selected,
    invalid: invalid.map(({ name }) => name).sort(),
  };
}
