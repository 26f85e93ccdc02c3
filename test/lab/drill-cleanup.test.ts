/** Drill 16: after `fairlead cleanup` the machine is as it was before; what is not ours stays. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, Lab } from '../../src/lab/client.ts';
import { dump } from './support/dump.ts';
import { agentsReady } from './support/expect.ts';

for (const transport of ['layer2', 'vxlan'] as const) {
  test(`drill 16: cleanup after ${transport}: the machine as it was`, async () => {
    await using lab = await Lab.start({ nodes: 2, pods: 0, segments: 1, transport, agents: false });
    await lab.run(
      'n1',
      'nft',
      'add table inet foreign; add chain inet foreign c { type filter hook forward priority 5; }',
    );
    await lab.run('n1', 'ip', 'route', 'add', 'blackhole', '10.99.0.0/16', 'proto', 'static');
    const before = await dump(lab, 'n1');
    for (const node of ['n1', 'n2']) await lab.fault('agent', node, 'start');
    await agentsReady(lab);
    await eventually(async () => assert.notEqual(await dump(lab, 'n1'), before));
    await lab.fault('agent', 'n1', 'term');
    assert.notEqual(await dump(lab, 'n1'), before, 'SIGTERM leaves the data plane');
    await lab.run('n1', 'fairlead', 'cleanup', '--yes');
    assert.equal(await dump(lab, 'n1'), before);
    await lab.run('n1', 'fairlead', 'cleanup', '--yes');
    assert.equal(await dump(lab, 'n1'), before, 'a second cleanup changes nothing');
  });
}
