import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../../test/support/fake-clock.ts';
import { emptyStore } from '../../../test/support/plan-worlds.ts';
import { previewText } from '../../cli/policy.ts';
import type { PolicyPreview } from '../../model/api.ts';
import type { KubeClient } from '../../sources/kube/client.ts';
import type { Request } from '../http.ts';
import { worldOfManifests } from './folder.ts';
import { isPolicy, parseManifests, policiesIn, titleOf } from './manifests.ts';
import { policyTestRoutes, testPolicies } from './test-policies.ts';

const CLUSTER = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: sales}}
---
apiVersion: v1
kind: List
items:
  - kind: Deployment
    apiVersion: apps/v1
    metadata: {name: web, namespace: shop}
    spec:
      replicas: 3
      template:
        metadata: {labels: {app: web}}
        spec: {containers: [{name: web, ports: [{name: http, containerPort: 8080}]}]}
  - kind: CronJob
    apiVersion: batch/v1
    metadata: {name: report, namespace: shop}
    spec: {jobTemplate: {spec: {template: {metadata: {labels: {app: report}}, spec: {}}}}}
---
# nothing
---
apiVersion: v1
kind: Pod
metadata: {name: probe}
spec: {hostNetwork: true}
---
apiVersion: v1
kind: Pod
metadata: {name: gone, namespace: ops}
status: {phase: Succeeded, podIP: 10.9.9.9}
`;

const POLICY = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{ports: [{port: http}]}]
`;

test('a folder is the cluster that it would be', async () => {
  const world = worldOfManifests(await parseManifests(`${CLUSTER}---${POLICY}`, 'all.yaml'), new FakeClock());
  assert.deepEqual(
    [...world.pods.objects.values()].map(({ key, labels, ips }) => `${key} ${labels.app ?? '-'} ${ips[0]}`),
    [
      'shop/web-1 web 10.244.0.1',
      'shop/web-2 web 10.244.0.2',
      'shop/web-3 web 10.244.0.3',
      'shop/report-1 report 10.244.0.4',
      'shop/report-2 report 10.244.0.5',
      'default/probe - 10.244.0.6',
      'ops/gone - 10.9.9.9',
    ],
  );
  assert.deepEqual([...world.namespaces.objects.keys()].sort(), ['default', 'ops', 'shop']);
  assert.deepEqual(world.namespaces.objects.get('shop')?.labels, {
    team: 'sales',
    'kubernetes.io/metadata.name': 'shop',
  });
  assert.deepEqual([...world.networkPolicies.objects.keys()], ['shop/web']);
});

test('what would change, as people read it', async () => {
  const world = worldOfManifests(await parseManifests(CLUSTER, 'all.yaml'), new FakeClock());
  const result = await testPolicies(world, policiesIn(await parseManifests(POLICY, 'web.yaml')));
  assert.equal(
    previewText(result),
    `NetworkPolicy shop/web: new, selects shop/web-1 and 2 like it

closes shop/web-1 and 2 like it, shop/report-1 and 1 like it, outside (198.51.100.77) → shop/web-1 and 2 like it
    other TCP, UDP, SCTP, ICMP and others
    no ingress rule of NetworkPolicy shop/web allows it

1 to close, 0 to open, 0 that audit mode would tell`,
  );
});

test('policies that would be deleted are named by kind and name', async () => {
  const world = worldOfManifests(await parseManifests(`${CLUSTER}---${POLICY}`, 'all.yaml'), new FakeClock());
  const none = { networkPolicies: [], clusterNetworkPolicies: [] };
  const text = previewText(await testPolicies(world, none, ['NetworkPolicy/shop/web']));
  assert.match(text, /^NetworkPolicy shop\/web: deleted, selects shop\/web-1 and 2 like it\n\nopens /);
  for (const [word, words] of [
    ['networkpolicy/shop/gone', /^there is no networkpolicy\/shop\/gone/],
    ['shop/web', /names no policy/],
    ['networkpolicy/web', /names no policy/],
    ['clusternetworkpolicy/a/b', /names no policy/],
  ] as const)
    await assert.rejects(testPolicies(world, none, [word]), { code: 'bad-manifest', message: words });
});

