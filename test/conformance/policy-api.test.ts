/**
 * The API of policies on the lab's server and the real one: what is filled in, what is refused and in which words, what kubectl shows; and
 * how our sources follow policies there, with the CustomResourceDefinition coming and going.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parse } from 'yaml';
import { systemClock } from '../../src/agent/clock.ts';
import { FollowPeers } from '../../src/agent/follow-peers.ts';
import { startApiServer } from '../../src/lab/apiserver/server.ts';
import { eventually } from '../../src/lab/client.ts';
import { WorldStore } from '../../src/model/world-store.ts';
import { kubeClient } from '../../src/sources/kube/client.ts';
import { clusterNetworkPolicies } from '../../src/sources/kube/clusternetworkpolicies.ts';
import { networkPolicies } from '../../src/sources/kube/networkpolicies.ts';
import { podsNotOn } from '../../src/sources/kube/pods.ts';
import { followed, startKubeSources } from '../../src/sources/kube/sources.ts';
import { seeded } from '../support/fake-clock.ts';
import { CONFIG } from '../support/plan-worlds.ts';
import { Kubectl, kubectls } from './kubectl.ts';
import { CLUSTER_REFUSED, from, ports, REFUSED } from './policy-refusals.ts';
import { RawApi } from './raw-api.ts';
import { startRealServer } from './real-server.ts';

interface Served {
  readonly url: string;
  readonly ca: string;
  readonly token: string;
  readonly powerless?: string;
  readonly kubeconfig: string;
  close(): Promise<void>;
}

const CRD = readFileSync(join(import.meta.dirname, '../support/clusternetworkpolicies.yaml'), 'utf8');
const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const CRD_PATH = `${CRDS}/clusternetworkpolicies.policy.networking.k8s.io`;
const NETPOLS = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies';
const CNPS = '/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies';

const folder = mkdtempSync(join(tmpdir(), 'fairlead-policy-api-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const SERVERS: Readonly<Record<string, () => Promise<Served>>> = {
  'the lab API server': async () => {
    const server = await startApiServer({ tls: true, token: 'lab' });
    const kubeconfig = join(folder, 'lab.kubeconfig');
    writeFileSync(kubeconfig, server.kubeconfig(), { mode: 0o600 });
    return { url: server.url, ca: server.ca ?? '', token: 'lab', kubeconfig, close: () => server.close() };
  },
  'kube-apiserver': () => startRealServer(),
};

for (const [name, start] of Object.entries(SERVERS)) {
  describe(name, () => {
    let served: Served | undefined;
    const server = (): Served => served ?? assert.fail('it did not start');
    before(async () => {
      served = await start();
    });
    after(() => served?.close());
    // In this order: the CRD is absent at first.
    sourceTests(server);
    if (name === 'kube-apiserver') rightsTest(server);
    networkPolicyTests(server);
    clusterPolicyTests(server);
    for (const [kubectl, command] of kubectls()) test(kubectl, () => kubectlShows(server(), command));
  });
}

const policy = (name: string, spec: unknown) => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name },
  spec,
});
const clusterPolicy = (name: string, spec: unknown) => ({
  apiVersion: 'policy.networking.k8s.io/v1alpha2',
  kind: 'ClusterNetworkPolicy',
  metadata: { name },
  spec,
});

/** An agent's view of policies and of other nodes' pods. */
function follow({ url, ca, token }: Served) {
  const client = kubeClient({ server: url, ca: { text: ca }, token: { text: token } });
  const store = new WorldStore(systemClock);
  const peers = new FollowPeers(store, store.world, systemClock);
  const lines: string[] = [];
  const note = (fields: object, words: string) => void lines.push(`${words} ${JSON.stringify(fields)}`);
  const log = { debug() {}, info: note, warn: note };
  const options = { client, sink: peers, clock: systemClock, random: seeded(1), log };
  peers.put('config', 'config', CONFIG);
  peers.ready('config');
  const sources = startKubeSources({ ...options, kinds: [networkPolicies, clusterNetworkPolicies] });
  peers.start(() => followed(podsNotOn('n1'), options));
  return {
    world: store.world,
    lines,
    close() {
      sources.close();
      peers.close();
      client.close();
    },
  };
}

