/** Pods by the CNI plugin `ptp` instead of a bridge: a pair of links and a host route each. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lab } from '../../src/lab/client.ts';
import { agentsReady, fullyConnected } from './support/expect.ts';

test('cni.plugin ptp: pods reach each other on a node and across nodes, by layer2 and vxlan, both families', async () => {
  await using lab = await Lab.start({ nodes: 3, pods: 2, config: { cni: { plugin: 'ptp' } } });
  await agentsReady(lab);
  assert.equal(await lab.run('n1', 'ip', '-br', 'link', 'show', 'type', 'bridge'), '', 'no bridge');
  const { nodes } = await lab.status();
  assert.deepEqual(
    nodes[0]?.agent.pairs.map((p) => `${p.node} ${p.transport}`),
    ['n2 layer2', 'n3 vxlan'],
  );
  for (const protocol of ['tcp', 'udp', 'icmp'] as const) await fullyConnected(lab, protocol);
});
