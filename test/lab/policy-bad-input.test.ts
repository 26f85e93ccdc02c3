/** Policies with nonsense in them, and odd ones that are right: each is about its own pods only, and the nonsense is named everywhere. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, Lab } from '../../src/lab/client.ts';
import type { ProbeProtocol } from '../../src/lab/prober/types.ts';
import type { Problem } from '../../src/model/problem.ts';
import { CLUSTER_POLICIES, installClusterPolicyCrd } from '../support/policy/crd.ts';
import { agentsReady } from './support/expect.ts';

const POLICIES = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies';
const DEFINITION =
  '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/clusternetworkpolicies.policy.networking.k8s.io';
const PODS = '/api/v1/namespaces/default/pods';

/** `subject` is whom the policies under test are about, `guarded` has a policy that must stay right. */
const [SUBJECT, GUARDED, FRIEND, STRANGER] = [
  'default/subject',
  'default/guarded',
  'default/friend',
  'default/stranger',
];

let lab: Lab;
before(async () => {
  lab = await Lab.start({ nodes: 2, pods: 0 });
  await agentsReady(lab);
  await lab.addPod('subject', 'n1', { app: 'subject' });
  await lab.addPod('guarded', 'n1', { app: 'guarded' });
  await lab.addPod('friend', 'n2', { role: 'friend' });
  await lab.addPod('stranger', 'n2', { role: 'stranger' });
  await lab.api.create(
    POLICIES,
    networkPolicy('guard', {
      podSelector: { matchLabels: { app: 'guarded' } },
      ingress: [{ from: [{ podSelector: { matchLabels: { role: 'friend' } } }] }],
    }),
  );
  await othersRight();
});
after(() => lab.close());

function networkPolicy(name: string, spec: object) {
  return { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name }, spec };
}

function clusterPolicy(name: string, spec: object) {
  return {
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    kind: 'ClusterNetworkPolicy',
    metadata: { name },
    spec: {
      tier: 'Admin',
      priority: 5,
      subject: { pods: { namespaceSelector: {}, podSelector: { matchLabels: { app: 'subject' } } } },
      ...spec,
    },
  };
}

type Path = readonly [from: string, to: string, passes: boolean, protocol?: ProbeProtocol, port?: number];

/** In both families. */
async function probed(...paths: readonly Path[]): Promise<void> {
  const asked = paths.flatMap(([from, to, passes, protocol = 'tcp', port = 8080]) =>
    (['ipv4', 'ipv6'] as const).map((family) => ({ from, to, protocol, port, family, passes })),
  );
  const results = await lab.ask(asked.map(({ passes: _, ...rest }) => ({ ...rest, timeout: 400 })));
  const wrong = results.flatMap(({ verdict }, i) => {
    const { from, to, family, passes, port } = asked[i]!;
    return (verdict === 'allowed') === passes ? [] : [`${from} → ${to} ${port} ${family}: ${verdict}`];
  });
  assert.deepEqual(wrong, []);
}

const OTHERS: readonly Path[] = [
  [FRIEND, GUARDED, true],
  [STRANGER, GUARDED, false],
  [SUBJECT, GUARDED, false],
  [FRIEND, STRANGER, true],
  [STRANGER, FRIEND, true],
];
const othersRight = () => eventually(() => probed(...OTHERS));

const problems = async (): Promise<readonly Problem[]> => (await lab.agent('n1')).problems;

async function events(): Promise<readonly string[]> {
  const found = await lab.api.list<{ reason?: string; note?: string; regarding?: { kind?: string } }>(
    '/apis/events.k8s.io/v1/events',
  );
  return found.map(({ reason, note, regarding }) => `${reason} of ${regarding?.kind}: ${note}`);
}

const logOf = (node: string) => readFileSync(join(lab.dir, 'nodes', node, 'agent.log'), 'utf8');

