import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONFIG, emptyStore, node } from '../../../../test/support/plan-worlds.ts';
import type { PolicyPreview } from '../../../model/api.ts';
import type { Pod } from '../../../model/cluster/pod.ts';
import type { ClusterNetworkPolicy, NetworkPolicy, PolicyRule } from '../../../model/cluster/policy.ts';
import { EVERYTHING, selector } from '../../../model/cluster/selector.ts';
import { cidr } from '../../../model/net/cidr.ts';
import { ip } from '../../../model/net/ip.ts';
import type { World } from '../../../model/world.ts';
import type { WorldStore } from '../../../model/world-store.ts';
import { type GivenPolicies, preview } from './preview.ts';

const is = (key: string, value: string) => selector([{ key, operator: 'In', values: [value] }]);

let last = 0;
function pod(key: string, labels: Pod['labels'], changes: Partial<Pod> = {}): Pod {
  const [namespace = '', name = ''] = key.split('/');
  last++;
  return {
    key,
    namespace,
    name,
    uid: key,
    node: 'n1',
    ips: [ip(`10.244.${last >> 8}.${last & 255}`), ip(`fd00:244:1::${last.toString(16)}`)],
    hostNetwork: false,
    phase: 'Running',
    labels,
    ports: [],
    ...changes,
  };
}

function storeOf(...policies: readonly NetworkPolicy[]): WorldStore {
  const store = emptyStore();
  store.put('config', 'config', CONFIG);
  store.put('nodes', 'n1', node(1));
  last = 10;
  const web = { ports: [{ name: 'web', protocol: 'TCP', port: 8080 }] } as const;
  const pods = [
    pod('shop/web-1', { app: 'web', hash: '1' }, web),
    pod('shop/web-2', { app: 'web', hash: '2' }, web),
    pod('shop/db', { app: 'db' }),
    pod('other/client', { app: 'client' }),
  ];
  for (const one of pods) store.put(one.name === 'db' ? 'peers' : 'pods', one.key, one);
  for (const name of ['shop', 'other'])
    store.put('namespaces', name, { name, uid: name, labels: { name }, audit: false });
  for (const policy of policies) store.put('networkPolicies', policy.key, policy);
  return store;
}

function policy(key: string, changes: Partial<NetworkPolicy>): NetworkPolicy {
  const [namespace = '', name = ''] = key.split('/');
  return { key, namespace, name, uid: key, pods: EVERYTHING, audit: false, problems: [], ...changes };
}

