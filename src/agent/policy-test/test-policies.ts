import type { PolicyPreview } from '../../model/api.ts';
import type { Pod } from '../../model/cluster/pod.ts';
import { FairleadError } from '../../model/errors.ts';
import type { World } from '../../model/world.ts';
import { type GivenPolicies, preview } from '../../plan/policy/preview/preview.ts';
import type { KubeClient } from '../../sources/kube/client.ts';
import { Interner } from '../../sources/kube/interner.ts';
import { pods } from '../../sources/kube/pods.ts';
import { record } from '../../sources/kube/raw.ts';
import type { Routes } from '../http.ts';
import { policiesIn } from './manifests.ts';

/** `POST /v1/policy-test`: what policies would change in the running cluster, as this agent knows it. */
export function policyTestRoutes(world: World, client: Pick<KubeClient, 'list'>): Routes {
  return {
    'POST /v1/policy-test': async (request) => {
      const { manifests } = record(await request.body());
      if (!Array.isArray(manifests))
        throw new FairleadError('bad-request', 'manifests must be a list of objects of the Kubernetes API');
      const given = policiesIn(manifests.map((raw, i) => ({ where: `manifests[${i}]`, raw: record(raw) })));
      return { json: await testPolicies(await withPeers(world, client), given) };
    },
  };
}

/** Lets other work run between its steps. */
export async function testPolicies(world: World, given: GivenPolicies): Promise<PolicyPreview> {
  const steps = preview(world, given);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    await new Promise((resolve) => setImmediate(resolve));
  }
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
