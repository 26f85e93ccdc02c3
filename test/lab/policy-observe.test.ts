/** What people can ask about policies: why, denials, status, the metrics, and what a policy would do before it is applied. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually, Lab } from '../../src/lab/client.ts';
import type { Denial, PolicyPreview, Status, Why } from '../../src/model/api.ts';
import { installClusterPolicyCrd } from '../support/policy/crd.ts';
import { agentsReady } from './support/expect.ts';

const POLICIES = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies';
const CLUSTER_POLICIES = '/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies';

const CLIENTS = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'clients', namespace: 'default' },
  spec: {
    podSelector: { matchLabels: { role: 'server' } },
    policyTypes: ['Ingress'],
    ingress: [{ from: [{ podSelector: { matchLabels: { role: 'client' } } }], ports: [{ port: 8080 }] }],
  },
};

const NO_UDP = {
  apiVersion: 'policy.networking.k8s.io/v1alpha2',
  kind: 'ClusterNetworkPolicy',
  metadata: { name: 'no-udp' },
  spec: {
    tier: 'Admin',
    priority: 7,
    subject: { namespaces: {} },
    egress: [
      {
        name: 'udp',
        action: 'Deny',
        to: [{ networks: ['0.0.0.0/0', '::/0'] }],
        protocols: [{ udp: { destinationPort: { range: { start: 1, end: 65_535 } } } }],
      },
    ],
  },
};

const [SERVER, CLIENT, STRANGER] = ['default/server', 'default/client', 'default/stranger'];

test('verdicts are foretold, explained, told when they happen, and counted', async (t) => {
  await using lab = await Lab.start({ nodes: 2, pods: 0, segments: 1 });
  await agentsReady(lab);
  await lab.addPod('server', 'n1', { role: 'server' });
  await lab.addPod('client', 'n2', { role: 'client' });
  await lab.addPod('stranger', 'n1', { role: 'stranger' });
  await t.test('before it is there: what it would close', () => foretold(lab));
  await lab.api.create(POLICIES, CLIENTS);
  await t.test('it is in force, and counted', () => counted(lab));
  await t.test("explained, with the kernel's own rules beside it", () => explained(lab));
  await t.test('it happens, and is told with names', () => told(lab));
  await t.test('a rule of a ClusterNetworkPolicy is named by itself', () => ruleNamed(lab));
});

/** `fairlead …` on a node, as data. */
async function json<T>(lab: Lab, node: string, ...argv: readonly string[]): Promise<T> {
  const { stdout, stderr, code } = await lab.exec(node, 'fairlead', ...argv, '-o', 'json');
  assert.ok(code === 0 || code === 3, `${argv.join(' ')}: ${code} ${stderr}`);
  return JSON.parse(stdout) as T;
}

/** Pods of the other node are known though no policy exists. */
async function foretold(lab: Lab): Promise<void> {
  const file = join(lab.dir, 'clients.json');
  writeFileSync(file, JSON.stringify(CLIENTS));
  await eventually(async () => {
    const { policies, changes } = await json<PolicyPreview>(lab, 'n1', 'policy', 'test', file);
    assert.deepEqual(policies[0]?.selects, [SERVER]);
    assert.deepEqual(
      changes.map(({ kind, from, traffic }) => `${kind} ${from.join()} ${traffic.join()}`),
      [
        `closes ${STRANGER},outside (198.51.100.77) everything`,
        `closes ${CLIENT} other TCP,UDP,SCTP,ICMP and others`,
      ],
    );
  });
}

async function counted(lab: Lab): Promise<void> {
  await eventually(async () => {
    const { policy } = await json<Status>(lab, 'n1', 'status');
    assert.deepEqual(
      [policy?.networkPolicies, policy?.inForce, policy?.pods, policy?.selected, policy?.invalid],
      [1, 1, 2, 1, []],
    );
  });
}

async function explained(lab: Lab): Promise<void> {
  const denied = await json<Why>(lab, 'n1', 'why', STRANGER, SERVER, 'tcp/8080');
  assert.equal(denied.reachable, 'no');
  const steps = denied.steps.filter(({ policy }) => policy?.direction === 'ingress');
  assert.deepEqual(
    steps.map(({ family }) => family),
    ['ipv4', 'ipv6'],
  );
  for (const { policy, kernel } of steps) {
    assert.deepEqual([policy?.allowed, policy?.policies], [false, ['NetworkPolicy default/clients']]);
    assert.match(kernel?.text ?? '', /^nft policy-forward-ingress: dropped in chain policy-denied-ingress/);
    assert.equal(kernel?.mismatch, false);
  }
  const allowed = await json<Why>(lab, 'n2', 'why', CLIENT, SERVER, 'tcp/8080');
  assert.equal(allowed.reachable, 'yes', JSON.stringify(allowed.steps));
  assert.match(
    allowed.steps.map(({ text }) => text).join('\n'),
    /allowed by ingress\[0\] of NetworkPolicy default\/clients; the agent of n1 decides that there/,
  );
}

async function told(lab: Lab): Promise<void> {
  for (const family of ['ipv4', 'ipv6'] as const) {
    assert.equal((await lab.probe(STRANGER, SERVER, { family })).verdict, 'dropped');
    assert.equal((await lab.probe(CLIENT, SERVER, { family })).verdict, 'allowed');
  }
  const words = `deny ingress ${STRANGER} ${SERVER} TCP 8080 network-policy NetworkPolicy default/clients`;
  await eventually(async () => {
    const denials = await json<Denial[]>(lab, 'n1', 'denials', '--namespace', 'default');
    assert.deepEqual(
      denials.map(({ kind, direction, from, to, protocol, port, by, policies }) =>
        [kind, direction, from.pod, to.pod, protocol, port, by, ...policies].join(' '),
      ),
      [words, words],
      'one a family',
    );
  });
  assert.deepEqual(await json<Denial[]>(lab, 'n2', 'denials'), [], 'the other node denied nothing');
  const table = (await lab.run('n1', 'fairlead', 'denials')).trim().split('\n');
  assert.equal(table.length, 2, 'a line for both families');
  assert.match(
    table[1] ?? '',
    /denied +ingress +default\/stranger +default\/server +TCP 8080 +\d+ +default\/server is selected by NetworkPolicy default\/clients for ingress/,
  );
}

async function ruleNamed(lab: Lab): Promise<void> {
  await installClusterPolicyCrd(lab.api);
  await lab.api.create(CLUSTER_POLICIES, NO_UDP);
  await eventually(async () => {
    assert.equal((await lab.probe(CLIENT, STRANGER, { protocol: 'udp' })).verdict, 'dropped');
    const [denial] = (await json<Denial[]>(lab, 'n2', 'denials')).slice(-1);
    assert.deepEqual(
      [denial?.by, denial?.policies, denial?.rule, denial?.text],
      [
        ...['admin', ['ClusterNetworkPolicy no-udp'], 0],
        'denied by egress[0] "udp" of ClusterNetworkPolicy no-udp (Admin tier, priority 7)',
      ],
    );
  });
  const udp = await json<Why>(lab, 'n2', 'why', CLIENT, STRANGER, 'udp/53');
  assert.match(
    udp.steps.find(({ policy }) => policy)?.kernel?.text ?? '',
    /^nft policy-forward-egress: dropped/,
  );
  assert.ok(udp.steps.every(({ kernel }) => kernel?.mismatch !== true));
}
