/** `fairlead lab configure`: settings of running agents. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { basename, dirname, join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { eventually, Lab } from '../../src/lab/client.ts';
import { agentsReady, becomesConnected } from './support/expect.ts';

const MAIN = join(import.meta.dirname, '../../src/lab/main.ts');

test('lab configure: single settings change live, on one node or all; others stay; KEY= takes one away', async () => {
  await using lab = await Lab.start({ nodes: 2, pods: 1, segments: 1 });
  await agentsReady(lab);
  const configure = (...words: readonly string[]) =>
    promisify(execFile)(
      process.execPath,
      [MAIN, 'configure', '--name', basename(lab.dir), '--state-dir', dirname(lab.dir), ...words],
      { timeout: 20_000 },
    );
  const transports = async () => (await lab.agent('n1')).pairs.map((pair) => pair.transport);
  assert.deepEqual(await transports(), ['layer2']);
  await configure('transport=vxlan', 'vxlan.vni=7');
  await eventually(async () => assert.deepEqual(await transports(), ['vxlan']));
  await eventually(async () =>
    assert.match(await lab.run('n1', 'ip', '-d', 'link', 'show', 'type', 'vxlan'), /vxlan id 7 /),
  );
  await becomesConnected(lab);
  await configure('vxlan.vni=', '--node', 'n1');
  const text = await lab.run('n1', 'cat', '/run/fairlead/config.yaml');
  assert.match(text, /transport"?: "?vxlan/);
  assert.doesNotMatch(text, /vni/);
  assert.match(await lab.run('n2', 'cat', '/run/fairlead/config.yaml'), /vni/);
  await eventually(async () => assert.deepEqual((await lab.agent('n1')).problems, []));
  await assert.rejects(configure('transport'), /"transport" is not KEY=VALUE/);
});
