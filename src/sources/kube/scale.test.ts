import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { FakeClock } from '../../../test/support/fake-clock.ts';
import {
  type Asked,
  bookmark,
  line,
  reply,
  scriptedServer,
  status,
} from '../../../test/support/kube-server.ts';
import { RecordingSink } from '../../../test/support/recording-sink.ts';
import { until } from '../../../test/support/until.ts';
import { kubeClient } from './client.ts';
import { podsNotOn } from './pods.ts';
import { startKubeSources } from './sources.ts';

const PODS = 4000;
const quiet = { debug() {}, info() {}, warn() {} };
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** A pod of about 5 KB, most of which nobody here wants. */
function pod(i: number) {
  return {
    metadata: {
      name: `web-${i}`,
      namespace: `team-${i % 20}`,
      uid: `00000000-0000-0000-0000-${String(i).padStart(12, '0')}`,
      labels: { app: `app-${i % 100}`, tier: 'backend', 'pod-template-hash': `hash-${i % 100}` },
      managedFields: [{ fieldsV1: 'f'.repeat(4500) }],
    },
    spec: {
      nodeName: `node-${i % 200}`,
      containers: [
        {
          ports: [
            { name: 'http', containerPort: 8080 },
            { name: 'metrics', containerPort: 9090 },
          ],
        },
      ],
    },
    status: {
      phase: 'Running',
      podIPs: [{ ip: `10.0.${i >> 8}.${i & 255}` }, { ip: `fd00::${i.toString(16)}` }],
    },
  };
}

for (const way of ['stream', 'pages'] as const) {
  test(`${PODS} pods in a ${way}: what stays in memory is what we keep of them`, async () => {
    const server = await scriptedServer((asked: Asked, response) => {
      if (asked.kind === 'watch') return response.flushHeaders();
      if (asked.kind === 'watch-list') {
        if (way === 'pages') return reply(response, 422, status(422, 'Invalid', 'no'));
        for (let i = 0; i < PODS; i++) response.write(line('ADDED', pod(i)));
        return void response.write(bookmark('9', true));
      }
      const from = Number(asked.query.get('continue') ?? 0);
      const items = Array.from({ length: Math.min(500, PODS - from) }, (_, i) => pod(from + i));
      const metadata = { resourceVersion: '9', ...(from + 500 < PODS && { continue: String(from + 500) }) };
      reply(response, 200, { metadata, items });
    });
    const client = kubeClient({ server: server.url });
    const sink = new RecordingSink();
    collect();
    const before = process.memoryUsage().heapUsed;
    const shared = { client, sink, clock: new FakeClock(), random: () => 0.5, log: quiet };
    const sources = startKubeSources({ ...shared, kinds: [podsNotOn('n1')] });
    await until('ready', () => sink.isReady('peers'), 60_000);
    server.asked.length = 0;
    collect();
    const each = (process.memoryUsage().heapUsed - before) / PODS;
    const kept = sink.table('peers').size;
    sources.close();
    client.close();
    await server.close();
    assert.equal(kept, PODS);
    assert.ok(each < 850, `${Math.round(each)} bytes a pod`);
  });
}