function sourceTests(server: () => Served): void {
  test('policies are followed; the CRD comes, goes and comes; pods of other nodes while a policy exists', async () => {
    const api = new RawApi(server());
    const agent = follow(server());
    const { world } = agent;
    const names = () => [...world.clusterNetworkPolicies.objects.keys()].join(' ');
    try {
      await eventually(() => {
        for (const source of ['networkPolicies', 'clusterNetworkPolicies', 'peers'] as const)
          assert.ok(world[source].ready, `${source}: ${world[source].reason}`);
      });
      assert.equal(world.peers.objects.size, 0);
      // First, because they are kept for a minute after the last policy went.
      await peersFollow(api, world);
      const spec = { tier: 'Admin', priority: 1, subject: { namespaces: {} } };
      for (const round of [1, 2]) {
        assert.equal((await api.post(CRDS, parse(CRD))).status, 201);
        await eventually(async () => assert.equal((await api.get(CNPS)).status, 200));
        await api.post(CNPS, clusterPolicy(`p${round}`, spec));
        await eventually(() => assert.equal(names(), `p${round}`), 15_000);
        assert.equal((await api.delete(CRD_PATH)).status, 200);
        await eventually(() => assert.equal(names(), ''), 15_000);
        assert.ok(world.clusterNetworkPolicies.ready);
        await eventually(async () => assert.equal((await api.get(CNPS)).status, 404), 15_000);
      }
      const told = agent.lines.filter((line) => line.includes('clusterNetworkPolicies'));
      assert.ok(told.length <= 16, `a storm: ${told.join('\n')}`);
    } finally {
      agent.close();
    }
  });
}

/** The lab's server has no authorization. */
function rightsTest(server: () => Served): void {
  test('a missing right is named', async () => {
    const agent = follow({ ...server(), token: server().powerless ?? '' });
    const rights = {
      networkPolicies: 'networking.k8s.io',
      clusterNetworkPolicies: 'policy.networking.k8s.io',
    };
    try {
      for (const [source, group] of Object.entries(rights))
        await eventually(() => {
          const { ready, reason } = agent.world[source as 'networkPolicies'];
          assert.equal(ready, false);
          const kind = source.toLowerCase();
          assert.match(reason ?? '', new RegExp(`apiGroups: \\["${group}"\\], resources: \\["${kind}"\\]`));
        });
    } finally {
      agent.close();
    }
  });
}