test('long lists are cut for people', () => {
  const names = Array.from({ length: 12 }, (_, i) => `x/p${i}`);
  const change = {
    kind: 'opens',
    from: names,
    to: ['x/a'],
    traffic: ['everything'],
    because: 'why',
  } as const;
  const changes = Array.from({ length: 60 }, () => change);
  const text = previewText({
    policies: [],
    changes,
    omitted: 5,
    judged: 9,
    complete: false,
  } as PolicyPreview);
  assert.equal(text.match(/x\/p7 and 4 more → x\/a/g)?.length, 50);
  assert.match(text, /too much to judge[\s\S]*60 to open, .*; 15 of them are not shown/);
});

test('what could not all be judged is not said to change nothing', () => {
  const result: PolicyPreview = { policies: [], changes: [], omitted: 0, judged: 9, complete: false };
  assert.match(previewText(result), /too much to judge[\s\S]*Nothing of what was judged would open or close/);
  assert.match(previewText({ ...result, complete: true }), /^\s*Nothing would open or close\.$/);
});

test('faults name file, object and field', async () => {
  const bad = async (text: string) => policiesIn(await parseManifests(text, 'bad.yaml'));
  await assert.rejects(bad('a: [1\nb: 2'), { code: 'bad-manifest', message: /^bad\.yaml line \d: / });
  await assert.rejects(bad('just text'), {
    message: 'bad.yaml line 1: is no object of the Kubernetes API (it has no kind)',
  });
  await assert.rejects(bad(POLICY.replace('port: http', 'port: 70000').replace('{name: web,', '{')), {
    code: 'bad-manifest',
    message:
      /^bad\.yaml line 2: NetworkPolicy shop\/: metadata\.name: is missing\nbad\.yaml line 2: NetworkPolicy shop\/: spec\.ingress\[0\]\.ports\[0\]\.port: 70000/,
  });
  await assert.rejects(bad(POLICY.replace('networking.k8s.io/v1', 'crd.projectcalico.org/v1')), {
    message: /apiVersion: crd\.projectcalico\.org\/v1 is not networking\.k8s\.io\/v1$/,
  });
  const [other] = await parseManifests('kind: Service\nmetadata: {name: s}', 'x.yaml');
  assert.ok(other && !isPolicy(other));
  assert.equal(titleOf(other), 'Service s');
});

test('the running cluster: pods of other nodes are asked for when none are followed', async () => {
  const store = emptyStore();
  const podOf = (name: string, ip: string) => ({
    metadata: { name, namespace: 'shop', labels: { app: name } },
    spec: { nodeName: 'n2' },
    status: { phase: 'Running', podIP: ip },
  });
  let lists = 0;
  const client = {
    list: (_resource: unknown, _query: unknown, take: (raw: Record<string, unknown>) => void) => {
      lists++;
      take(podOf('web', '10.244.2.1'));
      take(podOf('db', '10.244.2.2'));
      return Promise.resolve({ resourceVersion: '1' });
    },
  } as unknown as Pick<KubeClient, 'list'>;
  const route = policyTestRoutes(store.world, client)['POST /v1/policy-test'];
  const ask = async (body: unknown) => {
    const request: Request = { query: new URLSearchParams(), body: () => Promise.resolve(body) };
    const reply = await route?.(request);
    return (reply as { json: PolicyPreview }).json;
  };
  const raws = (await parseManifests(POLICY, 'web.yaml')).map(({ raw }) => raw);
  const { changes, policies } = await ask({ manifests: raws });
  assert.deepEqual(policies[0]?.selects, ['shop/web']);
  assert.deepEqual(changes[0]?.from, ['shop/db', 'outside (198.51.100.77)']);
  assert.equal(lists, 1);
  await assert.rejects(ask({}), { code: 'bad-request' });
  await assert.rejects(ask({ manifests: [{ ...raws[0], apiVersion: 'v9' }] }), {
    code: 'bad-manifest',
    message: /^manifests\[0\]: NetworkPolicy shop\/web: apiVersion/,
  });
});
