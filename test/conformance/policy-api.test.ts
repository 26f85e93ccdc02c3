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
import { CONFIG } from '../support/plan-worlds.ts';
import { Kubectl, kubectls } from './kubectl.ts';
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
  const options = { client, sink: peers, clock: systemClock, random: Math.random, log };
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

const from = (peer: unknown) => ({ podSelector: {}, ingress: [{ from: [peer] }] });
const ports = (port: unknown) => ({ podSelector: {}, ingress: [{ ports: [port] }] });
const block = (cidr: string, ...except: string[]) => from({ ipBlock: { cidr, except } });
const chosen = (podSelector: unknown) => ({ podSelector });
const expression = (key: string, operator: string, ...values: string[]) =>
  chosen({ matchExpressions: [{ key, operator, values }] });
const NO_CIDR = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';
const SUBSET = 'must be a strict subset of `cidr`';
const CIDR = 'spec.ingress[0].from[0].ipBlock.cidr: ';
const EXCEPT = 'spec.ingress[0].from[0].ipBlock.except[0]: ';
const PORT = 'spec.ingress[0].ports[0]';
const EXPRESSION = 'spec.podSelector.matchExpressions[0]';
const LABEL = 'a valid label must be an empty string or consist of';

/** What is sent, and how the refusal begins, after the words "is invalid". */
const REFUSED: readonly (readonly [unknown, string])[] = [
  [
    { policyTypes: ['Sideways'] },
    'spec.policyTypes[0]: Unsupported value: "Sideways": supported values: "Ingress", "Egress"',
  ],
  [
    { policyTypes: ['Ingress', 'Egress', 'Ingress'] },
    'spec.policyTypes: Invalid value: ["Ingress","Egress","Ingress"]: may not specify more than two policyTypes',
  ],
  [from({}), 'spec.ingress[0].from[0]: Required value: must specify a peer'],
  [{ egress: [{ to: [{}] }] }, 'spec.egress[0].to[0]: Required value: must specify a peer'],
  [
    from({ ipBlock: { cidr: '10.0.0.0/8' }, podSelector: {} }),
    'spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer',
  ],
  [from({ ipBlock: {} }), `${CIDR}Required value`],
  [
    block('10.0.0.1/8'),
    `${CIDR}Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix length`,
  ],
  [block('x'), `${CIDR}Invalid value: "x": ${NO_CIDR}`],
  [block('10.0.0.1'), `${CIDR}Invalid value: "10.0.0.1": ${NO_CIDR}`],
  [
    block('::ffff:10.0.0.0/104'),
    `${CIDR}Invalid value: "::ffff:10.0.0.0/104": must not have an IPv4-mapped IPv6 address`,
  ],
  [
    block('010.0.0.0/8'),
    `${CIDR}Invalid value: "010.0.0.0/8": must not have leading 0s in IP or prefix length`,
  ],
  [block('10.1.0.0/16', '10.2.0.0/24'), `${EXCEPT}Invalid value: "10.2.0.0/24": ${SUBSET}`],
  [block('10.1.0.0/16', '10.1.0.0/16'), `${EXCEPT}Invalid value: "10.1.0.0/16": ${SUBSET}`],
  [block('0.0.0.0/0', '::/1'), `${EXCEPT}Invalid value: "::/1": ${SUBSET}`],
  [block('0.0.0.0/0', 'x'), `${EXCEPT}Invalid value: "x": ${NO_CIDR}`],
  [
    ports({ port: 90, endPort: 80 }),
    `${PORT}.endPort: Invalid value: 90: must be greater than or equal to \`port\``,
  ],
  [
    ports({ port: 'web', endPort: 80 }),
    `${PORT}.endPort: Invalid value: 80: may not be specified when \`port\` is non-numeric`,
  ],
  [
    ports({ endPort: 80 }),
    `${PORT}.endPort: Invalid value: 80: may not be specified when \`port\` is not specified`,
  ],
  [
    ports({ port: 1, endPort: 65536 }),
    `${PORT}.endPort: Invalid value: 65536: must be between 1 and 65535, inclusive`,
  ],
  [ports({ port: 0 }), `${PORT}.port: Invalid value: 0: must be between 1 and 65535, inclusive`],
  [ports({ port: '80' }), `${PORT}.port: Invalid value: "80": must contain at least one letter (a-z)`],
  [ports({ port: 'Web' }), `${PORT}.port: Invalid value: "Web": must contain only alpha-numeric characters`],
  [
    ports({ port: 'a'.repeat(16) }),
    `${PORT}.port: Invalid value: "aaaaaaaaaaaaaaaa": must be no more than 15 characters`,
  ],
  [
    ports({ protocol: 'ICMP' }),
    `${PORT}.protocol: Unsupported value: "ICMP": supported values: "TCP", "UDP", "SCTP"`,
  ],
  [expression('a', 'Gt', '1'), `${EXPRESSION}.operator: Invalid value: "Gt": not a valid selector operator`],
  [
    expression('a', 'In'),
    `${EXPRESSION}.values: Required value: must be specified when \`operator\` is 'In' or 'NotIn'`,
  ],
  [
    expression('a', 'Exists', 'x'),
    `${EXPRESSION}.values: Forbidden: may not be specified when \`operator\` is 'Exists' or 'DoesNotExist'`,
  ],
  [expression('a b', 'Exists'), `${EXPRESSION}.key: Invalid value: "a b": name part must consist of`],
  [expression('a', 'In', 'x', '-'), `${EXPRESSION}.values[1]: Invalid value: "-": ${LABEL}`],
  [chosen({ matchLabels: { a: '-' } }), `spec.podSelector.matchLabels: Invalid value: "-": ${LABEL}`],
  [
    from({ namespaceSelector: { matchLabels: { a: 'b c' } } }),
    `spec.ingress[0].from[0].namespaceSelector.matchLabels: Invalid value: "b c": ${LABEL}`,
  ],
  [
    { ingress: [{ from: [{}], ports: [{ endPort: 1 }] }] },
    `[${PORT}.endPort: Invalid value: 1: may not be specified when \`port\` is not specified, spec.ingress[0].from[0]: Required value`,
  ],
];

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

