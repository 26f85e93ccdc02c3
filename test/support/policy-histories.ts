/** Random histories of a small World with policies, for the laws of the policy planner. */

import type { Birth } from '../../src/model/cluster/birth.ts';
import type { Config } from '../../src/model/cluster/config.ts';
import type { Namespace } from '../../src/model/cluster/namespace.ts';
import type { NamedPort, Pod } from '../../src/model/cluster/pod.ts';
import type {
  ClusterNetworkPolicy,
  ClusterPeer,
  ClusterRule,
  NetworkPolicy,
  Peer,
  PolicyPort,
  PolicyRule,
} from '../../src/model/cluster/policy.ts';
import { EVERYTHING, type Selector, type SelectorTerm, selector } from '../../src/model/cluster/selector.ts';
import { cidr } from '../../src/model/net/cidr.ts';
import { ip } from '../../src/model/net/ip.ts';
import { CONFIG, link, node, PREDECESSOR, type Step } from './plan-worlds.ts';
import { DENY } from './policy-worlds.ts';
import { fc } from './property.ts';

const NAMESPACES = ['x', 'y', 'z'];
const NAMES = ['a', 'b', 'c'];
export const CONTAINERS = ['c1', 'c2', 'c3'];
const ADDRESSES = ['10.244.1.2', '10.244.1.3', '10.244.2.2', 'fd00:244:1::2', 'fd00:244:2::2'].map(ip);
const BLOCKS = ['0.0.0.0/0', '10.244.1.0/24', '10.244.1.2/32', '::/0', 'fd00:244:1::/64'].map(cidr);

export const CLUSTER_POLICIES = ['r', 's', 't'];

const labels = fc.dictionary(fc.constantFrom('app', 'tier', 'env'), fc.constantFrom('a', 'b', ''), {
  maxKeys: 3,
  noNullPrototype: true,
});

const term: fc.Arbitrary<SelectorTerm> = fc.record({
  key: fc.constantFrom('app', 'tier', 'env'),
  operator: fc.constantFrom('In', 'In', 'NotIn', 'Exists', 'DoesNotExist'),
  values: fc.uniqueArray(fc.constantFrom('a', 'b', ''), { minLength: 1, maxLength: 2 }),
});

const anySelector: fc.Arbitrary<Selector> = fc
  .array(term, { maxLength: 2 })
  .map((terms) =>
    selector(
      terms.map((one) => (one.operator === 'In' || one.operator === 'NotIn' ? one : { ...one, values: [] })),
    ),
  );

const protocol = fc.constantFrom('TCP' as const, 'UDP' as const, 'SCTP' as const);

const port: fc.Arbitrary<PolicyPort> = fc.oneof(
  protocol.map((protocol) => ({ protocol })),
  fc
    .record({ protocol, from: fc.integer({ min: 1, max: 9 }), more: fc.integer({ min: 0, max: 4 }) })
    .map(({ protocol, from, more }) => ({ protocol, from, to: from + more })),
  fc.record({ protocol, name: fc.constantFrom('http', 'dns') }),
);

/** Links on which pods may be, and what only looks like them. */
export const podLink: fc.Arbitrary<Step> = fc
  .tuple(
    fc.constantFrom('fairlead0', 'kube-bridge', 'veth7'),
    fc.constantFrom('10.244.1.1/24', 'fd00:244:1::1/64', '10.244.1.1/24', '10.0.0.1/24', undefined),
    fc.constantFrom(true, true, false),
  )
  .map(([key, address, there]): Step => {
    const kind = key === 'veth7' ? 'veth' : 'bridge';
    const object = there ? link(key, address === undefined ? [] : [address], { kind }) : undefined;
    return { source: 'links', key, object };
  });

const ports = fc.oneof(fc.constant('any' as const), fc.array(port, { minLength: 1, maxLength: 3 }));

const peer: fc.Arbitrary<Peer> = fc.oneof(
  anySelector.map((pods) => ({ kind: 'pods' as const, pods })),
  fc
    .record({ namespaces: anySelector, pods: anySelector })
    .map((both) => ({ kind: 'pods' as const, ...both })),
  fc
    .record({ cidr: fc.constantFrom(...BLOCKS), except: fc.subarray(BLOCKS, { maxLength: 2 }) })
    .map((block) => ({ kind: 'block' as const, ...block })),
);

