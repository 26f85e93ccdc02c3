/** The law of planners for policy: after any history, the rows of a plan from scratch. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assertStepwise, CONFIG, node, type Step } from '../../../test/support/plan-worlds.ts';
import {
  ALL,
  block,
  cnp,
  DENY,
  from,
  namespace as named,
  netpol,
  own,
  type PolicyContent,
  pods,
  policyStore,
  pod as simple,
} from '../../../test/support/policy-worlds.ts';
import type { Birth } from '../../model/cluster/birth.ts';
import type { Config } from '../../model/cluster/config.ts';
import type { Namespace } from '../../model/cluster/namespace.ts';
import type { NamedPort, Pod } from '../../model/cluster/pod.ts';
import type {
  ClusterNetworkPolicy,
  ClusterPeer,
  ClusterRule,
  NetworkPolicy,
  Peer,
  PolicyPort,
  PolicyRule,
} from '../../model/cluster/policy.ts';
import { EVERYTHING, type Selector, type SelectorTerm, selector } from '../../model/cluster/selector.ts';
import { cidr } from '../../model/net/cidr.ts';
import { ip } from '../../model/net/ip.ts';
import type { NftBody } from '../../model/rows/nft.ts';
import { PlanEngine } from '../engine.ts';
import { policyPlanner } from './planner.ts';

const NAMESPACES = ['x', 'y', 'z'];
const NAMES = ['a', 'b', 'c'];
const CONTAINERS = ['c1', 'c2', 'c3'];
const ADDRESSES = ['10.244.1.2', '10.244.1.3', '10.244.2.2', 'fd00:244:1::2', 'fd00:244:2::2'].map(ip);
const BLOCKS = ['0.0.0.0/0', '10.244.1.0/24', '10.244.1.2/32', '::/0', 'fd00:244:1::/64'].map(cidr);

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
    name: fc.constantFrom('r', 's', 't'),
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
  })
  .map((changes) => ({ ...CONFIG, policy: { ...CONFIG.policy, ...changes } }) as Config);

const nodes = fc
  .record({
    i: fc.constantFrom(1, 2),
    labels,
    addresses: fc.uniqueArray(fc.constantFrom(ip('10.0.0.1'), ip('10.0.0.2'), ip('2001:db8::2'))),
    podCidrs: fc.subarray([cidr('10.244.1.0/24'), cidr('fd00:244:1::/64')]),
  })
  .map(({ i, ...rest }) => node(i, rest));

const keys = NAMESPACES.flatMap((namespace) => NAMES.map((name) => `${namespace}/${name}`));
const policyKeys = NAMESPACES.flatMap((namespace) => ['p', 'q'].map((name) => `${namespace}/${name}`));

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: pod.map((object) => ({ source: 'pods', key: object.key, object }) as const) },
  { weight: 4, arbitrary: pod.map((object) => ({ source: 'peers', key: object.key, object }) as const) },
  { weight: 3, arbitrary: gone('pods', keys) },
  { weight: 2, arbitrary: gone('peers', keys) },
  {
    weight: 4,
    arbitrary: namespace.map((object) => ({ source: 'namespaces', key: object.name, object }) as const),
  },
  { weight: 1, arbitrary: gone('namespaces', NAMESPACES) },
  {
    weight: 6,
    arbitrary: policy.map((object) => ({ source: 'networkPolicies', key: object.key, object }) as const),
  },
  { weight: 2, arbitrary: gone('networkPolicies', policyKeys) },
  {
    weight: 5,
    arbitrary: clusterPolicy.map(
      (object) => ({ source: 'clusterNetworkPolicies', key: object.name, object }) as const,
    ),
  },
  { weight: 2, arbitrary: gone('clusterNetworkPolicies', ['r', 's', 't']) },
  {
    weight: 3,
    arbitrary: birth.map((object) => ({ source: 'births', key: object.containerId, object }) as const),
  },
  { weight: 1, arbitrary: gone('births', CONTAINERS) },
  { weight: 2, arbitrary: config.map((object) => ({ source: 'config', key: 'config', object }) as const) },
  { weight: 2, arbitrary: nodes.map((object) => ({ source: 'nodes', key: object.name, object }) as const) },
  { weight: 1, arbitrary: gone('nodes', ['n1', 'n2']) },
);

function gone(source: Step['source'], all: readonly string[]): fc.Arbitrary<Step> {
  return fc.constantFrom(...all).map((key) => ({ source, key, object: undefined }) as Step);
}

const START: readonly Step[] = [
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

test('step by step, twice, backwards, in batches: always the rows of a plan from scratch', () => {
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 20, maxLength: 80, size: 'max' }),
      fc.integer({ min: 1, max: 7 }),
      fc.boolean(),
      fc.boolean(),
      (steps, every, twice, backwards) => {
        assertStepwise([policyPlanner], [...START, ...steps], {
          runs: (i) => i % every === 0,
          twice,
          backwards,
        });
      },
    ),
    { numRuns: 400 },
  );
});

test('what was built up is torn down to nothing', () => {
  const off: Config = { ...CONFIG, policy: { ...CONFIG.policy, enabled: false } };
  const tables: readonly [Step['source'], readonly string[]][] = [
    ['pods', keys],
    ['networkPolicies', policyKeys],
    ['peers', keys],
    ['clusterNetworkPolicies', ['r', 's', 't']],
    ['births', CONTAINERS],
  ];
  const cleared = tables.flatMap(([source, all]) =>
    all.map((key) => ({ source, key, object: undefined }) as Step),
  );
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }), (steps) => {
      const playing = { runs: () => true, twice: false, backwards: false };
      const last: Step = { source: 'config', key: 'config', object: off };
      assertStepwise([policyPlanner], [...START, ...steps, ...cleared], playing);
      assertStepwise([policyPlanner], [...START, ...steps, last], playing, 'nothing');
    }),
    { numRuns: 100 },
  );
});

/** An engine that has planned this World. */
function running(content: PolicyContent) {
  const store = policyStore(content);
  const engine = new PlanEngine([policyPlanner]);
  engine.run(store.world, store.take());
  return {
    store,
    engine,
    /** Keys of the rows that came, changed or (`-`) went. */
    turn: () => {
      const { rows, units } = engine.run(store.world, store.take());
      return { units, rows: rows.map(({ key, row }) => (row ? key : `- ${key}`)).sort() };
    },
    /** Which pods the dispatch maps know the address as. */
    dispatched: (address: string): unknown[] =>
      [...engine.rows()]
        .map(({ body }) => body as NftBody)
        .filter((body) => body.kind === 'element')
        .filter(({ key, value }) => key.length === 1 && key[0] === address && value !== undefined)
        .map(({ comment }) => comment),
  };
}

