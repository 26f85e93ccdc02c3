/** Drills 1 to 4: the API server is away, silent, or has moved on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, Lab } from '../../src/lab/client.ts';
import { ours } from './support/dump.ts';
import { agentsReady, becomesConnected, unharmed } from './support/expect.ts';

/** Of these drills two need a server that misbehaves when told to. */
const skip =
  process.env.FAIRLEAD_LAB_API === 'real' && 'cannot: a real API server does not fail or forget on demand';

test('drill 1: API server down at start, machine programmed: nothing is deleted, no probe lost', async () => {
  await using lab = await Lab.start({ nodes: 3 });
  await agentsReady(lab);
  const nodes = ['n1', 'n2', 'n3'];
  const before = await Promise.all(nodes.map((node) => ours(lab, node)));
  const stream = await lab.stream({ rate: 200 });
  await lab.fault('api', 'away');
  for (const node of nodes) await lab.fault('agent', node, 'restart');
  await eventually(async () => {
    for (const node of nodes) {
      const source = (await lab.agent(node)).sources.find((s) => s.name === 'nodes');
      assert.equal(source?.ready, false);
      assert.match(source?.reason ?? '', /ECONNREFUSED|refused|connect/);
      assert.ok(Date.now() - (source?.since ?? 0) < 600_000, 'since when');
    }
  });
  // The agents have had their look at the machine when they have observed it: their status says so.
  await eventually(async () => {
    for (const node of nodes) {
      const { targets } = await lab.agent(node);
      assert.ok(targets.find((t) => t.name === 'route')?.observed !== undefined, `${node} looked`);
    }
  });
  assert.deepEqual(await Promise.all(nodes.map((node) => ours(lab, node))), before);
  await eventually(async () => assert.ok((await stream.progress()).sent >= 200));
  unharmed(await stream.stop(), 200);
  await lab.fault('api', 'back');
  await agentsReady(lab, 30_000);
  assert.deepEqual(await Promise.all(nodes.map((node) => ours(lab, node))), before);
});

test('drill 2: API server down at start, clean machine: stays closed, starts within seconds of its return', async () => {
  await using lab = await Lab.start({ nodes: 2, agents: false, pods: 1 });
  await lab.fault('api', 'away');
  for (const node of ['n1', 'n2']) await lab.fault('agent', node, 'start');
  await eventually(async () => {
    for (const node of ['n1', 'n2']) {
      const { state, sources } = await lab.agent(node);
      assert.equal(state, 'waiting');
      assert.match(sources.find((s) => s.name === 'nodes')?.reason ?? '', /ECONNREFUSED|refused|connect/);
    }
  });
  const { nodes } = await lab.status();
  assert.deepEqual(
    nodes.map((n) => n.ready),
    [false, false],
  );
  for (const node of ['n1', 'n2']) {
    assert.equal(await lab.run(node, 'ip', 'route', 'show', 'proto', '201'), '');
    assert.equal(await lab.run(node, 'ls', '/run/cni/net.d'), '');
  }
  await lab.fault('api', 'back');
  await lab.settled(20_000);
  await becomesConnected(lab);
});

test('drill 3: a watch falls silent with its connection open: noticed, and relisted within 60 s', async (t) => {
  await using lab = await Lab.start({ nodes: 2, pods: 1 });
  await agentsReady(lab);
  await lab.fault('api', 'stall');
  const begun = performance.now();
  await lab.addNode({ pods: 1 });
  await lab.settled();
  await becomesConnected(lab, 60_000);
  t.diagnostic(`followed after ${((performance.now() - begun) / 1000).toFixed(1)} s`);
});

test('drill 4: missed deletions, reverted changes, 410 Gone: the end depends on the end alone', {
  skip,
}, async () => {
  await using lab = await Lab.start({ nodes: 3, pods: 1 });
  await agentsReady(lab);
  await lab.fault('api', 'away', 'n1');
  // What n1 misses: one node goes, one comes, a third changes its address there and back.
  await lab.removeNode('n3');
  await lab.addNode({ name: 'n4', pods: 1 });
  const addresses = await rename(lab, 'n2', '192.0.2.99');
  await rename(lab, 'n2', addresses);
  await lab.fault('api-compact');
  await lab.fault('api', 'back', 'n1');
  await lab.settled();
  await becomesConnected(lab, 30_000);
  const routes = await lab.run('n1', 'ip', 'route', 'show', 'proto', '201');
  assert.equal(routes.trim().split('\n').length, 2, routes);
});

test('the API server answers 500, 429, 403: said in the status, with the permission; then it goes on', {
  skip,
}, async () => {
  await using lab = await Lab.start({ nodes: 2, pods: 1 });
  for (const [code, verb, words] of [
    ['500', '*', /500|Internal/],
    ['429', '*', /429|TooMany/i],
    ['403', '*', /403|forbidden|nodes/i],
    ['403', 'list', /403|forbidden|nodes/i],
  ] as const) {
    await lab.fault('api-status', code, verb, 'nodes');
    await lab.fault('agent', 'n1', 'restart');
    await eventually(async () => {
      const source = (await lab.agent('n1')).sources.find((s) => s.name === 'nodes');
      assert.equal(source?.ready, false);
      assert.match(source?.reason ?? '', words);
    });
    await lab.fault('api-status', 'off');
    await eventually(async () => assert.equal((await lab.agent('n1')).state, 'ready'), 30_000);
  }
  assert.ok((await lab.call<number>('faultsHit')) > 0, 'an armed fault was never met');
  await becomesConnected(lab);
});

/** Gives a Node another IPv4 InternalIP and returns the one it had. */
async function rename(lab: Lab, node: string, address: string): Promise<string> {
  interface Addresses {
    readonly status: { readonly addresses: readonly { readonly type: string; readonly address: string }[] };
  }
  const path = `/api/v1/nodes/${node}`;
  const { status } = await lab.api.get<Addresses>(path);
  const isV4 = (a: { type: string; address: string }) => a.type === 'InternalIP' && !a.address.includes(':');
  const had = status.addresses.find(isV4)?.address ?? '';
  const addresses = status.addresses.map((a) => (isV4(a) ? { ...a, address } : a));
  await lab.api.patch(`${path}/status`, { status: { addresses } });
  return had;
}
