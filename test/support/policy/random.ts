/** Random clusters and policies for fast-check: few labels, few names, few addresses, so that everything meets everything. */
import { fc } from '../property.ts';
import type { KindName } from './planner-cluster.ts';

type Json = Readonly<Record<string, unknown>>;

/** An object of the API that comes or changes, or (without manifest) goes. */
export interface RandomEdit {
  readonly kind: KindName;
  readonly key: string;
  readonly manifest: Json | undefined;
}

export const NODE_NAMES = ['n1', 'n2', 'n3'] as const;
const NAMESPACES = ['x', 'y', 'z'] as const;
/** Some that policies of one namespace and one name each would mix up when names are only joined. */
const POLICY_NAMES = ['p', 'p-x', 'p.x', 'x'] as const;
const VALUES = ['', 'a', 'b'] as const;
const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const;
export const PORTS = [53, 80, 81, 8000] as const;
const PORT_NAMES = ['web', 'dns'] as const;

export const nodeAddressesOf = (node: string): readonly string[] => [
  `10.0.0.${node.slice(1)}`,
  `2001:db8::${node.slice(1)}`,
];

export const podCidrsOf = (node: string): readonly string[] => [
  `10.244.${node.slice(1)}.0/24`,
  `fd00:244:0:${node.slice(1)}::/64`,
];

const PLACES = 8;

/** Addresses of a place of pods: each node has 24, in two blocks of a /28. */
const placeAddresses = (node: string, place: number): readonly string[] => {
  const n = node.slice(1);
  const host = place < 12 ? place + 2 : place + 4;
  return [`10.244.${n}.${host}`, `fd00:244:0:${n}::${host.toString(16)}`];
};

const some = <T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
const maybe = <T>(arbitrary: fc.Arbitrary<T>, nil = 2): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined, freq: nil });

/** Without what is undefined: an absent field is another thing than an empty one. */
const clean = (object: Readonly<Record<string, unknown>>): Json =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));

const labelsOf = (...keys: readonly string[]): fc.Arbitrary<Json> =>
  fc.record(Object.fromEntries(keys.map((key) => [key, maybe(some(...VALUES))]))).map(clean);

const podLabels = labelsOf('app', 'tier');
const spaceLabels = labelsOf('team', 'stage');
const nodeLabels = labelsOf('role');

function selectorOf(...keys: readonly string[]): fc.Arbitrary<Json> {
  const key = some(...keys);
  const expression = fc.oneof(
    fc.record({
      key,
      operator: some('In', 'NotIn'),
      values: fc.uniqueArray(some(...VALUES), { minLength: 1, maxLength: 2 }),
    }),
    fc.record({ key, operator: some('Exists', 'DoesNotExist') }),
  );
  const labels = fc.dictionary(key, some(...VALUES), { maxKeys: 1, noNullPrototype: true });
  return fc
    .record({ matchLabels: maybe(labels), matchExpressions: maybe(fc.array(expression, { maxLength: 2 })) })
    .map(clean);
}

const podSelector = selectorOf('app', 'tier');
const namespaceSelector = selectorOf('team', 'stage');

// Address blocks

const BLOCKS: readonly (readonly [string, readonly string[]])[] = [
  ['0.0.0.0/0', ['10.244.0.0/16', '10.244.1.0/28', '10.244.2.2/32', '10.0.0.1/32']],
  ['10.244.0.0/16', ['10.244.1.0/24', '10.244.1.0/28', '10.244.1.2/31', '10.244.2.16/28', '10.244.3.3/32']],
  ['10.244.1.0/24', ['10.244.1.0/28', '10.244.1.2/32', '10.244.1.16/29']],
  ['10.244.2.2/32', []],
  ['10.0.0.0/24', ['10.0.0.2/32', '10.0.0.0/30']],
  ['::/0', ['fd00:244::/32', 'fd00:244:0:1::/64', '2001:db8::1/128']],
  [
    'fd00:244::/32',
    ['fd00:244:0:1::/124', 'fd00:244:0:2::/64', 'fd00:244:0:3::3/128', 'fd00:244:0:3::2/127'],
  ],
  ['fd00:244:0:1::/64', ['fd00:244:0:1::/124', 'fd00:244:0:1::10/125']],
  ['2001:db8::/64', ['2001:db8::2/128']],
];

const block = some(...BLOCKS).chain(([cidr, inner]) =>
  fc.record({
    cidr: fc.constant(cidr),
    except:
      inner.length === 0 ? fc.constant(undefined) : maybe(fc.array(some(...inner), { maxLength: 3 }), 1),
  }),
);