const elements = (rows: readonly string[]): string[] => rows.filter((key) => key.includes('element'));

test('of several pods with one address it is the one that was born with it, then the first by name', () => {
  const { store, turn, dispatched } = running({
    pods: [simple('x/a', '', '10.244.1.2'), simple('x/b', '', '10.244.1.2')],
  });
  assert.deepEqual(dispatched('10.244.1.2'), ['x/a', 'x/a']);
  const born = { pod: 'x/b', uid: '', containerId: 'c', ips: [ip('10.244.1.2')] };
  store.put('births', 'c', born);
  turn();
  assert.deepEqual(dispatched('10.244.1.2'), ['x/b', 'x/b'], 'the API still tells of its former owner');
  store.put('pods', 'x/b', simple('x/b', '', '10.244.1.2', { phase: 'Succeeded' }));
  turn();
  assert.deepEqual(dispatched('10.244.1.2'), ['x/a', 'x/a']);
  store.remove('pods', 'x/a');
  turn();
  assert.deepEqual(dispatched('10.244.1.2'), []);
});

test('an address that a pod was born with lends it no labels of whoever had it before, here or elsewhere', () => {
  const { store, engine, turn } = running({
    pods: [simple('x/a', '', '10.244.1.9'), simple('x/old', 'app=friend', '10.244.1.2')],
    peers: [simple('y/old', 'app=friend', '10.244.1.2')],
    netpols: [netpol('x/p', '', { ingress: [from(pods('', 'app=friend'))] })],
  });
  const friends = (): number =>
    [...engine.rows()].filter(({ key }) => /peers\S* 10.244.1.2$/.test(key)).length;
  assert.equal(friends(), 1);
  store.put('births', 'c', { pod: 'x/a', uid: '', containerId: 'c', ips: [ip('10.244.1.2')] });
  turn();
  assert.equal(friends(), 0);
  store.remove('births', 'c');
  turn();
  assert.equal(friends(), 1);
});