interface Bad {
  readonly what: string;
  readonly path: string;
  readonly object: ReturnType<typeof networkPolicy>;
  /** Object, field and fault, as told. */
  readonly told: RegExp;
  /** The lab's API server lets it through: the real definition refuses it in CEL. */
  readonly passesServer?: boolean;
  /** What of the subject's own traffic passes meanwhile. */
  readonly meanwhile: readonly Path[];
}

const CLOSED: readonly Path[] = [
  [FRIEND, SUBJECT, false],
  [STRANGER, SUBJECT, false],
  // What it sends is another direction.
  [SUBJECT, FRIEND, true],
];

const subject = { podSelector: { matchLabels: { app: 'subject' } } };
const badRule = (name: string, rule: object, told: RegExp): Bad => ({
  what: name,
  path: POLICIES,
  object: networkPolicy(name, { ...subject, policyTypes: ['Ingress'], ingress: [{}, rule] }),
  told,
  meanwhile: CLOSED,
});

const BAD: readonly Bad[] = [
  badRule(
    'except-outside',
    { from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['192.168.0.0/16'] } }] },
    /^NetworkPolicy default\/except-outside: spec\.ingress\[1\]\.from\[0\]\.ipBlock\.except\[0\]: 192\.168\.0\.0\/16 is not a part of 10\.0\.0\.0\/8/,
  ),
  badRule(
    'end-below',
    { ports: [{ port: 90, endPort: 80 }] },
    /^NetworkPolicy default\/end-below: spec\.ingress\[1\]\.ports\[0\]\.endPort: 80 is below the port 90/,
  ),
  badRule(
    'empty-peer',
    { from: [{}] },
    /^NetworkPolicy default\/empty-peer: spec\.ingress\[1\]\.from\[0\]: it names no peer/,
  ),
  badRule(
    'quic',
    { ports: [{ protocol: 'QUIC', port: 443 }] },
    /^NetworkPolicy default\/quic: spec\.ingress\[1\]\.ports\[0\]\.protocol: .*QUIC.* is not TCP, UDP or SCTP/,
  ),
  badRule(
    'v4-mapped',
    { from: [{ ipBlock: { cidr: '::ffff:10.0.0.0/104' } }] },
    /^NetworkPolicy default\/v4-mapped: spec\.ingress\[1\]\.from\[0\]\.ipBlock\.cidr: .*::ffff:10\.0\.0\.0\/104/,
  ),
  {
    what: 'bad-selector',
    path: POLICIES,
    object: networkPolicy('bad-selector', {
      podSelector: {
        matchLabels: { app: 'subject' },
        matchExpressions: [{ key: 'app', operator: 'Like', values: ['x'] }],
      },
      policyTypes: ['Egress'],
      egress: [{}],
    }),
    told: /^NetworkPolicy default\/bad-selector: spec\.podSelector\.matchExpressions\[0\]\.operator: .*Like/,
    // An unusable selector selects the whole namespace, so nobody sends anything.
    meanwhile: [
      [SUBJECT, FRIEND, false],
      [FRIEND, GUARDED, false],
    ],
  },
  {
    what: 'cluster-ports',
    passesServer: true,
    path: CLUSTER_POLICIES,
    object: clusterPolicy('cluster-ports', {
      ingress: [
        {
          action: 'Accept',
          from: [{ namespaces: {} }],
          protocols: [{ tcp: { destinationPort: { range: { start: 90, end: 80 } } } }],
        },
        {
          action: 'Deny',
          from: [{ pods: { namespaceSelector: {}, podSelector: { matchLabels: { role: 'stranger' } } } }],
        },
      ],
    }),
    told: /^ClusterNetworkPolicy cluster-ports: spec\.ingress\[0\]\.protocols\[0\]\.tcp\.destinationPort\.range: its start 90 is not below its end 80.*accepts nothing/,
    meanwhile: [
      [FRIEND, SUBJECT, true],
      [STRANGER, SUBJECT, false],
    ],
  },
  {
    what: 'cluster-mapped',
    passesServer: true,
    path: CLUSTER_POLICIES,
    object: clusterPolicy('cluster-mapped', {
      egress: [{ action: 'Deny', to: [{ networks: ['::ffff:10.0.0.0/104'] }] }],
    }),
    told: /^ClusterNetworkPolicy cluster-mapped: spec\.egress\[0\]\.to\[0\]\.networks\[0\]: .*::ffff:10\.0\.0\.0\/104.*denies everything/,
    meanwhile: [
      [SUBJECT, FRIEND, false],
      [FRIEND, SUBJECT, true],
    ],
  },
  {
    what: 'cluster-no-peers',
    path: CLUSTER_POLICIES,
    object: clusterPolicy('cluster-no-peers', { ingress: [{ action: 'Deny', from: [] }] }),
    told: /^ClusterNetworkPolicy cluster-no-peers: spec\.ingress\[0\]\.from: a rule needs peers.*denies everything/,
    meanwhile: CLOSED,
  },
];