// NetworkPolicy

const networkPolicyPeer = fc.oneof(
  podSelector.map((pods) => ({ podSelector: pods })),
  namespaceSelector.map((spaces) => ({ namespaceSelector: spaces })),
  fc.record({ podSelector, namespaceSelector }),
  block.map((one) => ({ ipBlock: clean(one) })),
);

const port = fc.oneof(
  fc.record({ protocol: maybe(some(...PROTOCOLS)), port: some<number | string>(...PORTS, ...PORT_NAMES) }),
  fc.record({ protocol: some(...PROTOCOLS) }),
  fc.record({ protocol: maybe(some(...PROTOCOLS)), port: some(1, 53, 80), endPort: some(80, 81, 65535) }),
);

const networkPolicyRule = (side: 'from' | 'to'): fc.Arbitrary<Json> =>
  fc
    .record({
      [side]: maybe(fc.array(networkPolicyPeer, { maxLength: 3 })),
      ports: maybe(fc.array(port.map(clean), { maxLength: 3 })),
    })
    .map(clean);

const networkPolicySpec = fc
  .record({
    podSelector: maybe(podSelector, 8),
    policyTypes: maybe(fc.uniqueArray(some('Ingress', 'Egress'), { minLength: 1 }), 3),
    ingress: maybe(fc.array(networkPolicyRule('from'), { maxLength: 3 })),
    egress: maybe(fc.array(networkPolicyRule('to'), { maxLength: 3 })),
  })
  .map(clean);

const networkPolicy: fc.Arbitrary<RandomEdit> = fc
  .record({ namespace: some(...NAMESPACES), name: some(...POLICY_NAMES), spec: maybe(networkPolicySpec, 4) })
  .map(({ namespace, name, spec }) => ({
    kind: 'NetworkPolicy',
    key: `${namespace}/${name}`,
    manifest: spec && {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { namespace, name },
      spec,
    },
  }));

// ClusterNetworkPolicy

const clusterPods = fc.record({ namespaceSelector, podSelector });
const podPeer = fc.oneof(
  namespaceSelector.map((namespaces) => ({ namespaces })),
  clusterPods.map((pods) => ({ pods })),
);
/** Of a newer version of the API, as the server shows it to us: no field that we know. */
const unknownPeer = fc.constant({});
const otherPeer = fc.oneof(
  fc
    .uniqueArray(
      block.map(({ cidr }) => cidr),
      { minLength: 1, maxLength: 3 },
    )
    .map((networks) => ({ networks })),
  selectorOf('role').map((nodes) => ({ nodes })),
);
const numbered = fc
  .record({
    name: some('tcp', 'udp', 'sctp'),
    port: fc.oneof(
      some(...PORTS).map((number) => ({ number })),
      fc.record({ start: some(1, 53), end: some(80, 81, 65535) }).map((range) => ({ range })),
    ),
  })
  .map(({ name, port }) => ({ [name]: { destinationPort: port } }));
const namedPort = some(...PORT_NAMES).map((name) => ({ destinationNamedPort: name }));

function clusterRule(side: 'from' | 'to'): fc.Arbitrary<Json> {
  const pods = { weight: 20, arbitrary: podPeer };
  const rest = side === 'to' ? [{ weight: 12, arbitrary: otherPeer }] : [];
  const peers = (...more: readonly { weight: number; arbitrary: fc.Arbitrary<Json> }[]) =>
    fc.array(fc.oneof(pods, ...more, { weight: 1, arbitrary: unknownPeer }), { minLength: 1, maxLength: 2 });
  const protocols = (...more: readonly { weight: number; arbitrary: fc.Arbitrary<Json> }[]) =>
    maybe(
      fc.array(
        fc.oneof({ weight: 20, arbitrary: numbered }, ...more, { weight: 1, arbitrary: fc.constant({}) }),
        {
          minLength: 1,
          maxLength: 3,
        },
      ),
    );
  const action = some('Accept', 'Deny', 'Pass');
  // The CRD refuses port names beside peers that are no pods.
  return fc
    .oneof(
      fc.record({
        name: maybe(some('r', 'rule two')),
        action,
        [side]: peers(...rest),
        protocols: protocols(),
      }),
      fc.record({ action, [side]: peers(), protocols: protocols({ weight: 20, arbitrary: namedPort }) }),
    )
    .map(clean);
}

const clusterPolicySpec = fc
  .record({
    tier: some('Admin', 'Baseline'),
    priority: fc.integer({ min: 0, max: 3 }),
    subject: podPeer,
    ingress: maybe(fc.array(clusterRule('from'), { maxLength: 3 })),
    egress: maybe(fc.array(clusterRule('to'), { maxLength: 3 })),
  })
  .map(clean);

