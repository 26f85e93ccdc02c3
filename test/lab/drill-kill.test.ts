/** Drills 7, 8 and 12: the agent dies in the middle of its work, at every place where it can. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, Lab } from '../../src/lab/client.ts';
import { dump } from './support/dump.ts';
import { agentsReady, becomesConnected, unharmed } from './support/expect.ts';

const MOST_CALLS = 80;

test('drill 8: SIGKILL after every k-th kernel call of a changeover: converges, and no flow notices', async (t) => {
  await using lab = await Lab.start({ nodes: 3, pods: 1, segments: 1, transport: 'layer2' });
  await agentsReady(lab);
  const udp = await lab.stream({ rate: 200 });
  const tcp = await lab.stream({ rate: 50, protocol: 'tcp' });
  let deaths = 0;
  let survived = false;
  for (let k = 1; !survived && k <= MOST_CALLS; k++) {
    const transport = k % 2 === 1 ? 'vxlan' : 'layer2';
    await lab.configure({ transport });
    const end = await lab.fault('kill-after', 'n1', String(k));
    survived = end === 'survived';
    if (!survived) {
      assert.equal(end, 'SIGKILL', `k = ${k}`);
      deaths++;
      await lab.fault('agent', 'n1', 'start');
    }
    await eventually(async () => {
      const { nodes } = await lab.status();
      const now = nodes.map((n) => [n.name, n.agent.state, ...n.agent.pairs.map((p) => p.transport)]);
      const wanted = nodes.map((n) => [n.name, 'ready', transport, transport]);
      assert.deepEqual(now, wanted, `k = ${k}`);
    });
  }
  t.diagnostic(`died ${deaths} times`);
  assert.ok(survived && deaths >= 5, `died ${deaths} times: the fault was not met, or never ended`);
  unharmed(await udp.stop(), 500);
  unharmed(await tcp.stop(), 100);
});

test('drill 7 and 8, clean machine: cut after the k-th call, started again, the end is the same', async (t) => {
  await using lab = await Lab.start({ nodes: 2, pods: 0, transport: 'vxlan' });
  await agentsReady(lab);
  const wanted = await dump(lab, 'n1');
  let survived = false;
  let deaths = 0;
  // Every call at the beginning, where everything is made for the first time, then every third.
  for (let k = 1; !survived && k <= MOST_CALLS; k += k < 12 ? 1 : 3) {
    await lab.fault('agent', 'n1', 'kill');
    await lab.run('n1', 'fairlead', 'cleanup', '--yes');
    survived = (await lab.fault('kill-after', 'n1', String(k))) === 'survived';
    if (survived) break;
    deaths++;
    await lab.fault('agent', 'n1', 'start');
    await eventually(async () => assert.equal(await dump(lab, 'n1'), wanted, `k = ${k}`));
  }
  t.diagnostic(`died ${deaths} times`);
  assert.ok(survived && deaths >= 8, `died ${deaths} times`);
});

test('drill 12: agents restarted one after another under load, by SIGTERM and by SIGKILL: nothing lost', async () => {
  await using lab = await Lab.start({ nodes: 3, pods: 1 });
  await agentsReady(lab);
  const udp = await lab.stream({ rate: 200 });
  const tcp = await lab.stream({ rate: 100, protocol: 'tcp' });
  for (const how of ['term', 'kill']) {
    for (const node of ['n1', 'n2', 'n3']) {
      await lab.fault('agent', node, how);
      await lab.fault('agent', node, 'start');
      await eventually(async () => assert.equal((await lab.agent(node)).state, 'ready'));
    }
  }
  await eventually(async () => assert.ok((await tcp.progress()).sent >= 200));
  unharmed(await udp.stop(), 400);
  unharmed(await tcp.stop(), 200);
  await becomesConnected(lab);
});
