/** Pods that are wider than the tunnel that came after them: TCP fits, although nobody hears of "packet too big". */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, Lab } from '../../src/lab/client.ts';
import { agentsReady } from './support/expect.ts';

const PODS = ['default/n1-a', 'default/n2-a'] as const;
const PORT = 9009;
const SIZE = 200_000;

/** Says back what it hears. */
const ECHO = `require("net").createServer({ allowHalfOpen: true }, (s) => s.pipe(s)).listen(${PORT}, "::")`;
/** Sends so much, and prints how much came back within the time. */
const ASK = `const [to, size, ms] = process.argv.slice(1); let heard = 0; const s = require("net").connect(${PORT}, to);
const say = () => { console.log(heard); process.exit() };
s.on("data", (d) => (heard += d.length)).on("end", say).on("error", say); s.end(Buffer.alloc(+size)); setTimeout(say, +ms)`;
/** Neither learns from routers how narrow a path is. */
const DEAF = `table inet deaf { chain in { type filter hook input priority 0
  icmp type destination-unreachable drop
  icmpv6 type packet-too-big drop
}
}`;

test('pods of 1500 bytes live on when the transport becomes vxlan; only while they are there is the MSS clamped', async (t) => {
  await using lab = await Lab.start({ nodes: 2, pods: 1, segments: 1, transport: 'layer2' });
  await agentsReady(lab);
  const clamps = async (node: string) => {
    const table = await lab.run(node, 'nft', 'list', 'table', 'inet', 'fairlead');
    return /chain clamp-mss \{/.test(table);
  };
  const { pods } = await lab.status();
  const heard = async (milliseconds: number) => {
    const asked = PODS.flatMap((from) =>
      pods
        .filter(({ name }) => name !== from && PODS.some((pod) => pod === name))
        .flatMap(({ ips }) => ips)
        .map((to) =>
          lab.run(from, process.execPath, '-e', ASK, to, String(SIZE), String(milliseconds)).then(Number),
        ),
    );
    return await Promise.all(asked);
  };
  const all = Array(4).fill(SIZE);
  for (const pod of PODS) {
    void lab.exec(pod, process.execPath, '-e', ECHO);
    await lab.run(pod, 'nft', DEAF);
    await eventually(() => lab.run(pod, 'sh', '-c', `ss -lnt | grep -q :${PORT}`));
  }
  for (const node of ['n1', 'n2']) assert.equal(await clamps(node), false, node);
  assert.deepEqual(await heard(10_000), all);

  await lab.configure({ transport: 'vxlan' });
  await eventually(async () => {
    for (const node of ['n1', 'n2'])
      assert.match(await lab.run(node, 'ip', 'route', 'show', 'proto', '201'), /fl-vxlan/);
  });
  await agentsReady(lab);
  await t.test('clamped', async () => {
    await eventually(async () => {
      for (const node of ['n1', 'n2']) assert.equal(await clamps(node), true, node);
    });
    assert.deepEqual(await heard(10_000), all);
  });
  await t.test('on one node it serves both directions', async () => {
    await lab.fault('agent', 'n2', 'kill');
    await lab.run('n2', 'nft', 'flush chain inet fairlead clamp-mss-of-pods');
    assert.deepEqual(await heard(10_000), all);
  });
  await t.test('without it nothing large passes', async () => {
    await lab.fault('agent', 'n1', 'kill');
    await lab.run('n1', 'nft', 'flush chain inet fairlead clamp-mss-of-pods');
    for (const count of await heard(1500)) assert.ok(count < SIZE, `${count}`);
  });
  await t.test('pods that came after the tunnel need none', async () => {
    for (const node of ['n1', 'n2']) await lab.fault('agent', node, 'start');
    await agentsReady(lab);
    await eventually(async () => assert.equal(await clamps('n1'), true));
    await lab.addPod('n1-new', 'n1');
    await lab.removePod('default/n1-a');
    await eventually(async () => assert.equal(await clamps('n1'), false));
    assert.equal(await clamps('n2'), true);
  });
});
