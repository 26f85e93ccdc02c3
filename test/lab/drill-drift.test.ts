/** Drills 5, 6, 7 and 9: hands other than ours change the kernel, notifications get lost, single rows are refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, Lab } from '../../src/lab/client.ts';
import { CalmTime } from '../../src/lab/deadline.ts';
import type { DriftRecord } from '../../src/model/api.ts';
import { ours } from './support/dump.ts';
import { agentsReady, becomesConnected, fullyConnected } from './support/expect.ts';

/** What is done, and which kinds of row show it. */
const OURS_CHANGED = [
  'route-delete',
  'route6-delete',
  'route-flush',
  'route-alter',
  'nexthop-delete',
  'nexthop-alter',
  'nexthop-flush',
  'neighbour-delete',
  'neighbour-alter',
  'fdb-delete',
  'fdb-alter',
  'link-delete',
  'link-down',
  'link-mtu',
  'nft-delete',
  'nft-flush',
  'nft-element',
  'nft-bridge-delete',
  'nft-bridge-element',
  'sysctl',
  'sysctl6',
  'conflist-delete',
  'conflist-alter',
] as const;

test('drill 9: every kind of drift is repaired in less than a second; foreign things stay', async (t) => {
  await using lab = await Lab.start({ nodes: 3, pods: 1, transport: 'vxlan', segments: 1 });
  await agentsReady(lab);
  for (const foreign of ['route-foreign', 'link-foreign', 'nft-foreign'])
    await lab.fault('drift', 'n1', foreign);
  const before = await ours(lab, 'n1');
  for (const kind of OURS_CHANGED) {
    await t.test(kind, async (t) => {
      const since = Date.now();
      await lab.fault('drift', 'n1', kind);
      const begun = performance.now();
      const calm = new CalmTime();
      let took = 0;
      await eventually(async () => {
        took = calm.ms;
        assert.equal(await ours(lab, 'n1'), before);
      }, 5000);
      t.diagnostic(`as it was after ${(performance.now() - begun).toFixed(0)} ms`);
      const slow = (await drifts(lab)).filter(
        ({ at, repaired }) => at >= since && repaired !== undefined && repaired - at >= 1000,
      );
      // The agent's clock does not know what else runs on this machine.
      if (took >= 1000) assert.deepEqual(slow, [], 'repaired late');
    });
  }
  await t.test('what carries our mark and nobody wants is removed', async () => {
    await lab.fault('drift', 'n1', 'route-ours-foreign');
    await lab.fault('drift', 'n1', 'nexthop-ours-foreign');
    await lab.fault('drift', 'n1', 'nft-ours-foreign');
    await eventually(async () => assert.equal(await ours(lab, 'n1'), before), 5000);
  });
  await t.test('foreign things were not touched', async () => {
    assert.match(await lab.run('n1', 'ip', 'route', 'show', '10.99.0.0/16'), /proto static/);
    assert.match(await lab.run('n1', 'ip', 'link', 'show', 'foreign0'), /foreign0/);
    assert.match(await lab.run('n1', 'nft', 'list', 'table', 'inet', 'foreign'), /counter/);
  });
  await t.test('the record names what happened', async () => {
    const records = await drifts(lab);
    assert.deepEqual([...new Set(records.map((d) => d.kind))].sort(), ['altered', 'foreign', 'missing']);
    for (const target of [
      'route',
      'nexthop',
      'neighbor',
      'fdb',
      'link',
      'nft',
      'nft-bridge',
      'sysctl',
      'file',
    ])
      assert.ok(
        records.some((d) => d.target === target),
        `no record of ${target}`,
      );
  });
  await fullyConnected(lab);
});

test('the underlay link goes down and up: everything comes back', async () => {
  await using lab = await Lab.start({ nodes: 3, pods: 1 });
  await agentsReady(lab);
  await lab.fault('link', 'n2', 'down');
  await eventually(async () => {
    const result = await lab.probe('default/n1-a', 'default/n2-a', { timeout: 200 });
    assert.notEqual(result.verdict, 'allowed');
  });
  await lab.fault('link', 'n2', 'up');
  await becomesConnected(lab);
});

test('drill 5: a flood of events overflows the notification socket: the loss is noticed and made good', async () => {
  await using lab = await Lab.start({ nodes: 2, pods: 1 });
  await agentsReady(lab);
  const before = await ours(lab, 'n1');
  // Asleep, the agent reads nothing, and its receive buffer runs over long before what matters happens.
  await lab.fault('agent', 'n1', 'stop');
  await lab.run('n1', 'sh', '-c', FLOOD);
  await lab.fault('drift', 'n1', 'route-flush');
  await lab.fault('agent', 'n1', 'cont');
  await eventually(async () => assert.equal(await ours(lab, 'n1'), before), 10_000);
  await becomesConnected(lab);
});

test('drill 6: one row is refused: its neighbours are done, it shows the kernel’s words and its next try', async () => {
  await using lab = await Lab.start({ nodes: 3, pods: 1, agents: false });
  // Somebody else's link has the name of our device: we must not take it, and cannot make ours.
  await lab.run('n1', 'ip', 'link', 'add', 'fl-vxlan', 'type', 'bridge');
  for (const node of ['n1', 'n2', 'n3']) await lab.fault('agent', node, 'start');
  await eventually(async () => {
    const { state, targets } = await lab.agent('n1');
    assert.equal(state, 'degraded');
    const row = targets.find((t) => t.name === 'link')?.rows.find((r) => r.key === 'fl-vxlan');
    assert.equal(row?.state, 'failed');
    assert.ok((row?.message ?? '') !== '', 'no words');
    assert.ok(row?.nextTry !== undefined, 'no next try');
    const route = targets.find((t) => t.name === 'route');
    assert.ok((route?.done ?? 0) >= 2, 'the layer2 peer has its routes');
  });
  assert.match(await lab.run('n1', 'ip', '-d', 'link', 'show', 'fl-vxlan'), /bridge/);
  await eventually(async () => {
    const result = await lab.probe('n1', 'n2');
    assert.equal(result.verdict, 'allowed');
  });
  await lab.run('n1', 'ip', 'link', 'del', 'fl-vxlan');
  await lab.settled(30_000);
  await becomesConnected(lab, 30_000);
});

const drifts = (lab: Lab): Promise<DriftRecord[]> => lab.agent<DriftRecord[]>('n1', '/v1/drift');

/** 60,000 routes of somebody else come and go: more notifications than any receive buffer holds. */
const FLOOD = `
for verb in add del; do
  for i in $(seq 1 30000); do echo "route $verb blackhole 172.$((16 + i / 65536)).$((i / 256 % 256)).$((i % 256))/32"; done | ip -batch -
done
`;
