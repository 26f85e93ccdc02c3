/**
 * The sources in bad weather: the lab's API server fails a tenth of the requests, cuts connections, forgets its history, slows down,
 * goes away, while objects come, change and go. Whatever happened: in the end the World is what the server holds.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/agent/clock.ts';
import { startApiServer } from '../../src/lab/apiserver/server.ts';
import { kubeClient } from '../../src/sources/kube/client.ts';
import { record, text } from '../../src/sources/kube/raw.ts';
import { NODES } from '../../src/sources/kube/resource.ts';
import { startKubeSources } from '../../src/sources/kube/sources.ts';
import { seeded } from '../support/fake-clock.ts';
import { RecordingSink } from '../support/recording-sink.ts';
import { until } from '../support/until.ts';

const quiet = { debug() {}, info() {}, warn() {} };
/** Some thirty times faster than in earnest. */
const timing = {
  watch: 1000,
  grace: 200,
  listSilence: 300,
  distrust: 1500,
  backoff: { first: 5, longest: 80 },
};

for (const seed of [1, 2, 3]) {
  test(`in bad weather the World follows (seed ${seed})`, async () => {
    const random = seeded(seed);
    const api = await startApiServer({ random });
    const calm = kubeClient({ server: api.url });
    const client = kubeClient({ server: api.url, timeout: 300 });
    const sink = new RecordingSink();
    const sources = startKubeSources({ client, sink, clock: systemClock, random, log: quiet, timing });
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
    try {
      const faults = [
        api.faults.error500(0.1),
        api.faults.reset(0.05, { verb: 'watch' }),
        api.faults.busy(0, { resource: 'nodes', times: 3 }),
      ];
      for (let step = 0; step < 120; step++) {
        const ref = { ...NODES, name: `n${Math.floor(random() * 12)}` };
        const body = {
          apiVersion: 'v1',
          kind: 'Node',
          metadata: { name: ref.name, labels: { step: `${step}` } },
        };
        const change = pick([
          () => calm.create(NODES, body),
          () => calm.patch(ref, 'merge', body),
          () => calm.delete(ref),
        ]);
        // Half of them are refused: made twice, or not there; and a tenth fails as for everybody.
        await change().catch(() => {});
        if (step % 30 === 10) api.compact();
        if (step % 40 === 20) faults.push(api.faults.reset());
      }
      const away = await api.faults.away();
      await until('the sources notice', () => !sink.isReady('nodes'));
      await away.lift();
      for (const fault of faults) await fault.lift();
      const truth = new Map<string, string>();
      await calm.list(NODES, {}, (item) => {
        const meta = record(item.metadata);
        truth.set(text(meta.name), text(record(meta.labels).step));
      });
      const seen = (): string =>
        [...sink.table('nodes').values()]
          .map((n) => `${n.name}=${n.labels.step}`)
          .sort()
          .join(' ');
      const wanted = [...truth]
        .map(([name, step]) => `${name}=${step}`)
        .sort()
        .join(' ');
      await until(`${wanted} instead of ${seen()}`, () => sink.isReady('nodes') && seen() === wanted);
      assert.ok((['pods', 'namespaces'] as const).every((source) => sink.tables.has(source)));
    } finally {
      sources.close();
      client.close();
      calm.close();
      await api.close();
    }
  });
}

test('a server that falls silent is noticed, and followed again when it speaks', async () => {
  const api = await startApiServer();
  const calm = kubeClient({ server: api.url });
  const client = kubeClient({ server: api.url, timeout: 300 });
  const sink = new RecordingSink();
  const sources = startKubeSources({
    client,
    sink,
    clock: systemClock,
    random: seeded(1),
    log: quiet,
    timing,
  });
  try {
    await until('ready', () => sink.isReady('nodes'));
    const stalled = api.faults.stalled();
    const creating = calm.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'late' } });
    await until('no longer trusted while it lasts', () => !sink.isReady('nodes'));
    assert.ok(stalled.hits > 0 && !sink.table('nodes').has('late'));
    await stalled.lift();
    await creating;
    await until('seen', () => sink.isReady('nodes') && sink.table('nodes').has('late'));
  } finally {
    sources.close();
    client.close();
    calm.close();
    await api.close();
  }
});