async function peersFollow(api: RawApi, world: WorldStore['world']): Promise<void> {
  const pods = '/api/v1/namespaces/default/pods';
  await api.post('/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
  const pod = (name: string, nodeName?: string) => ({
    metadata: { name },
    spec: { nodeName, automountServiceAccountToken: false, containers: [{ name: 'c', image: 'none' }] },
  });
  for (const [name, node] of [
    ['here', 'n1'],
    ['there', 'n2'],
    ['nowhere', undefined],
  ] as const)
    assert.equal((await api.post(pods, pod(name, node))).status, 201);
  assert.equal(world.peers.objects.size, 0, 'no policy yet');
  await api.post(NETPOLS, policy('first', { podSelector: {} }));
  const keys = () => [...world.peers.objects.keys()].sort().join(' ');
  await eventually(() => assert.equal(keys(), 'default/nowhere default/there'));
  assert.ok(world.peers.ready);
  const metadata = { name: 'nowhere' };
  const target = { apiVersion: 'v1', kind: 'Node', name: 'n1' };
  const bound = await api.post(`${pods}/nowhere/binding`, {
    apiVersion: 'v1',
    kind: 'Binding',
    metadata,
    target,
  });
  assert.equal(bound.status, 201, bound.body.message);
  await eventually(() => assert.equal(keys(), 'default/there'));
  for (const name of ['here', 'there', 'nowhere'])
    await api.ask('DELETE', `${pods}/${name}`, { gracePeriodSeconds: 0 });
  await eventually(() => assert.equal(keys(), ''));
  await api.delete(`${NETPOLS}/first`);
}

function networkPolicyTests(server: () => Served): void {
  test('NetworkPolicy: refused, in these words', async () => {
    const api = new RawApi(server());
    for (const [spec, words] of REFUSED) {
      const { status, body } = await api.post(NETPOLS, policy('bad', spec));
      const expected = `NetworkPolicy.networking.k8s.io "bad" is invalid: ${words}`;
      assert.deepEqual([status, body.message?.slice(0, expected.length)], [422, expected]);
    }
  });

  test('NetworkPolicy: what the server fills in; unknown fields are left out with a warning', async () => {
    const api = new RawApi(server());
    for (const [spec, kept] of [
      [undefined, { podSelector: {}, policyTypes: ['Ingress'] }],
      [{ egress: [{}] }, { podSelector: {}, egress: [{}], policyTypes: ['Ingress', 'Egress'] }],
      [
        ports({ port: 80 }),
        { podSelector: {}, ingress: [{ ports: [{ protocol: 'TCP', port: 80 }] }], policyTypes: ['Ingress'] },
      ],
      [
        { policyTypes: ['Egress'], hosts: [] },
        { podSelector: {}, policyTypes: ['Egress'] },
      ],
      [{ policyTypes: ['Ingress', 'Ingress'] }, { podSelector: {}, policyTypes: ['Ingress', 'Ingress'] }],
    ] as const) {
      const { status, body, headers } = await api.post(NETPOLS, policy('good', spec));
      assert.deepEqual([status, body.spec], [201, kept]);
      if (spec && 'hosts' in spec) assert.match(String(headers.warning), /unknown field \\"spec.hosts\\"/);
      assert.equal((await api.delete(`${NETPOLS}/good`)).status, 200);
    }
  });

  test('NetworkPolicy: an update is checked like a creation', async () => {
    const api = new RawApi(server());
    await api.post(NETPOLS, policy('changed', {}));
    const { status } = await api.ask('PUT', `${NETPOLS}/changed`, policy('changed', from({})));
    assert.equal(status, 422);
    await api.delete(`${NETPOLS}/changed`);
  });
}

const condition = (type: string) => ({
  type,
  status: 'True',
  reason: 'Tried',
  message: '',
  lastTransitionTime: '2026-01-01T00:00:00Z',
});

const GOOD = {
  tier: 'Baseline',
  priority: 1000,
  subject: { pods: { namespaceSelector: {}, podSelector: { matchLabels: { app: 'web' } } } },
  ingress: [
    {
      name: 'web',
      action: 'Accept',
      from: [{ namespaces: { matchExpressions: [{ key: 'team', operator: 'In', values: ['a'] }] } }],
      protocols: [
        { destinationNamedPort: 'web' },
        { udp: { destinationPort: { range: { start: 1, end: 9 } } } },
      ],
    },
  ],
  egress: [
    { action: 'Deny', to: [{ networks: ['0.0.0.0/0', '::/0'] }] },
    { action: 'Pass', to: [{ nodes: {} }] },
    { action: 'Accept', to: [{ domainNames: ['*.example.com'] }] },
  ],
};

function clusterPolicyTests(server: () => Served): void {
  test('ClusterNetworkPolicy: refused, with these causes; kept as sent', async () => {
    const api = new RawApi(server());
    await api.post(CRDS, parse(CRD));
    await eventually(async () => assert.equal((await api.get(CNPS)).status, 200), 15_000);
    for (const [spec, words] of CLUSTER_REFUSED) {
      const { status, body } = await api.post(CNPS, clusterPolicy('bad', spec));
      const [cause] = body.details?.causes ?? [];
      assert.deepEqual([status, `${cause?.field}: ${cause?.message}`.slice(0, words.length)], [422, words]);
    }
    const { status, body } = await api.post(CNPS, clusterPolicy('good', GOOD));
    assert.deepEqual([status, body.spec], [201, GOOD]);
    const twice = await api.ask('PUT', `${CNPS}/good/status`, {
      ...body,
      status: { conditions: [condition('Valid'), condition('Other'), condition('Valid')] },
    });
    const [cause] = twice.body.details?.causes ?? [];
    assert.deepEqual(
      [twice.status, cause?.field, cause?.message],
      [422, 'status.conditions[2]', 'Duplicate value: {"type":"Valid"}'],
    );
    await api.delete(`${CNPS}/good`);
  });
}

async function kubectlShows(served: Served, command: readonly string[]): Promise<void> {
  const k = new Kubectl(command, served.kubeconfig, mkdtempSync(join(folder, 'home-')));
  const spec = {
    podSelector: { matchLabels: { app: 'web' } },
    ingress: [
      {
        from: [{ podSelector: {} }, { ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } }],
        ports: [{ port: 80, endPort: 90 }],
      },
    ],
    policyTypes: ['Ingress', 'Egress'],
  };
  assert.match(
    await k.ok('apply -f -', policy('web', spec)),
    /networkpolicy\.networking\.k8s\.io\/web created/,
  );
  // kubectl compares with what it sent, and the server filled in a protocol.
  assert.match(await k.ok('apply -f -', policy('web', spec)), /web configured/);
  assert.match(await k.ok('get netpol'), /^NAME +POD-SELECTOR +AGE\nweb +app=web +\S+\n$/);
  const shown = await k.ok('describe netpol web');
  for (const words of [
    /PodSelector: +app=web/,
    /To Port( Range)?: 80-90\/TCP/,
    /CIDR: 10\.0\.0\.0\/8/,
    /Except: 10\.1\.0\.0\/16/,
    /<none> \(Selected pods are isolated for egress connectivity\)/,
    /Policy Types: Ingress, Egress/,
  ])
    assert.match(shown, words);
  assert.match(await k.refused('apply -f -', policy('bad', from({}))), /must specify a peer/);
  await k.ok('delete netpol web');

  assert.match(
    await k.ok('apply -f -', CRD),
    /clusternetworkpolicies\.policy\.networking\.k8s\.io (configured|unchanged|created)/,
  );
  await eventually(() => k.ok('get cnp'), 15_000);
  assert.match(await k.ok('apply -f -', clusterPolicy('all', GOOD)), /all created/);
  assert.match(await k.ok('get cnp'), /^NAME +TIER +PRIORITY +AGE\nall +Baseline +1000 +\S+\n$/);
  assert.match(await k.ok('describe cnp all'), /Destination Named Port: +web/);
  assert.match(await k.ok('get cnp all -o jsonpath={.spec.egress[0].to[0].networks[1]}'), /^::\/0$/);
  await k.ok('delete cnp all');
}
