import type { PolicyPreview } from '../../model/api.ts';
import type { Pod } from '../../model/cluster/pod.ts';
import { FairleadError } from '../../model/errors.ts';
import type { World } from '../../model/world.ts';
import { type GivenPolicies, preview } from '../../plan/policy/preview/preview.ts';
import type { AnyPolicy } from '../../plan/policy/preview/words.ts';
import type { KubeClient } from '../../sources/kube/client.ts';
import { Interner } from '../../sources/kube/interner.ts';
import { pods } from '../../sources/kube/pods.ts';
import { array, record, text } from '../../sources/kube/raw.ts';
import type { Routes } from '../http.ts';
import { policiesIn } from './manifests.ts';

/** `POST /v1/policy-test`: what policies would change in the running cluster, as this agent knows it. */
export function policyTestRoutes(world: World, client: Pick<KubeClient, 'list'>): Routes {
  return {
    'POST /v1/policy-test': async (request) => {
      const { manifests, delete: gone } = record(await request.body());
      if (!Array.isArray(manifests))
        throw new FairleadError('bad-request', 'manifests must be a list of objects of the Kubernetes API');
      const given = policiesIn(manifests.map((raw, i) => ({ where: `manifests[${i}]`, raw: record(raw) })));
      return { json: await testPolicies(await withPeers(world, client), given, array(gone).map(text)) };
    },
  };
}

/** Lets other work run between its steps. `gone`: policies that would be deleted, as `policyNamed` reads them. */
export async function testPolicies(
  world: World,
  given: GivenPolicies,
  gone: readonly string[] = [],
): Promise<PolicyPreview> {
  const steps = preview(world, { ...given, deleted: gone.map((word) => policyNamed(world, word)) });
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** `networkpolicy/shop/db`, `clusternetworkpolicy/no-telnet`. Throws `bad-manifest` when there is none. */
function policyNamed({ networkPolicies, clusterNetworkPolicies }: World, word: string): AnyPolicy {
  const [kind = '', ...rest] = word.split('/');
  const tables = { networkpolicy: networkPolicies, clusternetworkpolicy: clusterNetworkPolicies } as const;
  const table = Object.entries(tables).find(([name]) => name === kind.toLowerCase())?.[1];
  if (!table || rest.length !== (table === networkPolicies ? 2 : 1))
    throw new FairleadError('bad-manifest', `"${word}" names no policy`, {
      hint: 'write networkpolicy/NAMESPACE/NAME or clusternetworkpolicy/NAME',
    });
  const policy = table.objects.get(rest.join('/'));
  if (!policy) throw new FairleadError('bad-manifest', `there is no ${word} that could be deleted`);
  return policy;
}

/** Pods of other nodes are followed only while policies exist; without any they are asked for now. */
async function withPeers(world: World, client: Pick<KubeClient, 'list'>): Promise<World> {
  if (world.peers.objects.size > 0) return world;
  const objects = new Map<string, Pod>();
  const shared = new Interner();
  await client.list(pods.resource, { limit: 500, resourceVersion: '0' }, (raw) => {
    const pod = pods.project(raw, shared);
    if (!world.pods.objects.has(pod.key)) objects.set(pod.key, pod);
  });
  return { ...world, peers: { ...world.peers, objects } };
}
