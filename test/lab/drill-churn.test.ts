/** Drill 13, the short version: 10,000 API events a minute; memory, descriptors and latency stay flat. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, Lab } from '../../src/lab/client.ts';
import { CalmTime } from '../../src/lab/deadline.ts';
import { agentsReady, unharmed } from './support/expect.ts';

const PER_SECOND = 167;
const SECONDS = 18;
const PODS = '/api/v1/namespaces/default/pods';

test('drill 13: 10,000 events a minute', async (t) => {
  await using lab = await Lab.start({ nodes: 2, pods: 3, segments: 1 });
  await agentsReady(lab);
  const names = (await lab.status()).pods.map((pod) => pod.name.split('/')[1] ?? '');
  const stream = await lab.stream({ rate: 100 });
  let sent = 0;
  let failed = 0;
  const begun = performance.now();
  const early = { rss: 0, fds: 0 };
  const latencies: number[] = [];
  for (let second = 0; second < SECONDS; second++) {
    if (second === 4) Object.assign(early, await size(lab));
    if (second % 4 === 2) latencies.push(await reaction(lab, second));
    const until = begun + (second + 1) * 1000;
    while (sent < PER_SECOND * (second + 1)) {
      const batch = Array.from({ length: 8 }, () => {
        sent++;
        const labels = { churn: String(sent) };
        return lab.api
          .patch(`${PODS}/${names[sent % names.length]}`, { metadata: { labels } })
          .catch(() => failed++);
      });
      await Promise.all(batch);
    }
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, until - performance.now())));
  }
  const late = await size(lab);
  const took = (performance.now() - begun) / 1000;
  t.diagnostic(
    `${sent} events in ${took.toFixed(1)} s, RSS ${early.rss} → ${late.rss} MB, fds ${early.fds} → ${late.fds}`,
  );
  t.diagnostic(`a Node's route after ${latencies.map((ms) => ms.toFixed(0)).join(', ')} ms`);
  assert.equal(failed, 0);
  assert.ok(late.rss - early.rss < 25, 'memory grows');
  assert.ok(late.fds - early.fds <= 2, 'descriptors grow');
  assert.ok(Math.max(...latencies) < 1500, 'slow under churn');
  await agentsReady(lab);
  unharmed(await stream.stop(), 1000);
});

/** Milliseconds of a calm machine until n1 has a route to a Node that appears now. It leaves again. */
async function reaction(lab: Lab, i: number): Promise<number> {
  const name = `extra-${i}`;
  const podCIDR = `10.244.${200 + i}.0/24`;
  const calm = new CalmTime();
  await lab.api.create('/api/v1/nodes', {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name },
    spec: { podCIDR, podCIDRs: [podCIDR] },
    status: { addresses: [{ type: 'InternalIP', address: `192.0.2.${200 + i}` }] },
  });
  let ms = 0;
  await eventually(async () => {
    ms = calm.ms;
    assert.match(await lab.run('n1', 'ip', 'route', 'show', podCIDR), /proto 201/);
  });
  await lab.api.delete(`/api/v1/nodes/${name}`);
  return ms;
}

async function size(lab: Lab): Promise<{ rss: number; fds: number }> {
  const agent = (await lab.status()).nodes[0]?.agent;
  const fds = (await lab.run('n1', 'ls', `/proc/${agent?.pid}/fd`)).trim().split('\n').length;
  return { rss: agent?.rss ?? 0, fds };
}
