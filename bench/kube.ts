/**
 * The Kubernetes sources at size: a fake API server in a process of its own serves N pods of about 6 KB (as real ones are, with managedFields);
 * measured are wall time, CPU, peak RSS and the longest stall of the event loop until the table is ready, once through WatchList
 * and once through pages.
 *
 *   sh scripts/node.sh bench/kube.ts [PODS=150000]
 *
 * What is measured runs bundled and with the flags that ship: Node.js' own stripping of types would cost 30 MB more.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { build } from 'esbuild';
import { systemClock } from '../src/agent/clock.ts';
import { WorldStore } from '../src/model/world-store.ts';
import { kubeClient } from '../src/sources/kube/client.ts';
import { pods } from '../src/sources/kube/pods.ts';
import { startKubeSources } from '../src/sources/kube/sources.ts';

const PODS = Number(process.argv[3] ?? process.argv[2] ?? 150_000) || 150_000;
const role = process.argv[2];

if (role === 'server') serve();
else if (role === 'watch-list' || role === 'pages') await measure(role);
else await compare();

/** Runs each way in a fresh process, so that one's garbage is not the other's memory. */
async function compare(): Promise<void> {
  console.log(`${PODS} pods of ${pod(0).length} bytes`);
  console.log('way         wall s   CPU s   peak RSS MB   after MB   longest stall ms');
  const folder = mkdtempSync(join(import.meta.dirname, '.kube-'));
  try {
    const outfile = join(folder, 'bench.mjs');
    const settings = { bundle: true, platform: 'node', format: 'esm' } as const;
    await build({ ...settings, entryPoints: [import.meta.filename], outfile, external: ['yaml', 'esbuild'] });
    for (const way of ['watch-list', 'pages']) {
      const child = fork(outfile, [way, String(PODS)], { execArgv: ['--max-semi-space-size=4'] });
      const [code] = await once(child, 'exit');
      if (code !== 0) process.exitCode = 1;
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(way: 'watch-list' | 'pages'): Promise<void> {
  const server: ChildProcess = fork(import.meta.filename, ['server', String(PODS)], {
    env: { ...process.env, WAY: way },
  });
  const [port] = await once(server, 'message');
  const client = kubeClient({ server: `http://127.0.0.1:${port}` });
  const store = new WorldStore(systemClock);
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  const began = performance.now();
  const cpu = process.cpuUsage();
  const quiet = { debug() {}, info() {}, warn: console.error };
  const options = { client, sink: store, clock: systemClock, random: Math.random, log: quiet };
  const sources = startKubeSources({ ...options, kinds: [pods] });
  while (!store.world.pods.ready) await new Promise((resolve) => setTimeout(resolve, 20));
  const wall = (performance.now() - began) / 1000;
  const used = process.cpuUsage(cpu);
  store.take();
  await new Promise((resolve) => setTimeout(resolve, 100));
  if (store.world.pods.objects.size !== PODS)
    throw new Error(`${store.world.pods.objects.size} pods arrived`);
  const numbers = [
    wall.toFixed(1).padStart(7),
    ((used.user + used.system) / 1e6).toFixed(1).padStart(7),
    Math.round(process.resourceUsage().maxRSS / 1024)
      .toString()
      .padStart(13),
    Math.round(process.memoryUsage().rss / 1e6)
      .toString()
      .padStart(10),
    Math.round(delay.max / 1e6)
      .toString()
      .padStart(18),
  ];
  console.log(`${way.padEnd(11)} ${numbers.join(' ')}`);
  sources.close();
  client.close();
  server.kill();
}

function serve(): void {
  const server = createServer((request, response) => {
    const { searchParams: query } = new URL(request.url ?? '/', 'http://server');
    if (query.get('sendInitialEvents') === 'true') {
      if (process.env.WAY === 'watch-list') return void streamAll(response);
      response.writeHead(422).end('{"kind":"Status","code":422}');
    } else if (query.get('watch') === 'true') response.flushHeaders();
    else page(response, Number(query.get('continue') ?? 0), Number(query.get('limit')));
  });
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    process.send?.(typeof address === 'object' && address ? address.port : 0);
  });
  process.on('disconnect', () => process.exit());
}

async function streamAll(response: ServerResponse): Promise<void> {
  for (let i = 0; i < PODS; i++) {
    if (!response.write(`{"type":"ADDED","object":${pod(i)}}\n`)) await once(response, 'drain');
  }
  const metadata = { resourceVersion: '9', annotations: { 'k8s.io/initial-events-end': 'true' } };
  response.write(`${JSON.stringify({ type: 'BOOKMARK', object: { kind: 'Pod', metadata } })}\n`);
}

function page(response: ServerResponse, from: number, limit: number): void {
  const end = Math.min(PODS, from + limit);
  const items: string[] = [];
  for (let i = from; i < end; i++) items.push(pod(i));
  const next = end < PODS ? `,"continue":"${end}"` : '';
  response.end(`{"kind":"PodList","metadata":{"resourceVersion":"9"${next}},"items":[${items.join()}]}`);
}

function pod(i: number): string {
  const hex = i.toString(16).padStart(8, '0');
  const app = `app-${i % 3000}`;
  return JSON.stringify({
    metadata: {
      name: `${app}-${hex}-x7k2p`,
      namespace: `team-${i % 200}`,
      uid: `${hex}-1234-4321-abcd-0123456789ab`,
      resourceVersion: String(i + 1),
      labels: { app, 'pod-template-hash': `h${i % 3000}`, tier: 'backend' },
      managedFields: [{ manager: 'kubelet', fieldsV1: { filler: 'f'.repeat(2600) } }],
    },
    spec: {
      nodeName: `node-${i % 5000}`,
      containers: [
        {
          name: 'main',
          image: 'registry.example/app:1',
          env: Array.from({ length: 12 }, (_, e) => ({
            name: `VARIABLE_${e}`,
            value: `value ${e} of ${app}`,
          })),
        },
      ],
      tolerations: Array.from({ length: 6 }, (_, t) => ({
        key: `node.example/condition-${t}`,
        operator: 'Exists',
        effect: 'NoExecute',
      })),
    },
    status: {
      phase: 'Running',
      podIPs: [
        { ip: `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}` },
        { ip: `fd00::${(i >> 16).toString(16)}:${(i & 0xffff).toString(16)}` },
      ],
      conditions: Array.from({ length: 5 }, (_, c) => ({
        type: `Condition${c}`,
        status: 'True',
        lastTransitionTime: '2026-01-01T00:00:00Z',
      })),
      containerStatuses: [
        { name: 'main', ready: true, imageID: 'x'.repeat(200), containerID: 'y'.repeat(80) },
      ],
    },
  });
}