const clusterPolicy: fc.Arbitrary<RandomEdit> = fc
  .record({ name: some('c', 'd', 'e', 'f'), spec: maybe(clusterPolicySpec, 4) })
  .map(({ name, spec }) => ({
    kind: 'ClusterNetworkPolicy',
    key: name,
    manifest: spec && {
      apiVersion: 'policy.networking.k8s.io/v1alpha2',
      kind: 'ClusterNetworkPolicy',
      metadata: { name },
      spec,
    },
  }));

// Namespaces, nodes, pods

const namespace: fc.Arbitrary<RandomEdit> = fc
  .record({ name: some(...NAMESPACES), labels: maybe(spaceLabels, 6) })
  .map(({ name, labels }) => ({
    kind: 'Namespace',
    key: name,
    manifest: labels && { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } },
  }));

export const nodeEdit = (name: string, labels: Json): RandomEdit => ({
  kind: 'Node',
  key: name,
  manifest: {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels },
    spec: { podCIDRs: podCidrsOf(name) },
    status: { addresses: nodeAddressesOf(name).map((address) => ({ type: 'InternalIP', address })) },
  },
});

const node: fc.Arbitrary<RandomEdit> = fc
  .record({ name: some(...NODE_NAMES), labels: nodeLabels })
  .map(({ name, labels }) => nodeEdit(name, labels));

const containerPort = fc.record({
  name: maybe(some(...PORT_NAMES), 3),
  protocol: maybe(some(...PROTOCOLS), 2),
  containerPort: some(...PORTS),
});
/** One name and protocol means one number on a pod: which of two would count the API does not say. */
const container = fc
  .uniqueArray(containerPort, {
    maxLength: 4,
    selector: ({ name, protocol = 'TCP', containerPort }) => `${name ?? containerPort} ${protocol}`,
  })
  .map((ports) => ({ name: 'c', image: 'i', ports: ports.map(clean) }));

/**
 * Pods by place. A live pod has an address alone; one that has finished names the address that a live pod of the next namespace has by now.
 */
const pod: fc.Arbitrary<RandomEdit> = fc
  .record({
    namespace: some(...NAMESPACES),
    node: some(...NODE_NAMES),
    place: fc.nat(PLACES - 1),
    gone: fc.nat(9),
    labels: podLabels,
    phase: fc.oneof({ weight: 8, arbitrary: fc.constant('Running') }, some('Pending', 'Succeeded', 'Failed')),
    families: fc.oneof(
      { weight: 8, arbitrary: fc.constant([0, 1]) },
      fc.constant([0]),
      fc.constant([1]),
      fc.constant([]),
    ),
    host: fc.nat(9),
    main: container,
    sidecar: maybe(container, 1),
  })
  .map(({ namespace, node, place, gone, labels, phase, families, host, main, sidecar }) => {
    const name = `${node}-${place}`;
    if (gone === 0) return { kind: 'Pod', key: `${namespace}/${name}`, manifest: undefined };
    const hostNetwork = host === 0;
    const finished = phase === 'Succeeded' || phase === 'Failed';
    const at = (NAMESPACES.indexOf(namespace) + (finished ? 1 : 0)) % NAMESPACES.length;
    const addresses = hostNetwork
      ? nodeAddressesOf(node)
      : placeAddresses(node, place * NAMESPACES.length + at);
    const ips = families.map((family) => ({ ip: addresses[family] }));
    // Ordinary init containers have ended before the pod serves: their ports are nobody's.
    const init = [
      ...(sidecar ? [{ ...sidecar, name: 's', restartPolicy: 'Always' }] : []),
      { ...main, name: 'init' },
    ];
    return {
      kind: 'Pod',
      key: `${namespace}/${name}`,
      manifest: {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { namespace, name, labels, uid: `${namespace}-${name}` },
        spec: {
          nodeName: node,
          ...(hostNetwork ? { hostNetwork } : {}),
          containers: [main],
          initContainers: init,
        },
        status: { phase, podIPs: ips },
      },
    };
  });

/** A history: mostly pods and policies. */
export const history = (length: fc.ArrayConstraints): fc.Arbitrary<readonly RandomEdit[]> =>
  fc.array(
    fc.oneof(
      { weight: 8, arbitrary: pod },
      { weight: 6, arbitrary: networkPolicy },
      { weight: 5, arbitrary: clusterPolicy },
      { weight: 3, arbitrary: namespace },
      { weight: 1, arbitrary: node },
    ),
    length,
  );
