import type { Clock } from '../../model/clock.ts';
import type { World } from '../../model/world.ts';
import { SOURCE_NAMES, WorldStore } from '../../model/world-store.ts';
import { Interner } from '../../sources/kube/interner.ts';
import { namespaces } from '../../sources/kube/namespaces.ts';
import { nodes } from '../../sources/kube/nodes.ts';
import { pods } from '../../sources/kube/pods.ts';
import { array, type Raw, record, text } from '../../sources/kube/raw.ts';
import { type Manifest, policiesIn, withNamespace } from './manifests.ts';

/** Without a number of replicas there are two, enough to have traffic among them. */
const REPLICAS = 2;
const MOST_REPLICAS = 100;
const METADATA_NAME = 'kubernetes.io/metadata.name';

/**
 * The cluster that a folder of manifests would be: Namespaces, Nodes, Pods, pods of workloads' templates, policies. Pods without an address get
 * one of 10.244.0.0/16 and fd00:244::/64. Throws `bad-manifest` for policies that cannot be used.
 */
export function worldOfManifests(manifests: readonly Manifest[], clock: Clock): World {
  const store = new WorldStore(clock);
  for (const source of SOURCE_NAMES) store.ready(source);
  const shared = new Interner();
  const putNamespace = (raw: Raw): void => {
    const meta = record(raw.metadata);
    const labels = { ...record(meta.labels), [METADATA_NAME]: text(meta.name) };
    const namespace = namespaces.project({ ...raw, metadata: { ...meta, labels } }, shared);
    store.put('namespaces', namespace.name, namespace);
  };
  let count = 0;
  for (const { raw } of manifests) {
    if (raw.kind === 'Namespace') putNamespace(raw);
    if (raw.kind === 'Node') store.put('nodes', nodes.key(raw), nodes.project(raw, shared));
    for (const one of podsIn(raw)) {
      const pod = pods.project(withAddress(withNamespace(one), ++count), shared);
      store.put('pods', pod.key, pod);
    }
  }
  const policies = policiesIn(manifests);
  for (const policy of policies.networkPolicies) store.put('networkPolicies', policy.key, policy);
  for (const policy of policies.clusterNetworkPolicies)
    store.put('clusterNetworkPolicies', policy.name, policy);
  const { world } = store;
  const named = [...world.pods.objects.values(), ...policies.networkPolicies].map(
    ({ namespace }) => namespace,
  );
  for (const name of new Set(named))
    if (!world.namespaces.objects.has(name)) putNamespace({ metadata: { name } });
  return world;
}

const WORKLOADS: ReadonlySet<unknown> = new Set([
  'Deployment',
  'StatefulSet',
  'DaemonSet',
  'ReplicaSet',
  'ReplicationController',
  'Job',
]);

/** A Pod itself, or what a workload would make of its template. */
function podsIn(raw: Raw): Raw[] {
  if (raw.kind === 'Pod') return [raw];
  if (raw.kind === 'CronJob') {
    const { jobTemplate } = record(raw.spec);
    return podsIn({ ...record(jobTemplate), kind: 'Job', metadata: raw.metadata });
  }
  if (!WORKLOADS.has(raw.kind)) return [];
  const { template, replicas = REPLICAS } = record(raw.spec);
  const { name, namespace } = record(raw.metadata);
  const { metadata, spec } = record(template);
  const wanted = typeof replicas === 'number' ? Math.min(replicas, MOST_REPLICAS) : REPLICAS;
  return Array.from({ length: wanted }, (_, i) => ({
    kind: 'Pod',
    metadata: { ...record(metadata), namespace, name: `${text(name)}-${i + 1}` },
    spec,
  }));
}

function withAddress(raw: Raw, n: number): Raw {
  const status = record(raw.status);
  if (array(status.podIPs).length > 0 || text(status.podIP) !== '') return raw;
  const podIPs = [{ ip: `10.244.${n >> 8}.${n & 255}` }, { ip: `fd00:244::${n.toString(16)}` }];
  return { ...raw, status: { phase: 'Running', ...status, podIPs } };
}