test('a CRD that is absent, appears and vanishes at run time: other policies stay right, and nobody complains', async () => {
  assert.deepEqual(await problems(), []);
  const denial = clusterPolicy('late', {
    ingress: [{ action: 'Deny', from: [{ namespaces: {} }] }],
  });
  for (let round = 0; round < 2; round++) {
    await installClusterPolicyCrd(lab.api);
    await lab.api.create(CLUSTER_POLICIES, denial);
    await eventually(() => probed(...CLOSED, ...OTHERS), 40_000);
    await lab.api.delete(DEFINITION);
    await eventually(() => probed([FRIEND, SUBJECT, true], [STRANGER, SUBJECT, true], ...OTHERS), 40_000);
    assert.deepEqual(await problems(), []);
  }
  await installClusterPolicyCrd(lab.api);
  await agentsReady(lab);
});

for (const { what, path, object, told, passesServer = false, meanwhile } of BAD) {
  test(`${what}: closed, and named in status, log and an Event with its field; others stay right`, async () => {
    if (!passesServer) await assert.rejects(lab.api.create(path, object), /422|400/);
    await lab.fault('api-credulous', 'on');
    await lab.api.create(path, object);
    await lab.fault('api-credulous', 'off');
    try {
      const othersToo = meanwhile.every(([from, to]) => from === SUBJECT || to === SUBJECT);
      await eventually(() => probed(...meanwhile, ...(othersToo ? OTHERS : [])));
      await namedEverywhere(object.kind, told);
    } finally {
      await lab.api.delete(`${path}/${what}`);
    }
    await eventually(() => probed([FRIEND, SUBJECT, true], [STRANGER, SUBJECT, true], ...OTHERS));
    await eventually(async () => assert.deepEqual(await problems(), []));
  });
}

async function namedEverywhere(kind: string, told: RegExp): Promise<void> {
  await eventually(async () => {
    const found = await problems();
    assert.equal(found.length, 1, JSON.stringify(found));
    assert.match(`${found[0]?.object}: ${found[0]?.message}`, told);
    assert.match(found[0]?.hint ?? '', /correct/);
  });
  const anywhere = new RegExp(told.source.slice(1));
  const status = await lab.exec('n1', 'fairlead', 'status');
  assert.equal(status.code, 3);
  assert.match(status.stdout, anywhere);
  await eventually(async () => {
    const all = await events();
    const about = all.filter((text) => anywhere.test(text));
    assert.equal(about.length, 1, `one for all nodes: ${all.join('\n')}`);
    assert.ok(about[0]?.startsWith(`${kind}Problem of ${kind}: `), about[0]);
  });
  assert.match(logOf('n1').replaceAll('\\"', '"'), anywhere);
}