const base = { tier: 'Admin', priority: 5, subject: { namespaces: {} } };
const to = (peer: unknown) => ({ ...base, egress: [{ action: 'Deny', to: [peer] }] });
const protocol = (one: unknown) => ({
  ...base,
  egress: [{ action: 'Deny', to: [{ namespaces: {} }], protocols: [one] }],
});
const tcp = (destinationPort: unknown) => protocol({ tcp: { destinationPort } });

/** What is sent, and the first cause. CEL rules are not the lab's. */
const CLUSTER_REFUSED: readonly (readonly [unknown, string])[] = [
  [
    { ...base, tier: 'Middle' },
    'spec.tier: Unsupported value: "Middle": supported values: "Admin", "Baseline"',
  ],
  [
    { ...base, priority: 1001 },
    'spec.priority: Invalid value: 1001: spec.priority in body should be less than or equal to 1000',
  ],
  [
    { ...base, priority: -1 },
    'spec.priority: Invalid value: -1: spec.priority in body should be greater than or equal to 0',
  ],
  [{ tier: 'Admin', priority: 1 }, 'spec.subject: Required value'],
  [
    { ...base, subject: {} },
    'spec.subject: Invalid value: 0: spec.subject in body should have at least 1 properties',
  ],
  [
    { ...base, subject: { serviceAccounts: {} } },
    'spec.subject: Invalid value: 0: spec.subject in body should have at least 1 properties',
  ],
  [
    { ...base, subject: { namespaces: {}, pods: { podSelector: {} } } },
    'spec.subject: Too many: 2: must have at most 1 item',
  ],
  [
    to({}),
    'spec.egress[0].to[0]: Invalid value: 0: spec.egress[0].to[0] in body should have at least 1 properties',
  ],
  [to({ namespaces: {}, nodes: {} }), 'spec.egress[0].to[0]: Too many: 2: must have at most 1 item'],
  [
    { ...base, egress: [{ action: 'Deny', to: [] }] },
    'spec.egress[0].to: Invalid value: 0: spec.egress[0].to in body should have at least 1 items',
  ],
  [
    to({ networks: ['10.0.0.0/8', '::/0', '10.0.0.0/8'] }),
    'spec.egress[0].to[0].networks[2]: Duplicate value: "10.0.0.0/8"',
  ],
  [
    { ...base, egress: [{ action: 'Log', to: [{ namespaces: {} }] }] },
    'spec.egress[0].action: Unsupported value: "Log": supported values: "Accept", "Deny", "Pass"',
  ],
  [tcp({ number: 0 }), 'spec.egress[0].protocols[0].tcp.destinationPort.number: Invalid value: 0: '],
  [
    tcp({ number: 1, range: { start: 1, end: 2 } }),
    'spec.egress[0].protocols[0].tcp.destinationPort: Too many: 2: must have at most 1 item',
  ],
  [
    protocol({ icmp: {} }),
    'spec.egress[0].protocols[0]: Invalid value: 0: spec.egress[0].protocols[0] in body should have at least 1 properties',
  ],
];

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
