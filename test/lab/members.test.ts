/** Nodes and pods come and go. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, Lab } from '../../src/lab/client.ts';
import { defaultTopology } from '../../src/lab/topology/topology.ts';
import { becomesConnected } from './support/expect.ts';

test('a node joins and leaves; the others learn it, and forget it without a trace', async () => {
  await using lab = await Lab.start({ nodes: 2, pods: 1 });
  const before = await routesOf(lab, 'n1');
  const name = await lab.addNode({ pods: 1 });
  assert.equal(name, 'n3');
  await lab.settled();
  await becomesConnected(lab);
  assert.equal((await routesOf(lab, 'n1')).length, before.length + 2);
  await lab.removeNode(name);
  await eventually(async () => assert.deepEqual(await routesOf(lab, 'n1'), before));
  await becomesConnected(lab);
  assert.ok(!(await lab.run('n1', 'bridge', 'fdb', 'show')).includes('198.51.100.12'));
});

test('names that `ip` has for words of its own are names like any', async () => {
  const topology = defaultTopology();
  const names = ['a', 'm', 'up', 'mtu', 'dev'];
  const segments = topology.segments.map((segment, i) => ({
    ...segment,
    name: ['type', 'master', 'w'][i] ?? '',
  }));
  await using lab = await Lab.start({
    topology: {
      ...topology,
      segments,
      routers: [{ name: 'name', segments: ['type', 'master', 'w'] }],
      nodes: names.map((name, i) => ({ name, segment: i % 2 === 0 ? 'type' : 'master', pods: 1 })),
      outside: { segment: 'w' },
    },
  });
  await becomesConnected(lab);
  await lab.addNode({ name: 'alias', segment: 'type', pods: 1 });
  await lab.settled();
  await becomesConnected(lab);
  await lab.removeNode('alias');
});

test('a node that comes back under its name with another address is followed', async () => {
  await using lab = await Lab.start({ nodes: 2, pods: 1 });
  await lab.removeNode('n2');
  await lab.addNode({ name: 'n2', segment: 'wire0', addresses: ['192.0.2.77', '2001:db8:0:1::77'], pods: 1 });
  await lab.settled();
  await becomesConnected(lab);
});

test('pods come and go, by the lab and by hand; addresses are given back', async () => {
  await using lab = await Lab.start({ nodes: 2, pods: 1 });
  for (let round = 0; round < 3; round++) {
    await lab.addPod('x', 'n1');
    await lab.addPod('y', undefined);
    await lab.settled();
    await becomesConnected(lab);
    await lab.removePod('default/x');
    await lab.removePod('default/y');
    await eventually(async () => assert.equal((await lab.status()).pods.length, 2));
  }
  // The plugin's own book: one lease a family for the pod that is left.
  await eventually(async () => {
    const leases = (await lab.run('n1', 'ls', '/var/lib/cni/networks/fairlead')).split('\n');
    assert.equal(leases.filter((file) => /^[0-9a-f.:]+$/.test(file)).length, 2, leases.join(' '));
    const veths = await lab.run('n1', 'ip', '-br', 'link', 'show', 'type', 'veth');
    assert.equal(veths.match(/^veth/gm)?.length, 1, veths);
  });
});

test('a pod whose nodeSelector fits one node lands there; one that fits none waits', async () => {
  await using lab = await Lab.start({ nodes: 2, pods: 0 });
  const pod = (name: string, nodeSelector: Record<string, string>) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: { containers: [{ name: 'c', image: 'i' }], nodeSelector },
  });
  const pods = '/api/v1/namespaces/default/pods';
  await lab.api.create(pods, pod('here', { 'kubernetes.io/hostname': 'n2' }));
  await lab.api.create(pods, pod('nowhere', { 'kubernetes.io/hostname': 'n9' }));
  await eventually(async () => {
    const status = await lab.status();
    assert.deepEqual(
      status.pods.map((p) => [p.name, p.node, p.running]),
      [['default/here', 'n2', true]],
    );
  });
  const waiting = await lab.api.get<{ spec: { nodeName?: string } }>(`${pods}/nowhere`);
  assert.equal(waiting.spec.nodeName, undefined);
});

async function routesOf(lab: Lab, node: string): Promise<string[]> {
  const v4 = await lab.run(node, 'ip', 'route', 'show', 'proto', '201');
  const v6 = await lab.run(node, 'ip', '-6', 'route', 'show', 'proto', '201');
  return (v4 + v6).split('\n').filter(Boolean).sort();
}