const rule: fc.Arbitrary<PolicyRule> = fc.record({
  peers: fc.oneof(fc.constant('any' as const), fc.array(peer, { maxLength: 3 })),
  ports,
});

const rules = fc.array(rule, { maxLength: 2 });

const policy: fc.Arbitrary<NetworkPolicy> = fc
  .record({
    namespace: fc.constantFrom(...NAMESPACES),
    name: fc.constantFrom('p', 'q'),
    uid: fc.constantFrom('1', '2'),
    pods: anySelector,
    ingress: fc.option(rules, { nil: undefined }),
    egress: fc.option(rules, { nil: undefined }),
    audit: fc.boolean(),
    problems: fc.constantFrom([], [], ['spec.ingress[0]: nonsense']),
  })
  .map(({ ingress, egress, ...rest }) => {
    const key = `${rest.namespace}/${rest.name}`;
    // Changes of these are changes of rules alone.
    if (rest.name === 'q') return { ...rest, key, pods: EVERYTHING, audit: false, ingress: ingress ?? [] };
    return { ...rest, key, ...(ingress && { ingress }), ...(egress && { egress }) };
  });

const clusterPeer: fc.Arbitrary<ClusterPeer> = fc.oneof(
  fc
    .record({ namespaces: anySelector, pods: anySelector })
    .map((both) => ({ kind: 'pods' as const, ...both })),
  fc
    .uniqueArray(fc.constantFrom(...BLOCKS), { minLength: 1, maxLength: 3 })
    .map((cidrs) => ({ kind: 'networks' as const, cidrs })),
  anySelector.map((nodes) => ({ kind: 'nodes' as const, nodes })),
);

const clusterRule: fc.Arbitrary<ClusterRule> = fc.record({
  name: fc.constantFrom('', 'first'),
  action: fc.constantFrom('Accept', 'Deny', 'Pass'),
  peers: fc.array(clusterPeer, { minLength: 1, maxLength: 2 }),
  ports,
});

const clusterPolicy: fc.Arbitrary<ClusterNetworkPolicy> = fc
  .record({
    name: fc.constantFrom(...CLUSTER_POLICIES),
    uid: fc.constantFrom('1', '2'),
    tier: fc.constantFrom('Admin', 'Baseline'),
    priority: fc.constantFrom(1, 1, 2),
    subject: fc.record({ namespaces: anySelector, pods: anySelector }),
    ingress: fc.array(clusterRule, { maxLength: 2 }),
    egress: fc.array(clusterRule, { maxLength: 2 }),
    audit: fc.boolean(),
    problems: fc.constantFrom([], [], ['spec.egress[0]: unknown peer']),
  })
  .map((any) => {
    if (any.name !== 't') return any;
    const subject = { namespaces: EVERYTHING, pods: EVERYTHING };
    const ingress = any.ingress.length > 0 ? any.ingress : [DENY];
    return { ...any, subject, tier: 'Admin', priority: 1, audit: false, ingress, egress: [] };
  });

const namedPort: fc.Arbitrary<NamedPort> = fc.record({
  name: fc.constantFrom('http', 'dns'),
  protocol,
  port: fc.constantFrom(53, 80, 8080),
});

const pod: fc.Arbitrary<Pod> = fc
  .record({
    namespace: fc.constantFrom(...NAMESPACES),
    name: fc.constantFrom(...NAMES),
    uid: fc.constantFrom('1', '2'),
    ips: fc.uniqueArray(fc.constantFrom(...ADDRESSES), { maxLength: 2 }),
    hostNetwork: fc.constantFrom(false, false, false, true),
    phase: fc.constantFrom('Pending', 'Running', 'Running', 'Running', 'Succeeded', 'Failed', 'Unknown'),
    labels,
    ports: fc.array(namedPort, { maxLength: 2 }),
  })
  .map((rest) => ({ ...rest, node: 'n1', key: `${rest.namespace}/${rest.name}` }));

const namespace: fc.Arbitrary<Namespace> = fc.record({
  name: fc.constantFrom(...NAMESPACES),
  uid: fc.constant('1'),
  labels,
  audit: fc.constantFrom(false, false, true),
});

