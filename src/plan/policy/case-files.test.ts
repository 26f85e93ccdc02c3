/** Folders of cases that nobody here has seen: what their formats leave out, and what is wrong in them, by file and field. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { CaseKind } from '../../../test/support/policy/cases.ts';
import { policyCases } from '../../../test/support/policy/everywhere.ts';

type Json = Readonly<Record<string, unknown>>;

/** Two pods on one of whose ports the other asks, and a policy that closes `q`. */
const CLUSTER = {
  namespaces: { default: {}, q: {} },
  pods: [
    { namespace: 'default', name: 'a', ip: '10.1.0.1', ports: [{ protocol: 'TCP', port: 1 }] },
    { namespace: 'q', name: 'b', ip: '10.1.0.2', ports: [{ protocol: 'TCP', port: 65_535 }] },
  ],
};
const DENY = { kind: 'NetworkPolicy', metadata: { namespace: 'q', name: 'deny' }, spec: { podSelector: {} } };
const STEP = { actions: [{ 'create-policy': DENY }], expected: { 'TCP/65535': ['?X', '?-'] } };

test('what a format does not demand may be left out', async () => {
  const found = await played('policy', {
    'cluster.json': CLUSTER,
    'cases/one.json': { steps: [STEP, { expected: { 'TCP/1': ['-?', '.?'] } }] },
  });
  assert.deepEqual(found, ['one (planner): as it says']);
});

test('addresses of IPv6, nodes with long names, a pod that comes back on another node under its address', async () => {
  const pods = CLUSTER.pods.map((pod, i) => ({
    ...pod,
    ip: `2001:db8:1::${i}`,
    node: `worker-${i}.example.org`,
  }));
  const comes = { namespace: 'q', name: 'c', ip: '2001:db8:1::1', node: 'worker-0.example.org' };
  const found = await played('policy', {
    'cluster.json': { ...CLUSTER, pods, ports: [{ protocol: 'UDP', port: 53 }] },
    'one.json': {
      steps: [
        {
          actions: [
            {
              'create-policy': {
                ...DENY,
                spec: {
                  ingress: [{ from: [{ ipBlock: { cidr: '::/0', except: ['{{ip default/a /128}}'] } }] }],
                },
              },
            },
          ],
          expected: { 'TCP/65535': ['?X', '?-'] },
        },
        {
          actions: [
            { 'delete-policy': { namespace: 'q', name: 'deny' } },
            { 'delete-pod': { namespace: 'q', name: 'b' } },
            { 'create-pod': comes },
          ],
          expected: { 'UDP/53': ['-.', '?-'] },
        },
      ],
    },
  });
  assert.deepEqual(found, ['one (planner): as it says']);
});

test('a pod that comes back under its name and address, on another node', async () => {
  const pods = CLUSTER.pods.map((pod, i) => ({ ...pod, node: `node-${i}` }));
  const again = {
    namespace: 'q',
    name: 'b',
    ip: '10.1.0.2',
    node: 'node-0',
    ports: [{ protocol: 'UDP', port: 53 }],
  };
  const actions = [{ 'delete-pod': { namespace: 'q', name: 'b' } }, { 'create-pod': again }];
  const found = await played('policy', {
    'cluster.json': { ...CLUSTER, pods },
    'one.json': { steps: [{ actions, expected: { 'UDP/53': ['-.', '?-'] } }] },
  });
  assert.deepEqual(found, ['one (planner): as it says']);
});

test('a literal of networks in which no pod lies is a block of nobody', async () => {
  const rules = [
    { action: 'Accept', to: [{ networks: ['192.0.2.0/24', '2001:db8::/32'] }] },
    { action: 'Deny', to: [{ namespaces: {} }] },
  ];
  const spec = { tier: 'Admin', priority: 0, subject: { namespaces: {} }, egress: rules };
  const policy = { kind: 'ClusterNetworkPolicy', metadata: { name: 'p' }, spec };
  const probe = { from: 'default/a', to: 'q/b', protocol: 'TCP', port: 65_535, expect: 'deny' };
  const found = await played('cluster-policy', {
    'cluster.json': CLUSTER,
    'one.json': { setup: [{ 'create-policy': policy }], subtests: [{ steps: [{ probes: [probe] }] }] },
  });
  assert.deepEqual(found, ['one (planner): as it says']);
});

