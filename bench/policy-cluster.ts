/**
 * 10,000 pods of ten apps in each of 100 namespaces, one pod of each namespace on this node (node 0 of 100), and policies that each select an app. So one
 * in ten selects a pod of this node; or all do, when told so, with up to 50 policies for each pod.
 */
import { podSpecDefaults } from '../src/lab/apiserver/admission/pods.ts';
import type { JsonObject } from '../src/lab/apiserver/json.ts';
import { type Json, nodeAddresses, nodeName, nodeObject, podObject } from './cluster.ts';

export const NAMESPACES = 100;
const NODES = 100;
const PODS_PER_NAMESPACE = 100;
/** Where packets come from: a pod of node 1 whose label `switch` one policy asks for, and one of a namespace whose label `gate` another asks for. */
export const OUTSIDER = {
  namespace: 'outside',
  name: 'outsider',
  node: 1,
  ips: ['10.1.0.200', 'fd00:10:1::200'],
};
export const CROWD = { namespace: 'crowd', name: 'crowd-0', node: 1, ips: ['10.1.0.201', 'fd00:10:1::201'] };
/** Its policy opens the way when the outsider's label says so; that of the next one when the crowd's namespace does. */
export const SWITCHED = 0;
export const GATED = 1;

export const teamName = (i: number): string => `team-${i}`;
/** The pod of namespace `i` on this node. */
export const localIps = (i: number): readonly [string, string] => podIps(0, i);
export const podPrefixes = (node: number): readonly [string, string] => [
  `10.${node}.0.0/24`,
  `fd00:10:${node}::/64`,
];

function podIps(node: number, i: number): [string, string] {
  return [`10.${node}.0.${i + 2}`, `fd00:10:${node}::${(i + 2).toString(16)}`];
}

/** `everyPod`: 1 = each policy selects all pods of its namespace. */
export function* policyCluster(policies: number, everyPod: number): Iterable<Json> {
  for (let i = 0; i < NODES; i++) yield node(i);
  for (const [name, labels] of [
    [OUTSIDER.namespace, { side: 'outside' }],
    [CROWD.namespace, { gate: 'shut' }],
  ] as const)
    yield namespace(name, labels);
  yield pod(OUTSIDER, { app: 'outsider', switch: 'off' });
  yield pod(CROWD, { app: 'crowd' });
  for (let i = 1; i < PODS_PER_NAMESPACE; i++)
    yield pod(
      { ...CROWD, name: `crowd-${i}`, node: 1 + (i % (NODES - 1)), ips: podIps(i, 210) },
      { app: 'crowd' },
    );
  for (let n = 0; n < NAMESPACES; n++) {
    yield namespace(teamName(n), { team: String(n) });
    for (let p = 0; p < PODS_PER_NAMESPACE; p++) {
      const labels = { app: `app-${p % 10}`, tier: 'web' };
      yield pod({ namespace: teamName(n), name: `pod-${p}`, node: p, ips: podIps(p, n) }, labels);
    }
  }
  if (policies === 0) return;
  yield policy(teamName(SWITCHED), 'switched', EVERY_POD, [
    { namespaceSelector: {}, podSelector: { matchLabels: { switch: 'on' } } },
  ]);
  yield policy(teamName(GATED), 'gated', EVERY_POD, [
    { namespaceSelector: { matchLabels: { gate: 'open' } } },
  ]);
  for (let i = 0; i < policies; i++) {
    const place = Math.floor(i / NAMESPACES);
    yield ordinary(i % NAMESPACES, place, everyPod === 1 ? EVERY_POD : { app: `app-${place % 10}` });
  }
}

/** What policies say in practice, in turn. */
function ordinary(n: number, i: number, selected: Json): Json {
  const name = `policy-${i}`;
  const app = { matchLabels: { app: `app-${i % 7}` } };
  const other = { matchLabels: { team: String((n + i) % NAMESPACES) } };
  const port = 8000 + i;
  if (i % 5 === 0) return policy(teamName(n), name, selected, [{ podSelector: app }], port);
  if (i % 5 === 1) return policy(teamName(n), name, selected, [{ namespaceSelector: other }], port);
  if (i % 5 === 2)
    return policy(teamName(n), name, selected, [{ namespaceSelector: other, podSelector: app }], port);
  const ipBlock = { cidr: `192.0.2.${i % 256}/32` };
  if (i % 5 === 3) return policy(teamName(n), name, selected, [{ ipBlock }], port);
  return policy(
    teamName(n),
    name,
    selected,
    [{ podSelector: app }, { ipBlock: { cidr: '2001:db8::/32' } }],
    port,
  );
}

/** What all pods have. */
export const EVERY_POD = { tier: 'web' };

/** Lets `from` reach the selected pods of a namespace, on any port or one. */
export function policy(
  namespaceName: string,
  name: string,
  selected: Json,
  from: readonly Json[],
  port?: number,
): Json {
  const ports = port === undefined ? {} : { ports: [{ protocol: 'TCP', port }] };
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace: namespaceName },
    spec: {
      podSelector: { matchLabels: selected },
      policyTypes: ['Ingress'],
      ingress: [{ from, ...ports }],
    },
  };
}

function namespace(name: string, labels: Json): Json {
  const all = { ...labels, 'kubernetes.io/metadata.name': name };
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: all },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  };
}

interface PodSpec {
  readonly namespace: string;
  readonly name: string;
  readonly node: number;
  readonly ips: readonly string[];
}

function pod({ namespace, name, node, ips }: PodSpec, labels: Json): Json {
  const usual = podObject(node, NODES);
  const metadata = { ...(usual.metadata as Json), namespace, name, labels };
  const spec = structuredClone({ ...(usual.spec as Json), nodeName: nodeName(node) });
  // Without them a later change of the pod would look like one of its spec.
  podSpecDefaults(spec as JsonObject);
  const [podIP] = ips;
  const status = {
    phase: 'Running',
    podIP,
    podIPs: ips.map((ip) => ({ ip })),
    hostIP: nodeAddresses(node)[0],
  };
  return { ...usual, metadata, spec, status };
}

function node(index: number): Json {
  const usual = nodeObject({ index });
  const podCIDRs = podPrefixes(index);
  return { ...usual, spec: { podCIDR: podCIDRs[0], podCIDRs } };
}