test('a pod that finishes leaves dispatch and sets; pods of the host network are in neither', () => {
  const { store, turn } = running({
    pods: [simple('x/a', 'app=a', '10.244.1.2'), simple('x/h', 'app=a', '10.0.0.1', { hostNetwork: true })],
    netpols: [netpol('x/p', '', { ingress: [from(own('app=a'))] })],
  });
  store.put('pods', 'x/a', simple('x/a', 'app=a', '10.244.1.2', { phase: 'Failed' }));
  const gone = elements(turn().rows);
  assert.equal(gone.length, 3, 'dispatch of both directions, and its place in the set');
  assert.ok(gone.every((key) => key.startsWith('- ') && key.includes('10.244.1.2')));
});

test('the cost of a change does not depend on how many policies there are', () => {
  for (const count of [2, 400]) {
    const namespaces = Array.from({ length: count }, (_, i) => `n${i}`);
    const { store, turn } = running({
      namespaces: namespaces.map((name) => named(name, `team=${name}`)),
      pods: namespaces.map((name, i) => simple(`${name}/a`, 'app=a', `10.244.${i >> 8}.${i & 255}`)),
      peers: namespaces.map((name, i) => simple(`${name}/b`, 'app=b', `10.245.${i >> 8}.${i & 255}`)),
      netpols: namespaces.map((name) =>
        netpol(`${name}/p`, 'app=a', { ingress: [from(own('app=b'), pods(`team=${name}`, 'app=c'))] }),
      ),
    });
    store.put('peers', 'n1/b', simple('n1/b', 'app=c', '10.245.0.1'));
    const { units, rows } = turn();
    assert.equal(units, 1, 'a pod: itself');
    assert.equal(rows.length, 2, 'out of one set and into another');
    store.put('namespaces', 'n1', named('n1', 'team=none'));
    assert.deepEqual(turn().units, 1, 'a namespace: the one pod of it that is in a set no more');
    store.put('namespaces', 'n1', named('n1', 'team=none other=label'));
    assert.deepEqual(turn().units, 0, 'labels that nobody asks for');
    store.put('networkPolicies', 'n1/p', netpol('n1/p', 'app=a', { ingress: [] }));
    assert.ok(turn().units <= 5, 'a policy: itself, its two sets, and who was in them');
    store.put('networkPolicies', 'n1/none', netpol('n1/none', 'app=none', { ingress: [] }));
    assert.equal(turn().units, 0, 'a policy that selects nobody here');
  }
});

test('rules of a policy that change touch no chain of pods; those of a ClusterNetworkPolicy only its tiers', () => {
  const { store, turn } = running({
    pods: ['a', 'b', 'c'].map((name, i) => simple(`x/${name}`, `app=${name}`, `10.244.1.${i + 2}`)),
    netpols: [netpol('x/p', '', { ingress: [] }), netpol('x/q', 'app=b', { ingress: [] })],
    cnps: [cnp('c', 'Admin', 1, { ingress: [DENY] })],
  });
  store.put('networkPolicies', 'x/p', netpol('x/p', '', { ingress: [ALL] }));
  assert.equal(turn().units, 1);
  store.put('clusterNetworkPolicies', 'c', cnp('c', 'Admin', 1, { ingress: [{ ...DENY, name: 'other' }] }));
  assert.equal(turn().units, 2, 'its problems, and the tier that two chains share');
});