const WRONG: Readonly<Record<string, readonly [file: unknown, told: RegExp]>> = {
  'text that ends': ['{"steps": [', /^is no JSON/],
  'no object': [[], /^the file is \[\]: must be an object/],
  'no steps': [{}, /^steps is not there/],
  'another kind': [{ subtests: [] }, /^steps is not there.* other kind/],
  'no cluster': [{ cluster: 'none.json', steps: [STEP] }, /^cluster: there is no .*none\.json/],
  'an unknown action': [
    { steps: [{ ...STEP, actions: [{ 'paint-pod': {} }] }] },
    /^steps\[0\]\.actions\[0\]\.paint-pod .*unknown action/,
  ],
  'two actions in one': [
    { steps: [{ ...STEP, actions: [{ 'create-policy': DENY, 'update-policy': DENY }] }] },
    /^steps\[0\]\.actions\[0\] .*one action/,
  ],
  'an unknown kind': [
    { steps: [{ ...STEP, actions: [{ 'create-policy': { ...DENY, kind: 'Firewall' } }] }] },
    /^steps\[0\]\.actions\[0\]\.create-policy\.kind is "Firewall"/,
  ],
  'a policy that is not there': [
    { steps: [{ ...STEP, actions: [{ 'update-policy': DENY }] }] },
    /^steps\[0\]\.actions\[0\]\.update-policy: there is no NetworkPolicy q\/deny/,
  ],
  'a template of nobody': [
    {
      steps: [
        {
          ...STEP,
          actions: [
            {
              'create-policy': {
                ...DENY,
                spec: { ingress: [{ from: [{ ipBlock: { cidr: '{{ip no/body /24}}' } }] }] },
              },
            },
          ],
        },
      ],
    },
    /^step 1, create-policy: its addresses: no\/body/,
  ],
  'an unknown probe': [
    { steps: [{ ...STEP, probe: { kind: 'some' } }] },
    /^steps\[0\]\.probe\.kind is "some": must be all-available or port/,
  ],
  'an order of others': [
    { steps: [{ ...STEP, order: ['q/b'] }] },
    /^steps\[0\]\.order is \["q\/b"\]: there are default\/a, q\/b/,
  ],
  'a table without a row': [
    { steps: [{ ...STEP, expected: { 'TCP/65535': ['?X'] } }] },
    /^steps\[0\]\.expected\.TCP\/65535 .*2 rows of 2 signs/,
  ],
  'a sign of its own': [
    { steps: [{ ...STEP, expected: { 'TCP/1': ['-Y', '..'] } }] },
    /sign "Y" of row default\/a/,
  ],
  'nothing to ask': [{ steps: [{ actions: [] }] }, /^it expects nothing/],
};

test('what is no case is told by file and field, and the others are played', async () => {
  const files = Object.entries(WRONG).map(([name, [file]]) => [`cases/${name}.json`, file] as const);
  const found = await played('policy', {
    'cluster.json': CLUSTER,
    ...Object.fromEntries(files),
    'cases/good.json': { steps: [STEP] },
  });
  for (const [name, [, told]] of Object.entries(WRONG)) {
    const file = `cases/${name}.json: `;
    const [line = ''] = found.flatMap((one) => (one.includes(file) ? [one.split(file)[1]] : []));
    assert.match(line, told, name);
  }
  assert.equal(found.length, files.length + 1);
  assert.ok(found.includes('good (planner): as it says'));
});

/** `NAME: DIFFERENCE` of each, by the planner. */
async function played(kind: CaseKind, files: Json): Promise<readonly string[]> {
  const dir = mkdtempSync(join(tmpdir(), 'cases-'));
  try {
    for (const [name, file] of Object.entries(files)) {
      mkdirSync(dirname(join(dir, name)), { recursive: true });
      writeFileSync(join(dir, name), typeof file === 'string' ? file : JSON.stringify(file));
    }
    const flags = { 'planner-only': true, 'lab-only': false, api: 'lab', only: '' };
    const found: string[] = [];
    for await (const { name, difference = 'as it says' } of policyCases(kind, dir, flags))
      found.push(`${name}: ${difference}`.replaceAll(`${dir}/`, ''));
    return found;
  } finally {
    rmSync(dir, { recursive: true });
  }
}
