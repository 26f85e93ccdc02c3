/** Drill 10 and other bad input: what cannot be is said by name, and what was good stays. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually, Lab } from '../../src/lab/client.ts';
import { defaultTopology } from '../../src/lab/topology/topology.ts';
import { ours } from './support/dump.ts';
import { agentsReady, becomesConnected, fullyConnected, unharmed } from './support/expect.ts';

const broken: readonly [string, string, RegExp][] = [
  ['no YAML at all', '{ transport: ', /config\.yaml|YAML|line/i],
  ['a setting misspelt', 'transprot: vxlan\n', /transprot.*transport/s],
  ['a value that is none', 'transport: carrier-pigeon\n', /transport.*(layer2|vxlan|auto)/s],
  ['a transport that is not built', 'transport: wireguard\n', /transport|wireguard/],
  ['a number out of range', 'vxlan:\n  vni: 99999999\n', /vni/],
];

test('drill 10: a broken configuration: the last good one stays, the error names the setting', async (t) => {
  await using lab = await Lab.start({ nodes: 2, pods: 1, transport: 'vxlan', segments: 1 });
  await agentsReady(lab);
  const before = await ours(lab, 'n1');
  const stream = await lab.stream({ rate: 100 });
  for (const [what, text, words] of broken) {
    await t.test(what, async () => {
      await lab.call('writeConfig', { node: 'n1', text });
      await eventually(async () => {
        const { problems } = await lab.agent('n1');
        const said = problems.map((p) => `${p.object} ${p.message} ${p.hint ?? ''}`).join('\n');
        assert.match(said, words);
      });
      assert.equal(await ours(lab, 'n1'), before);
      await lab.configure({ transport: 'vxlan' }, 'n1');
      await eventually(async () => assert.deepEqual((await lab.agent('n1')).problems, []));
    });
  }
  unharmed(await stream.stop(), 10);
});

test('no room for the conflist: said with its path; the node becomes Ready when there is room', async () => {
  await using lab = await Lab.start({ nodes: 2, pods: 1, agents: false });
  await lab.fault('disk-full', 'n1', 'on');
  for (const node of ['n1', 'n2']) await lab.fault('agent', node, 'start');
  await eventually(async () => {
    const { state, targets } = await lab.agent('n1');
    assert.equal(state, 'degraded');
    const row = targets.find((t) => t.name === 'file')?.rows.find((r) => r.state === 'failed');
    assert.match(`${row?.key} ${row?.message}`, /conflist.*(space|full|ENOSPC)/is);
  });
  // The rest goes on: routes are there although the file is not.
  assert.match(await lab.run('n1', 'ip', 'route', 'show', 'proto', '201'), /10\.244/);
  assert.equal((await lab.status()).nodes.find((n) => n.name === 'n1')?.ready, false);
  await lab.fault('disk-full', 'n1', 'off');
  await lab.settled(60_000);
  await becomesConnected(lab);
});

test('two nodes claim one pod range: reported, settled by the older one, never a flap', async () => {
  const base = defaultTopology({ nodes: 2, pods: 1, segments: 1 });
  await using lab = await Lab.start({ topology: base });
  await agentsReady(lab);
  const before = await ours(lab, 'n1');
  const [n2] = (await lab.status()).nodes.filter((n) => n.name === 'n2');
  await lab.api.create('/api/v1/nodes', {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'thief' },
    spec: { podCIDR: n2?.podCidrs[0], podCIDRs: n2?.podCidrs },
    status: { addresses: [{ type: 'InternalIP', address: '192.0.2.200' }] },
  });
  await eventually(async () => {
    const { problems } = await lab.agent('n1');
    const said = problems.map((p) => `${p.object} ${p.message}`).join('\n');
    assert.match(said, /thief/);
    assert.match(said, /10\.244\./);
  });
  assert.deepEqual(routesIn(await ours(lab, 'n1')), routesIn(before));
  await fullyConnected(lab);
});

/** Nodes as no controller should make them: addresses, pod CIDRs, what is said of each. */
const NONSENSE: Readonly<Record<string, readonly [addresses: string[], podCidrs: string[], said: RegExp]>> = {
  'no-address': [[], ['10.244.91.0/24'], /^Node no-address: has no InternalIP in status.addresses/m],
  'bad-address': [['192.0.2.300'], ['10.244.92.0/24'], /^Node bad-address: .*"192\.0\.2\.300"/m],
  'bad-cidr': [['192.0.2.203'], ['10.244.93.0/99'], /^Node bad-cidr: .*podCIDRs\[0\] "10\.244\.93\.0\/99"/m],
  'host-bits': [['192.0.2.204'], ['10.244.94.7/24'], /^Node host-bits: .*"10\.244\.94\.7\/24".*host bits/m],
  'over-ours': [['192.0.2.205'], ['10.244.0.0/17'], /^Node over-ours: .*10\.244\.0\.0\/17.* overlaps /m],
  'over-wire': [
    ['192.0.2.206'],
    ['192.0.2.240/28'],
    /^Node over-wire: .*192\.0\.2\.240\/28 overlaps 192\.0\.2\.0\/24 of eth0/m,
  ],
};

test('Nodes with nonsense in them: named in status and log, and the others carry on', async () => {
  await using lab = await Lab.start({ nodes: 2, pods: 1, segments: 1 });
  await agentsReady(lab);
  const before = routesIn(await ours(lab, 'n1'));
  await lab.fault('api-credulous', 'on');
  for (const [name, [addresses, podCIDRs]] of Object.entries(NONSENSE)) {
    const status = { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) };
    const spec = { podCIDR: podCIDRs[0], podCIDRs };
    await lab.api.create('/api/v1/nodes', {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name },
      spec,
      status,
    });
  }
  await eventually(async () => {
    const { problems } = await lab.agent('n1');
    const status = problems.map((p) => `${p.object}: ${p.message}`).join('\n');
    const log = readFileSync(join(lab.dir, 'nodes/n1/agent.log'), 'utf8').replaceAll('\\"', '"');
    for (const [, , said] of Object.values(NONSENSE)) {
      assert.match(status, said);
      assert.match(log, new RegExp(said.source.replace('^', '"msg":"'), 'm'));
    }
  });
  assert.deepEqual(routesIn(await ours(lab, 'n1')), before);
  await fullyConnected(lab);
});

test('the underlay gets a smaller MTU: pods made after it get less, and what fits passes', async () => {
  await using lab = await Lab.start({ nodes: 2, pods: 1, transport: 'vxlan' });
  await agentsReady(lab);
  for (const node of ['n1', 'n2']) await lab.fault('mtu', node, '1400');
  await eventually(async () => {
    for (const node of ['n1', 'n2']) {
      assert.equal((await lab.agent(node)).podMtu, 1350);
      assert.match(await lab.run(node, 'sh', '-c', 'cat /run/cni/net.d/*'), /"mtu": 1350/);
    }
  });
  await lab.addPod('late', 'n1');
  await lab.settled();
  assert.match(await lab.run('default/late', 'ip', 'link', 'show', 'eth0'), /mtu 1350/);
  const fits = await lab.probe('default/late', 'default/n2-a', { protocol: 'udp', size: 1350 - 28 });
  assert.equal(fits.verdict, 'allowed');
});

/** The routes of a dump; next hop objects of a transport that only stands by come and go. */
const routesIn = (dump: string): string[] =>
  dump.split('\n').filter((line) => / via | dev /.test(line) && !line.startsWith('id '));