/** Rules of all kinds of sizes, of which only the last lets the friend in. */
const FRIENDS = { from: [{ podSelector: { matchLabels: { role: 'friend' } } }] };
const many = Array.from({ length: 999 }, (_, i) => ({
  from: [{ ipBlock: { cidr: `198.18.${i >> 8}.${i & 255}/32` } }],
  ports: [{ port: 1 + i, endPort: 2 + i }],
}));
const longName = 'n'.repeat(63);
/** Keys with and without a prefix, of full length; values empty, of full length, with every character that they may have. */
const LABELS: Readonly<Record<string, string>> = {
  [`${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}/${'K'.repeat(63)}`]: 'v'.repeat(
    63,
  ),
  'example.com/empty': '',
  'A.b-c_D9': '0.-_9',
  [`k${'_.-'.repeat(20)}9`]: 'UPPER_lower.1-2',
  '0': '1',
  true: 'false',
};

const RIGHT: readonly (readonly [what: string, spec: object])[] = [
  ['1,000 rules', { ingress: [...many, FRIENDS] }],
  [longName, { ingress: [FRIENDS] }],
  ['empty lists', { ingress: [{ from: [], ports: [] }] }],
];

for (const [what, spec] of RIGHT) {
  test(`${what.slice(0, 20)}: in force without complaint, others stay right`, async () => {
    const name = what.replaceAll(/[^a-z0-9]/g, '-');
    await lab.api.create(POLICIES, networkPolicy(name, { ...subject, policyTypes: ['Ingress'], ...spec }));
    const open = what === 'empty lists';
    try {
      await eventually(() => probed([FRIEND, SUBJECT, true], [STRANGER, SUBJECT, open], ...OTHERS), 20_000);
      assert.deepEqual(await problems(), []);
      await agentsReady(lab);
    } finally {
      await lab.api.delete(`${POLICIES}/${name}`);
    }
    await eventually(() => probed([STRANGER, SUBJECT, true], ...OTHERS));
  });
}

test('labels of every legal shape: policies select by them', async () => {
  await lab.api.patch(`${PODS}/subject`, { metadata: { labels: LABELS } });
  await lab.api.patch(`${PODS}/friend`, { metadata: { labels: LABELS } });
  const keys = Object.entries(LABELS).flatMap(([key, value]) => [
    { key, operator: 'In', values: [value] },
    { key, operator: 'Exists' },
  ]);
  const selector = { matchLabels: LABELS, matchExpressions: keys };
  await lab.api.create(
    POLICIES,
    networkPolicy('labels', {
      podSelector: { ...selector, matchLabels: { ...LABELS, app: 'subject' } },
      ingress: [{ from: [{ podSelector: selector }] }],
    }),
  );
  await eventually(() => probed([FRIEND, SUBJECT, true], [STRANGER, SUBJECT, false], ...OTHERS));
  assert.deepEqual(await problems(), []);
  await agentsReady(lab);
  await lab.api.delete(`${POLICIES}/labels`);
});

test('two ClusterNetworkPolicies of one priority that disagree: the first by name counts, others stay right', async () => {
  const everybody = [{ namespaces: {} }];
  const [accept, deny] = [
    { ingress: [{ action: 'Accept', from: everybody }] },
    { ingress: [{ action: 'Deny', from: everybody }] },
  ];
  for (const [first, second, passes] of [
    [accept, deny, true],
    [deny, accept, false],
  ] as const) {
    await lab.api.create(CLUSTER_POLICIES, clusterPolicy('aa', first));
    await lab.api.create(CLUSTER_POLICIES, clusterPolicy('bb', second));
    await eventually(() => probed([FRIEND, SUBJECT, passes], [STRANGER, SUBJECT, passes], ...OTHERS));
    assert.deepEqual(await problems(), []);
    for (const name of ['aa', 'bb']) await lab.api.delete(`${CLUSTER_POLICIES}/${name}`);
    await eventually(() => probed([FRIEND, SUBJECT, true], ...OTHERS));
  }
});
