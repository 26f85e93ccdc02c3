import type { Pod } from '../model/cluster/pod.ts';
import { describe } from '../model/errors.ts';
import { tryIp } from '../model/net/ip.ts';
import type { World } from '../model/world.ts';
import type { KubeClient } from '../sources/kube/client.ts';
import { Interner } from '../sources/kube/interner.ts';
import { pods } from '../sources/kube/pods.ts';

/**
 * The World with those pods that a question names and that the agent does not follow: it follows only its own node's. One list request a
 * name, answered from the API server's cache. When it cannot answer, the World as it is comes with the reason.
 */
export async function withPodsNamed(
  world: World,
  client: Pick<KubeClient, 'list'>,
  names: readonly string[],
): Promise<{ world: World; problem: string | undefined }> {
  const objects = new Map(world.pods.objects);
  try {
    for (const name of names) for (const pod of await podsNamed(client, name)) objects.set(pod.key, pod);
  } catch (error) {
    return { world, problem: `pods of other nodes could not be looked up: ${describe(error)}` };
  }
  return { world: { ...world, pods: { ...world.pods, objects } }, problem: undefined };
}

async function podsNamed(client: Pick<KubeClient, 'list'>, text: string): Promise<Pod[]> {
  const address = tryIp(text);
  const slash = text.indexOf('/');
  const namespace = slash > 0 ? { namespace: text.slice(0, slash) } : {};
  const selector =
    address === undefined ? `metadata.name=${text.slice(slash + 1)}` : `status.podIP=${address}`;
  const found: Pod[] = [];
  const shared = new Interner();
  const query = { fieldSelector: selector, limit: 50, resourceVersion: '0' };
  await client.list({ ...pods.resource, ...namespace }, query, (raw) =>
    found.push(pods.project(raw, shared)),
  );
  return found;
}