function run(world: World, given: Partial<GivenPolicies>): PolicyPreview {
  const steps = preview(world, { networkPolicies: [], clusterNetworkPolicies: [], ...given });
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

const lines = ({ changes }: PolicyPreview): string[] =>
  changes.map(
    ({ kind, from, to, traffic, because }) =>
      `${kind} ${from.join(', ')} → ${to.join(', ')}: ${traffic.join(', ')} (${because})`,
  );

const fromWeb: PolicyRule = {
  peers: [{ kind: 'pods', pods: is('app', 'web') }],
  ports: [{ protocol: 'TCP', from: 5432, to: 5432 }],
};
const DB = policy('shop/db', { pods: is('app', 'db'), ingress: [fromWeb] });

test('what a new policy closes, pods of one kind once, and what stays is not told', () => {
  const result = run(storeOf().world, { networkPolicies: [DB] });
  assert.deepEqual(lines(result), [
    'closes shop/web-1 and 1 like it → shop/db: other TCP, UDP, SCTP, ICMP and others (no ingress rule of NetworkPolicy shop/db allows it)',
    'closes other/client, outside (198.51.100.77) → shop/db: everything (no ingress rule of NetworkPolicy shop/db allows it)',
  ]);
  assert.deepEqual(result.policies, [
    { name: 'NetworkPolicy shop/db', action: 'create', selects: ['shop/db'] },
  ]);
});

test('it is judged as if policies were enforced, whatever the setting', () => {
  const store = storeOf();
  store.put('config', 'config', { ...CONFIG, policy: { ...CONFIG.policy, enabled: false } });
  assert.equal(run(store.world, { networkPolicies: [DB] }).changes.length, 2);
});

test('what a change opens, and by which rule; an equal policy changes nothing', () => {
  const { world } = storeOf(DB);
  assert.deepEqual(run(world, { networkPolicies: [{ ...DB, uid: '' }] }), {
    policies: [{ name: 'NetworkPolicy shop/db', action: 'unchanged', selects: ['shop/db'] }],
    changes: [],
    omitted: 0,
    judged: 0,
    complete: true,
  });
  const ports = [{ protocol: 'TCP', from: 5000, to: 5999 }] as const;
  const wider = { ...DB, ingress: [fromWeb, { peers: 'any', ports }] } as const;
  const result = run(world, { networkPolicies: [wider] });
  assert.equal(result.policies[0]?.action, 'replace');
  assert.deepEqual(lines(result), [
    'opens shop/web-1 and 1 like it → shop/db: TCP 5000-5431, TCP 5433-5999 (allowed by ingress[1] of NetworkPolicy shop/db)',
    'opens other/client, outside (198.51.100.77) → shop/db: TCP 5000-5431, TCP 5432, TCP 5433-5999 (allowed by ingress[1] of NetworkPolicy shop/db)',
  ]);
});

test('blocks: an address for each part of the outside, also behind exceptions, both families', () => {
  const block = { kind: 'block', cidr: cidr('192.0.2.0/24'), except: [cidr('192.0.2.0/25')] } as const;
  const egress = [{ peers: [block], ports: 'any' }] as const;
  const result = run(storeOf().world, {
    networkPolicies: [policy('other/out', { egress })],
  });
  const [closed] = result.changes;
  assert.deepEqual(closed?.from, ['other/client']);
  assert.deepEqual(closed?.to, [
    'shop/web-1 and 1 like it',
    'shop/db',
    'outside (198.51.100.77)',
    'outside 192.0.2.0/25 (192.0.2.77)',
  ]);
  assert.equal(result.changes.length, 1, 'the rest of the block stays open');
});

test('traffic among pods of one kind, ports by name, ClusterNetworkPolicies, Nodes', () => {
  const policyOfNodes: ClusterNetworkPolicy = {
    name: 'fence',
    uid: '',
    tier: 'Admin',
    priority: 5,
    subject: { namespaces: is('name', 'shop'), pods: is('app', 'web') },
    ingress: [],
    egress: [
      { name: '', action: 'Deny', peers: [{ kind: 'nodes', nodes: EVERYTHING }], ports: 'any' },
      {
        name: 'web',
        action: 'Deny',
        peers: [{ kind: 'pods', namespaces: EVERYTHING, pods: is('app', 'web') }],
        ports: [{ protocol: 'TCP', name: 'web' }],
      },
    ],
    audit: false,
    problems: [],
  };
  const { world } = storeOf();
  assert.deepEqual(lines(run(world, { clusterNetworkPolicies: [policyOfNodes] })), [
    'closes shop/web-1 and 1 like it → shop/web-1 and 1 like it: TCP 8080 (denied by egress[1] "web" of ClusterNetworkPolicy fence (Admin tier, priority 5))',
    'closes shop/web-1 and 1 like it → Node n1: everything (denied by egress[0] of ClusterNetworkPolicy fence (Admin tier, priority 5))',
  ]);
  const [first, ...rest] = lines(run(world, { clusterNetworkPolicies: [{ ...policyOfNodes, audit: true }] }));
  assert.match(
    first ?? '',
    /^audits shop\/web-1 and 1 like it → shop\/web-1 and 1 like it: TCP 8080 \(allowed, because audited: denied by/,
  );
  assert.equal(rest.length, 1);
});

test('the first policy of a namespace ends its default deny', () => {
  const store = storeOf();
  store.put('config', 'config', { ...CONFIG, policy: { ...CONFIG.policy, defaultDeny: 'ingress' } });
  const elsewhere = policy('shop/none', { pods: is('app', 'nobody'), egress: [] });
  const opened = run(store.world, { networkPolicies: [elsewhere] }).changes;
  assert.deepEqual(new Set(opened.map(({ kind }) => kind)), new Set(['opens']));
  assert.ok(opened.some(({ to }) => to.includes('shop/db')));
  assert.ok(opened.every(({ to }) => !to.includes('other/client')));
});

test('what a deletion opens; the last policy of a namespace begins its default deny again', () => {
  const store = storeOf(DB);
  const deleted = [DB];
  const result = run(store.world, { deleted });
  assert.deepEqual(lines(result), [
    'opens shop/web-1 and 1 like it → shop/db: other TCP, UDP, SCTP, ICMP and others (nothing selects it for ingress any more)',
    'opens other/client, outside (198.51.100.77) → shop/db: everything (nothing selects it for ingress any more)',
  ]);
  assert.deepEqual(result.policies, [
    { name: 'NetworkPolicy shop/db', action: 'delete', selects: ['shop/db'] },
  ]);
  assert.ok(store.world.networkPolicies.objects.has('shop/db'), 'it is only foretold');
  const instead = { ...DB, key: 'shop/same', name: 'same' };
  assert.deepEqual(lines(run(store.world, { networkPolicies: [instead], deleted })), []);
  store.put('config', 'config', { ...CONFIG, policy: { ...CONFIG.policy, defaultDeny: 'ingress' } });
  const closed = run(store.world, { deleted }).changes;
  assert.deepEqual(new Set(closed.map(({ kind }) => kind)), new Set(['closes']));
  assert.ok(closed.some(({ to }) => to.some((name) => name.startsWith('shop/web'))));
});

test('10,000 pods that differ are judged up to a limit, letting others run; alike ones at once', () => {
  const store = storeOf();
  for (let i = 0; i < 10_000; i++) {
    const labels = { app: `a${i % 20}`, hash: `${i}` };
    const ips = [ip(`10.${10 + (i >> 8)}.0.${i & 255}`)];
    store.put('peers', `ns${i % 100}/p${i}`, pod(`ns${i % 100}/p${i}`, labels, { ips }));
  }
  const given = (key: string, value: string): GivenPolicies => ({
    networkPolicies: [
      policy('ns3/p', { ingress: [{ peers: [{ kind: 'pods', pods: is(key, value) }], ports: 'any' }] }),
    ],
    clusterNetworkPolicies: [],
  });
  const judge = (policies: GivenPolicies) => {
    const started = process.cpuUsage();
    const steps = preview(store.world, policies, 20_000);
    let yields = 0;
    let step = steps.next();
    for (; !step.done; step = steps.next()) yields++;
    return { ...step.value, yields, ms: process.cpuUsage(started).user / 1000 };
  };
  const alike = judge(given('app', 'a1'));
  assert.ok(alike.complete && alike.changes.length > 0 && alike.ms < 2_000, `${alike.ms} ms`);
  const all = judge(given('hash', '7'));
  assert.ok(!all.complete && all.yields >= 40 && all.ms < 4_000, `${all.ms} ms`);
});