test('a ClusterNetworkPolicy that comes writes no chain of NetworkPolicies; what it leaves open waits for it to be there', () => {
  const { store, engine, turn } = running({
    pods: ['a', 'b'].map((name, i) => simple(`x/${name}`, `app=${name}`, `10.244.1.${i + 2}`)),
    netpols: [netpol('x/p', '', { ingress: [] }), netpol('x/q', 'app=b', { ingress: [] })],
  });
  const chosen = (address: string) =>
    [...engine.rows()].find(({ key }) => key === `element policy-ingress-pods-v4 ${address}`)?.needs;
  store.put('clusterNetworkPolicies', 'c', cnp('c', 'Admin', 1, { ingress: [DENY] }));
  const { rows } = turn();
  assert.deepEqual(
    rows.filter((key) => !key.startsWith('element policy-ingress-pods-v4 ')),
    [
      'chain ingress-admin/c',
      'chain policy-denied-ingress/admin/c/0',
      'element policy-ingress-admin-v4 10.244.1.2',
      'element policy-ingress-admin-v4 10.244.1.3',
    ],
  );
  assert.deepEqual(
    chosen('10.244.1.3')?.map(({ key }) => key),
    ['chain ingress-of/x/p//x/q', 'element policy-ingress-admin-v4 10.244.1.3'],
  );
  store.put('clusterNetworkPolicies', 'd', cnp('d', 'Admin', 2, { ingress: [DENY] }));
  assert.equal(
    turn().rows.filter((key) => key.includes('-pods-v4 ') || key.includes('ingress-of')).length,
    0,
  );
});

test('policies with the same blocks share their set, which goes with the last of them', () => {
  const blocks = { ingress: [from(block('10.0.0.0/8', '10.1.0.0/16'))] };
  const { store, turn } = running({
    pods: [simple('x/a', '', '10.244.1.2')],
    netpols: [netpol('x/p', '', blocks)],
  });
  const sets = () => turn().rows.filter((key) => key.includes('blocks/'));
  store.put('networkPolicies', 'x/q', netpol('x/q', '', blocks));
  assert.deepEqual(sets(), []);
  store.remove('networkPolicies', 'x/p');
  assert.deepEqual(sets(), []);
  store.remove('networkPolicies', 'x/q');
  const gone = sets();
  assert.equal(gone.length, 9, 'the set and its eight prefixes');
  assert.equal(gone.at(-1), '- set blocks/10.0.0.0/8_except_10.1.0.0/16-v4');
});

test('a policy with problems is named, also where it selects nobody; then it says so', () => {
  const problems = ['spec.ingress[0].from[0].ipBlock.cidr: "nonsense" is not a prefix'];
  const { engine, store, turn } = running({
    pods: [simple('x/a', '', '10.244.1.2')],
    netpols: [netpol('x/p', '', { ingress: [ALL], problems }), netpol('y/p', '', { ingress: [], problems })],
    cnps: [cnp('c', 'Admin', 1, { ingress: [DENY], problems: ['spec.ingress[0].from[0]: unknown peer'] })],
  });
  assert.deepEqual(
    engine.problems().map(({ object, message }) => `${object}: ${message}`),
    [
      'ClusterNetworkPolicy c: spec.ingress[0].from[0]: unknown peer',
      `NetworkPolicy x/p: ${problems[0]}; it is closed: what cannot be understood allows nothing`,
      `NetworkPolicy y/p: ${problems[0]} (it selects no pod of this node)`,
    ],
  );
  const told = () => engine.problems().map(({ object, message }) => `${object}: ${message}`);
  store.remove('pods', 'x/a');
  store.remove('clusterNetworkPolicies', 'c');
  store.put('networkPolicies', 'y/p', netpol('y/p', '', { ingress: [] }));
  store.put('networkPolicies', 'y/q', netpol('y/q', '', { ingress: [], problems }));
  turn();
  assert.deepEqual(told(), [
    `NetworkPolicy x/p: ${problems[0]} (it selects no pod of this node)`,
    `NetworkPolicy y/q: ${problems[0]} (it selects no pod of this node)`,
  ]);
});

test('without nftables nothing is planned and an operator is told; switched off, nothing at all', () => {
  const { store, engine, turn } = running({ pods: [simple('x/a', '', '10.244.1.2')] });
  assert.ok([...engine.rows()].length > 0);
  store.put('kernel', 'kernel', { release: '6.1', missing: { nftables: 'no nf_tables' } });
  turn();
  assert.deepEqual([...engine.rows()], []);
  assert.match(engine.problems()[0]?.message ?? '', /not enforced: no nf_tables/);
  store.put('config', 'config', { ...CONFIG, policy: { ...CONFIG.policy, enabled: false } });
  turn();
  assert.deepEqual(engine.problems(), []);
});
