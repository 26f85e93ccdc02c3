/** The underlay's MTU falls below what IPv6 in vxlan needs, and comes back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, Lab } from '../../src/lab/client.ts';
import { ours } from './support/dump.ts';
import { agentsReady, becomesConnected, line } from './support/expect.ts';

const NODES = ['n1', 'n2', 'n3'];

test('an MTU dip below 1330: IPv4 pods go on, the link is told, and afterwards everything is as before', async (t) => {
  await using lab = await Lab.start({ nodes: 3, pods: 1 });
  await agentsReady(lab);
  await becomesConnected(lab);
  const before = await Promise.all(NODES.map((node) => ours(lab, node)));
  const asBefore = () =>
    eventually(async () => {
      for (const [i, node] of NODES.entries())
        assert.deepEqual((await ours(lab, node)).split('\n'), before[i]?.split('\n'), node);
    });

  await lab.fault('mtu', 'n3', '1300');
  await t.test('the problem names the link and both MTUs', async () => {
    await eventually(async () => {
      const { problems, targets } = await lab.agent('n3');
      const told = problems.map((problem) => `${problem.object}: ${problem.message}`);
      assert.match(told.join('\n'), /link fl-vxlan: has MTU 1250 over eth0 with 1300, and IPv6 needs 1280/);
      assert.deepEqual(
        targets.flatMap((target) => target.rows.filter((row) => row.state === 'failed')),
        [],
      );
    });
  });
  await t.test('IPv4 works between all pods, IPv6 where no vxlan of n3 is needed', async () => {
    await eventually(async () => {
      const results = await lab.matrix('tcp');
      const withN3 = (text: string) => text.startsWith('default/n3-');
      const expected = results.filter((r) => r.family === 'ipv4' || withN3(r.from) === withN3(r.to));
      assert.ok(expected.length < results.length, 'nothing was left out');
      assert.deepEqual(expected.filter((r) => r.verdict !== 'allowed').map(line), []);
    });
  });

  await lab.fault('mtu', 'n3', '1500');
  await agentsReady(lab);
  await becomesConnected(lab);
  await asBefore();

  await t.test('the same by hands on the device itself', async () => {
    await lab.run('n3', 'ip', 'link', 'set', 'fl-vxlan', 'mtu', '1000');
    await asBefore();
    await becomesConnected(lab);
  });
});
