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

test('verdicts are foretold, explained, told when they happen, and counted', async () => {
  await using lab = await Lab.start({ nodes: 2, pods: 0, segments: 1 });
  await agentsReady(lab);
  await lab.addPod('server', 'n1', { role: 'server' });
  await lab.addPod('client', 'n2', { role: 'client' });
  await lab.addPod('stranger', 'n1', { role: 'stranger' });
  const json = async <T>(node: string, ...argv: readonly string[]): Promise<T> => {
    const { stdout, stderr, code } = await lab.exec(node, 'fairlead', ...argv, '-o', 'json');
    assert.ok(code === 0 || code === 3, `${argv.join(' ')}: ${code} ${stderr}`);
    return JSON.parse(stdout) as T;
  };

  // Before it is there: what it would close. Pods of the other node are known though no policy exists.
  const file = join(lab.dir, 'clients.json');
  writeFileSync(file, JSON.stringify(CLIENTS));
  await eventually(async () => {
    const foretold = await json<PolicyPreview>('n1', 'policy', 'test', file);
    assert.deepEqual(foretold.policies[0]?.selects, [SERVER]);
    const closed = foretold.changes.map(
      ({ kind, from, traffic }) => `${kind} ${from.join()} ${traffic.join()}`,
    );
    assert.deepEqual(closed, [
      `closes ${STRANGER},outside (198.51.100.77) everything`,
      `closes ${CLIENT} other TCP,UDP,SCTP,ICMP and others`,
    ]);
  });

  await lab.api.create(POLICIES, CLIENTS);
  await eventually(async () => {
    const { policy } = await json<Status>('n1', 'status');
    assert.deepEqual(
      [policy?.networkPolicies, policy?.inForce, policy?.pods, policy?.selected, policy?.invalid],
      [1, 1, 2, 1, []],
    );
  });

  // Explained, with the kernel's own rules beside it.
  const ask = (node: string, from: string, to: string, traffic: string) =>
    json<Why>(node, 'why', from, to, traffic);
  const denied = await ask('n1', STRANGER, SERVER, 'tcp/8080');
  assert.equal(denied.reachable, 'no');
  const steps = denied.steps.filter(({ policy }) => policy?.direction === 'ingress');
  assert.equal(steps.length, 2, 'both families');
  for (const { policy, kernel } of steps) {
    assert.deepEqual([policy?.allowed, policy?.policies], [false, ['NetworkPolicy default/clients']]);
    assert.match(kernel?.text ?? '', /^nft policy-forward-ingress: dropped in chain policy-denied-ingress/);
    assert.equal(kernel?.mismatch, false);
  }
  const allowed = await ask('n2', CLIENT, SERVER, 'tcp/8080');
  assert.equal(allowed.reachable, 'yes', JSON.stringify(allowed.steps));
  assert.match(
    allowed.steps.map(({ text }) => text).join('\n'),
    /allowed by ingress\[0\] of NetworkPolicy default\/clients; the agent of n1 decides that there/,
  );

  // It happens, and is told with names.
  for (const family of ['ipv4', 'ipv6'] as const) {
    assert.equal((await lab.probe(STRANGER, SERVER, { family })).verdict, 'dropped');
    assert.equal((await lab.probe(CLIENT, SERVER, { family })).verdict, 'allowed');
  }
  await eventually(async () => {
    const denials = await json<Denial[]>('n1', 'denials', '--namespace', 'default');
    assert.deepEqual(
      denials.map(({ kind, direction, from, to, protocol, port, by, policies }) => [
        ...[kind, direction, from.pod, to.pod, protocol, port, by, ...policies],
      ]),
      ['ipv4', 'ipv6'].map(() => [
        ...[
          'deny',
          'ingress',
          STRANGER,
          SERVER,
          'TCP',
          8080,
          'network-policy',
          'NetworkPolicy default/clients',
        ],
      ]),
    );
  });
  assert.deepEqual(await json<Denial[]>('n2', 'denials'), [], 'the other node denied nothing');
  assert.match(
    await lab.run('n1', 'fairlead', 'denials'),
    /denied +ingress +default\/stranger +default\/server +TCP 8080 +\d+ +default\/server is selected by NetworkPolicy default\/clients for ingress/,
  );

  // A rule of a ClusterNetworkPolicy is named by itself.
  await installClusterPolicyCrd(lab.api);
  await lab.api.create(CLUSTER_POLICIES, NO_UDP);
  await eventually(async () => {
    assert.equal((await lab.probe(CLIENT, STRANGER, { protocol: 'udp' })).verdict, 'dropped');
    const [denial] = (await json<Denial[]>('n2', 'denials')).slice(-1);
    assert.deepEqual(
      [denial?.by, denial?.policies, denial?.rule, denial?.text],
      [
        ...['admin', ['ClusterNetworkPolicy no-udp'], 0],
        'denied by egress[0] "udp" of ClusterNetworkPolicy no-udp (Admin tier, priority 7)',
      ],
    );
  });
  const udp = await ask('n2', CLIENT, STRANGER, 'udp/53');
  assert.match(
    udp.steps.find(({ policy }) => policy)?.kernel?.text ?? '',
    /^nft policy-forward-egress: dropped/,
  );
  assert.ok(udp.steps.every(({ kernel }) => kernel?.mismatch !== true));
});
