/** Pods of all nodes reach each other, whatever the family, transport and wires; sources are kept; what leaves the cluster is masqueraded. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { eventually, Lab } from '../../src/lab/client.ts';
import { agentsReady, fullyConnected, line, unharmed } from './support/expect.ts';

test('two wires, auto, dual stack: layer2 on a wire, vxlan between them, everything reaches everything', async (t) => {
  await using lab = await Lab.start();
  t.diagnostic(`up in ${lab.milliseconds.toFixed(0)} ms`);
  for (const protocol of ['tcp', 'udp', 'icmp'] as const) await fullyConnected(lab, protocol);
  await agentsReady(lab);
  const { nodes } = await lab.status();
  const transports = nodes.map((n) => n.agent.pairs.map((p) => `${n.name}→${p.node} ${p.transport}`));
  assert.deepEqual(transports.flat().sort(), [
    'n1→n2 layer2',
    'n1→n3 vxlan',
    'n2→n1 layer2',
    'n2→n3 vxlan',
    'n3→n1 vxlan',
    'n3→n2 vxlan',
  ]);

  await t.test('pods and nodes reach each other; the far end sees the pod, or the node', async () => {
    const { pods } = await lab.status();
    for (const family of ['ipv4', 'ipv6'] as const) {
      for (const to of ['n1', 'n2', 'n3']) {
        const result = await lab.probe('default/n1-a', to, { family });
        const own = pods.find((p) => p.name === 'default/n1-a')?.ips ?? [];
        assert.equal(result.verdict, 'allowed', line(result));
        assert.ok(own.includes(result.source), `masqueraded towards a node: ${line(result)}`);
      }
      for (const to of ['default/n1-a', 'default/n2-a', 'default/n3-a'])
        assert.equal((await lab.probe('n1', to, { family })).verdict, 'allowed', `n1 → ${to} ${family}`);
    }
  });

  await t.test('outside sees the node, both families, and cannot reach a pod', async () => {
    const expected = { ipv4: '192.0.2.11', ipv6: '2001:db8:0:1::b' } as const;
    for (const family of ['ipv4', 'ipv6'] as const) {
      const out = await lab.probe('default/n1-a', 'outside', { family });
      assert.equal(`${out.verdict} ${out.source}`, `allowed ${expected[family]}`);
      const udp = await lab.probe('default/n1-a', 'outside', { family, protocol: 'udp' });
      assert.equal(`${udp.verdict} ${udp.source}`, `allowed ${expected[family]}`);
      const back = await lab.probe('outside', 'default/n1-a', { family, timeout: 300 });
      assert.notEqual(back.verdict, 'allowed');
    }
  });

  await t.test('a closed port is refused, not dropped', async () => {
    for (const protocol of ['tcp', 'udp'] as const) {
      const result = await lab.probe('default/n1-a', 'default/n3-a', { protocol, port: 4 });
      assert.equal(result.verdict, 'rejected', line(result));
    }
  });

  await t.test('packets of the pod MTU pass undivided, both families; one byte more does not', async () => {
    const mtu = nodes[0]?.agent.podMtu ?? 0;
    assert.equal(mtu, 1450);
    for (const [family, headers] of [
      ['ipv4', 28],
      ['ipv6', 48],
    ] as const) {
      for (const to of ['default/n1-b', 'default/n2-a', 'default/n3-a']) {
        const options = { protocol: 'udp', family, timeout: 500 } as const;
        const fits = await lab.probe('default/n1-a', to, { ...options, size: mtu - headers });
        assert.equal(fits.verdict, 'allowed', line(fits));
        const tooLong = await lab.probe('default/n1-a', to, { ...options, size: mtu - headers + 1 });
        assert.notEqual(tooLong.verdict, 'allowed', line(tooLong));
      }
    }
  });

  await t.test('the CNI plugins find their work as they left it (CHECK)', () => lab.call('checkPods'));

  await t.test(
    'kubectl sees nodes and pods',
    { skip: !hasKubectl() && 'cannot: no kubectl here' },
    async () => {
      // Not a synchronous call: the way to the API server leads through this process.
      const { stdout: text } = await promisify(execFile)(
        'kubectl',
        ['--kubeconfig', lab.kubeconfig, 'get', 'nodes,pods', '-A', '-o', 'wide'],
        { timeout: 20_000 },
      );
      assert.match(text, /node\/n1 +Ready .*192\.0\.2\.11/);
      assert.equal(text.match(/1\/1 +Running/g)?.length, 6);
    },
  );
});

for (const family of ['ipv4', 'ipv6'] as const) {
  for (const transport of ['layer2', 'vxlan'] as const) {
    test(`${family} alone, ${transport}`, async () => {
      const segments = transport === 'layer2' ? 1 : 2;
      await using lab = await Lab.start({ nodes: 2, pods: 1, families: [family], transport, segments });
      await fullyConnected(lab);
      const out = await lab.probe('default/n1-a', 'outside', { family });
      assert.equal(out.verdict, 'allowed');
      assert.ok((await lab.status()).nodes[0]?.addresses.includes(out.source), line(out));
    });
  }
}

test('layer2 dual stack on one wire keeps the whole MTU', async () => {
  await using lab = await Lab.start({ nodes: 2, pods: 1, segments: 1, transport: 'layer2' });
  await fullyConnected(lab);
  await eventually(async () => assert.equal((await lab.agent('n1')).podMtu, 1500));
  const full = await lab.probe('default/n1-a', 'default/n2-a', { protocol: 'udp', size: 1472 });
  assert.equal(full.verdict, 'allowed', line(full));
});

test('layer2 cannot cross a router, and says so', async () => {
  await using lab = await Lab.start({ nodes: 2, pods: 1, segments: 2, transport: 'layer2', wait: false });
  await eventually(async () => {
    const { problems } = await lab.agent('n1');
    assert.ok(
      problems.some((p) => p.object.includes('n2') && /on-link|layer2/.test(`${p.message} ${p.hint ?? ''}`)),
      JSON.stringify(problems),
    );
  });
});

test('a stream at 200 a second loses nothing while nothing happens', async () => {
  await using lab = await Lab.start({ nodes: 2 });
  const stream = await lab.stream({ rate: 200, count: 400 });
  unharmed(await stream.finish(), 400);
  const flows = await lab.stream({ rate: 200, count: 400, protocol: 'tcp' });
  unharmed(await flows.finish(), 400);
});

function hasKubectl(): boolean {
  return ['/usr/bin/kubectl', '/usr/local/bin/kubectl'].some(existsSync);
}
