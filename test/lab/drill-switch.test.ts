/** Drill 11: the transport of a running cluster is changed under load, and no probe is lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, Lab } from '../../src/lab/client.ts';
import { agentsReady, unharmed } from './support/expect.ts';

const RATE = 200;
const COUNT = 2200;

test('drill 11: layer2 → vxlan → layer2 in a lab of 4 nodes, 200 probes/s', async (t) => {
  await using lab = await Lab.start({ nodes: 4, pods: 1, segments: 1, transport: 'layer2' });
  await agentsReady(lab);
  for (const transport of ['vxlan', 'layer2'] as const) {
    await t.test(`to ${transport}`, async (t) => {
      const udp = await lab.stream({ rate: RATE, count: COUNT });
      const tcp = await lab.stream({ rate: RATE / 2, count: COUNT / 2, protocol: 'tcp' });
      await eventually(async () => assert.ok((await udp.progress()).sent > RATE));
      const begun = performance.now();
      await lab.configure({ transport });
      await eventually(async () => assert.deepEqual(await transports(lab), [transport]), 10_000);
      t.diagnostic(`switched after ${(performance.now() - begun).toFixed(0)} ms`);
      unharmed(await udp.finish(), 2000);
      unharmed(await tcp.finish(), 1000);
    });
  }
  await t.test('the device that nobody uses any more is gone', () =>
    eventually(async () => {
      for (const node of ['n1', 'n2', 'n3', 'n4'])
        assert.equal(await lab.run(node, 'ip', 'link', 'show', 'type', 'vxlan'), '');
    }),
  );
});

test('one node after another is switched, as a rollout does it', async () => {
  await using lab = await Lab.start({ nodes: 3, pods: 1, segments: 1, transport: 'layer2' });
  await agentsReady(lab);
  const udp = await lab.stream({ rate: RATE });
  for (const transport of ['vxlan', 'layer2'] as const) {
    for (const node of ['n1', 'n2', 'n3']) {
      await lab.configure({ transport }, node);
      await eventually(async () => assert.equal((await lab.agent(node)).state, 'ready'));
    }
    await eventually(async () => assert.deepEqual(await transports(lab), [transport]), 10_000);
  }
  await eventually(async () => assert.ok((await udp.progress()).sent >= 400));
  unharmed(await udp.stop(), 400);
});

/** Transports in use between any two nodes. */
async function transports(lab: Lab): Promise<string[]> {
  const { nodes } = await lab.status();
  assert.ok(nodes.every((node) => node.agent.pairs.length === nodes.length - 1));
  return [...new Set(nodes.flatMap((node) => node.agent.pairs.map((pair) => pair.transport)))].sort();
}