const birth: fc.Arbitrary<Birth> = fc.record({
  pod: fc.tuple(fc.constantFrom(...NAMESPACES), fc.constantFrom(...NAMES)).map((parts) => parts.join('/')),
  uid: fc.constantFrom('', '1', '2'),
  containerId: fc.constantFrom(...CONTAINERS),
  ips: fc.uniqueArray(fc.constantFrom(...ADDRESSES), { maxLength: 2 }),
});

const config: fc.Arbitrary<Config> = fc
  .record({
    enabled: fc.constantFrom(true, true, true, false),
    unknownPods: fc.constantFrom('closed', 'open'),
    defaultDeny: fc.constantFrom('none', 'ingress', 'egress', 'both'),
    defaultDenyExcept: fc.subarray(NAMESPACES, { maxLength: 1 }),
    denied: fc.constantFrom('drop', 'reject'),
    plugin: fc.constantFrom('bridge', 'bridge', 'ptp'),
  })
  .map(({ plugin, ...changes }) => {
    const [cni, policy] = [
      { ...CONFIG.cni, plugin },
      { ...CONFIG.policy, ...changes },
    ];
    return { ...CONFIG, cni, policy } as Config;
  });

const nodes = fc
  .record({
    i: fc.constantFrom(1, 2),
    labels,
    addresses: fc.uniqueArray(fc.constantFrom(ip('10.0.0.1'), ip('10.0.0.2'), ip('2001:db8::2'))),
    podCidrs: fc.subarray([cidr('10.244.1.0/24'), cidr('fd00:244:1::/64')]),
  })
  .map(({ i, ...rest }) => node(i, rest));

export const POD_KEYS = NAMESPACES.flatMap((namespace) => NAMES.map((name) => `${namespace}/${name}`));
export const POLICY_KEYS = NAMESPACES.flatMap((namespace) =>
  ['p', 'q'].map((name) => `${namespace}/${name}`),
);

/** One thing that happens to a World of three namespaces, nine pods and a handful of policies. */
export const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: pod.map((object) => ({ source: 'pods', key: object.key, object }) as const) },
  { weight: 4, arbitrary: pod.map((object) => ({ source: 'peers', key: object.key, object }) as const) },
  { weight: 3, arbitrary: gone('pods', POD_KEYS) },
  { weight: 2, arbitrary: gone('peers', POD_KEYS) },
  {
    weight: 4,
    arbitrary: namespace.map((object) => ({ source: 'namespaces', key: object.name, object }) as const),
  },
  { weight: 1, arbitrary: gone('namespaces', NAMESPACES) },
  {
    weight: 6,
    arbitrary: policy.map((object) => ({ source: 'networkPolicies', key: object.key, object }) as const),
  },
  { weight: 2, arbitrary: gone('networkPolicies', POLICY_KEYS) },
  {
    weight: 5,
    arbitrary: clusterPolicy.map(
      (object) => ({ source: 'clusterNetworkPolicies', key: object.name, object }) as const,
    ),
  },
  { weight: 2, arbitrary: gone('clusterNetworkPolicies', CLUSTER_POLICIES) },
  {
    weight: 3,
    arbitrary: birth.map((object) => ({ source: 'births', key: object.containerId, object }) as const),
  },
  { weight: 1, arbitrary: gone('births', CONTAINERS) },
  { weight: 2, arbitrary: config.map((object) => ({ source: 'config', key: 'config', object }) as const) },
  { weight: 2, arbitrary: nodes.map((object) => ({ source: 'nodes', key: object.name, object }) as const) },
  { weight: 1, arbitrary: gone('nodes', ['n1', 'n2']) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(PREDECESSOR, undefined)
      .map((object) => ({ source: 'cni', key: PREDECESSOR.path, object }) as const),
  },
  { weight: 2, arbitrary: podLink },
);

function gone(source: Step['source'], all: readonly string[]): fc.Arbitrary<Step> {
  return fc.constantFrom(...all).map((key) => ({ source, key, object: undefined }) as Step);
}

/** How each history begins: configuration, kernel, our Node, the namespaces. */
export const START: readonly Step[] = [
  { source: 'config', key: 'config', object: CONFIG },
  { source: 'kernel', key: 'kernel', object: { release: '6.1', missing: {} } },
  { source: 'nodes', key: 'n1', object: node(1) },
  ...NAMESPACES.map(
    (name): Step => ({
      source: 'namespaces',
      key: name,
      object: { name, uid: '1', labels: { app: name }, audit: false },
    }),
  ),
];
