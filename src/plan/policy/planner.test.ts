/** The law of planners for policy: after any history, the rows of a plan from scratch. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  assertStepwise,
  CONFIG,
  link,
  node,
  PREDECESSOR,
  plan,
  type Step,
} from '../../../test/support/plan-worlds.ts';
import {
  CLUSTER_POLICIES,
  CONTAINERS,
  POD_KEYS,
  POLICY_KEYS,
  START,
  step,
} from '../../../test/support/policy-histories.ts';
import {
  ALL,
  block,
  cnp,
  DENY,
  from,
  namespace,
  netpol,
  own,
  type PolicyContent,
  pod,
  pods,
  policyStore,
} from '../../../test/support/policy-worlds.ts';
import { fc, runs } from '../../../test/support/property.ts';
import type { Config } from '../../model/cluster/config.ts';
import { ip } from '../../model/net/ip.ts';
import type { NftBody } from '../../model/rows/nft.ts';
import { PlanEngine } from '../engine.ts';
import { tableView, walkPacket } from '../nft/walk/packets.ts';
import { transportsPlanner } from '../transports/planner.ts';
import { policyPlanner } from './planner.ts';

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
    { numRuns: runs(400) },
  );
});

test('what was built up is torn down to nothing', () => {
  const off: Config = { ...CONFIG, policy: { ...CONFIG.policy, enabled: false } };
  const tables: readonly [Step['source'], readonly string[]][] = [
    ['pods', POD_KEYS],
    ['networkPolicies', POLICY_KEYS],
    ['peers', POD_KEYS],
    ['clusterNetworkPolicies', CLUSTER_POLICIES],
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
    { numRuns: runs(100) },
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
    pods: [pod('x/a', '', '10.244.1.2'), pod('x/b', '', '10.244.1.2')],
  });
  assert.deepEqual(dispatched('10.244.1.2'), ['x/a', 'x/a']);
  const born = { pod: 'x/b', uid: '', containerId: 'c', ips: [ip('10.244.1.2')] };
  store.put('births', 'c', born);
  turn();
  assert.deepEqual(dispatched('10.244.1.2'), ['x/b', 'x/b'], 'the API still tells of its former owner');
  store.put('pods', 'x/b', pod('x/b', '', '10.244.1.2', { phase: 'Succeeded' }));
  turn();
  assert.deepEqual(dispatched('10.244.1.2'), ['x/a', 'x/a']);
  store.remove('pods', 'x/a');
  turn();
  assert.deepEqual(dispatched('10.244.1.2'), []);
});

test('an address that a pod was born with lends it no labels of whoever had it before, here or elsewhere', () => {
  const { store, engine, turn } = running({
    pods: [pod('x/a', '', '10.244.1.9'), pod('x/old', 'app=friend', '10.244.1.2')],
    peers: [pod('y/old', 'app=friend', '10.244.1.2')],
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
    pods: [pod('x/a', 'app=a', '10.244.1.2'), pod('x/h', 'app=a', '10.0.0.1', { hostNetwork: true })],
    netpols: [netpol('x/p', '', { ingress: [from(own('app=a'))] })],
  });
  store.put('pods', 'x/a', pod('x/a', 'app=a', '10.244.1.2', { phase: 'Failed' }));
  const gone = elements(turn().rows);
  assert.equal(gone.length, 3, 'dispatch of both directions, and its place in the set');
  assert.ok(gone.every((key) => key.startsWith('- ') && key.includes('10.244.1.2')));
});

test('the cost of a change does not depend on how many policies there are', () => {
  for (const count of [2, 400]) {
    const namespaces = Array.from({ length: count }, (_, i) => `n${i}`);
    const { store, turn } = running({
      namespaces: namespaces.map((name) => namespace(name, `team=${name}`)),
      pods: namespaces.map((name, i) => pod(`${name}/a`, 'app=a', `10.244.${i >> 8}.${i & 255}`)),
      peers: namespaces.map((name, i) => pod(`${name}/b`, 'app=b', `10.245.${i >> 8}.${i & 255}`)),
      netpols: namespaces.map((name) =>
        netpol(`${name}/p`, 'app=a', { ingress: [from(own('app=b'), pods(`team=${name}`, 'app=c'))] }),
      ),
    });
    store.put('peers', 'n1/b', pod('n1/b', 'app=c', '10.245.0.1'));
    const { units, rows } = turn();
    assert.equal(units, 1, 'a pod: itself');
    assert.equal(rows.length, 2, 'out of one set and into another');
    store.put('namespaces', 'n1', namespace('n1', 'team=none'));
    assert.deepEqual(turn().units, 1, 'a namespace: the one pod of it that is in a set no more');
    store.put('namespaces', 'n1', namespace('n1', 'team=none other=label'));
    assert.deepEqual(turn().units, 0, 'labels that nobody asks for');
    store.put('networkPolicies', 'n1/p', netpol('n1/p', 'app=a', { ingress: [] }));
    assert.ok(turn().units <= 5, 'a policy: itself, its two sets, and who was in them');
    store.put('networkPolicies', 'n1/none', netpol('n1/none', 'app=none', { ingress: [] }));
    assert.equal(turn().units, 0, 'a policy that selects nobody here');
  }
});

test('rules of a policy that change touch no chain of pods; those of a ClusterNetworkPolicy only its tiers', () => {
  const { store, turn } = running({
    pods: ['a', 'b', 'c'].map((name, i) => pod(`x/${name}`, `app=${name}`, `10.244.1.${i + 2}`)),
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
    pods: ['a', 'b'].map((name, i) => pod(`x/${name}`, `app=${name}`, `10.244.1.${i + 2}`)),
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
    pods: [pod('x/a', '', '10.244.1.2')],
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
    pods: [pod('x/a', '', '10.244.1.2')],
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
  const { store, engine, turn } = running({ pods: [pod('x/a', '', '10.244.1.2')] });
  assert.ok([...engine.rows()].length > 0);
  store.put('kernel', 'kernel', { release: '6.1', missing: { nftables: 'no nf_tables' } });
  turn();
  assert.deepEqual([...engine.rows()], []);
  assert.match(engine.problems()[0]?.message ?? '', /not enforced: no nf_tables/);
  store.put('config', 'config', { ...CONFIG, policy: { ...CONFIG.policy, enabled: false } });
  turn();
  assert.deepEqual(engine.problems(), []);
});

test('pods on a predecessor’s bridge: forged sources are closed there, and none of them counts as a node’s', () => {
  const { store, engine, turn } = running({ pods: [pod('x/a', '', '10.244.1.2')] });
  const others = plan([transportsPlanner], { nodes: [node(1), node(2)] }).rows.filter(({ key }) =>
    key.startsWith('element'),
  );
  const by = (hook: 'forward' | 'input', iif: string) => {
    const packet = {
      hook,
      iif,
      from: ip('10.0.0.2'),
      to: ip('10.0.0.1'),
      protocol: 'udp',
      dport: 8472,
    } as const;
    return walkPacket(tableView([...engine.rows(), ...others]), { ...packet, state: 'untracked' }).by;
  };
  const closed = 'no known pod has this address';
  assert.equal(by('forward', 'fairlead0'), closed);
  assert.notEqual(by('forward', 'kube-bridge'), closed);
  store.put('cni', PREDECESSOR.path, PREDECESSOR);
  turn();
  for (const hook of ['forward', 'input'] as const) assert.equal(by(hook, 'kube-bridge'), closed, hook);
  assert.match(by('input', 'eth0'), /^from node to node/);
  store.put('links', 'kube-bridge', link('kube-bridge', ['10.244.1.1/24'], { kind: 'bridge' }));
  store.remove('cni', PREDECESSOR.path);
  turn();
  for (const bridge of ['fairlead0', 'kube-bridge'])
    for (const hook of ['forward', 'input'] as const) assert.equal(by(hook, bridge), closed, bridge);
  store.remove('links', 'kube-bridge');
  turn();
  assert.equal(by('forward', 'fairlead0'), closed);
  assert.notEqual(by('forward', 'kube-bridge'), closed);
});
