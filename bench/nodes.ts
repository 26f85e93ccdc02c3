/**
 * An agent on one node of a large cluster: cold start until its last kernel row, one Node's change until its route, CPU and memory.
 *
 *   npm run bench -- nodes [--nodes 50,5000] [--pods 0] [--changes 200] [--transport vxlan] [--peer 'CMD']
 *
 * Runs in a network and mount namespace of its own. `--peer CMD` measures another agent on the same objects in the same way; in CMD
 * {kubeconfig} {node} {link} {dir} are filled in, and NODE_NAME is set. A peer is measured by its IPv4 routes.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { nodeName, nodeObject, podCidrs } from './cluster.ts';
import { cpuSeconds, rssMegabytes } from './process-cost.ts';
import { ip, until } from './tools.ts';
import { type KernelWatch, watchKernel } from './watch-kernel.ts';

const LINK = 'eth0';
/** Between two changes. */
const PAUSE_MS = 20;
const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '50,5000' },
    pods: { type: 'string', default: '0' },
    changes: { type: 'string', default: '200' },
    transport: { type: 'string', default: 'vxlan' },
    peer: { type: 'string' },
    runs: { type: 'string', default: '3' },
  },
});

interface Measured {
  readonly wall: number;
  readonly applying: number;
  readonly cpu: number;
  readonly rss: number;
  readonly p50: number;
  readonly p99: number;
  /** The same without the API server's part: from when it wrote the event to its watches. */
  readonly p50Event: number;
  readonly p99Event: number;
  readonly cpuPerChange: number;
}

interface Contender {
  readonly name: string;
  readonly command: string;
  /** Address families of the routes that it makes. */
  readonly families: number;
}

const agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
const contenders: Contender[] = [
  {
    name: 'fairlead',
    command: `./fairlead agent --kubeconfig {kubeconfig} --node {node} --state-dir {dir} --cni-conf-dir {dir} --health-port 0 --transport ${values.transport}`,
    families: 2,
  },
  ...(values.peer ? [{ name: 'peer', command: values.peer, families: 1 }] : []),
];

underlay();
console.log(
  'agent     nodes  wall s  applying s  CPU s  RSS MB  change p50 ms  p99 ms  from event p50   p99  CPU ms',
);
for (const size of values.nodes.split(',').map(Number)) {
  for (const contender of contenders) {
    const runs: Measured[] = [];
    for (let run = 0; run < Number(values.runs); run++) runs.push(await measure(contender, size));
    print(contender, size, runs);
  }
}
agent.destroy();

/** The node's own link, in a subnet that holds every node, so that layer2 would work too. */
function underlay(): void {
  ip(
    'link set lo up',
    `link add ${LINK} type veth peer name wire`,
    'link set wire up',
    `link set ${LINK} up`,
  );
  ip(`addr add 198.18.0.2/15 dev ${LINK}`, `-6 addr add 2001:2::2/48 dev ${LINK} nodad`);
}

async function measure(contender: Contender, size: number): Promise<Measured> {
  const dir = mkdtempSync(join(tmpdir(), 'fairlead-bench-'));
  const kubeconfig = join(dir, 'kubeconfig');
  // Its garbage must not look like the agent's latency: it has room for all of a run.
  const execArgv = ['--min-semi-space-size=128', '--max-semi-space-size=128'];
  const api = fork(join(import.meta.dirname, 'api-process.ts'), [String(size), values.pods, kubeconfig], {
    execArgv,
  });
  const kernel = watchKernel();
  let child: ChildProcess | undefined;
  try {
    const [server] = (await once(api, 'message')) as [{ url: string; token: string }];
    const begun = performance.now();
    child = start(contender.command, { kubeconfig, node: nodeName(0), link: LINK, dir });
    const pid = child.pid ?? 0;
    const rows = (size - 1) * contender.families;
    await until(`${rows} routes`, () => kernel.podRoutes.size >= rows, 120_000);
    const cold = {
      wall: (kernel.last - begun) / 1000,
      applying: (kernel.last - kernel.first) / 1000,
      cpu: cpuSeconds(pid),
    };
    await until('quiet', quiet(pid), 60_000);
    const rss = rssMegabytes(pid);
    const before = cpuSeconds(pid);
    const { latencies, done } = await changes(server, kernel, size, contender.families);
    const written = await creations(api);
    const fromEvent = done.map((at, i) => at - (written[i] ?? Number.NaN));
    if (kernel.lost) console.log('notifications were lost: do not trust the figures below');
    const cpuPerChange = ((cpuSeconds(pid) - before) * 1000) / latencies.length;
    const [p50, p99] = [quantile(latencies, 0.5), quantile(latencies, 0.99)];
    const [p50Event, p99Event] = [quantile(fromEvent, 0.5), quantile(fromEvent, 0.99)];
    return { ...cold, rss, p50, p99, p50Event, p99Event, cpuPerChange };
  } catch (error) {
    console.error(readFileSync(join(dir, 'log'), 'utf8').slice(-3000));
    throw error;
  } finally {
    child?.kill('SIGKILL');
    api.kill('SIGKILL');
    kernel.close();
    sweep();
    rmSync(dir, { recursive: true, force: true });
  }
}

function start(command: string, names: Readonly<Record<string, string>>): ChildProcess {
  const argv = command
    .split(' ')
    .map((word) => word.replace(/\{(\w+)\}/g, (all, name: string) => names[name] ?? all));
  const [program = '', ...args] = argv;
  const log = openSync(join(names.dir ?? '', 'log'), 'w');
  return spawn(program, args, {
    stdio: ['ignore', log, log],
    env: { ...process.env, NODE_NAME: names.node },
  });
}

/** Moves one Node after another to new pod prefixes: deleted and made again, from just before its making is asked for to its last route. */
async function changes(
  server: { url: string; token: string },
  kernel: KernelWatch,
  size: number,
  families: number,
): Promise<{ latencies: number[]; done: number[] }> {
  const latencies: number[] = [];
  const done: number[] = [];
  for (let i = 0; i < Number(values.changes); i++) {
    const index = 1 + ((i * 37) % (size - 1));
    const generation = 1 + Math.floor(i / (size - 1));
    const old = podCidrs({ index, generation: generation - 1 }).slice(0, families);
    const wanted = podCidrs({ index, generation }).slice(0, families);
    await call(server, 'DELETE', `/api/v1/nodes/${nodeName(index)}`);
    await kernel.settled(old, false);
    // A change of its own, not the tail of the one before.
    await setTimeout(PAUSE_MS);
    const body = JSON.stringify(nodeObject({ index, generation }));
    const begun = performance.now();
    await call(server, 'POST', '/api/v1/nodes', body);
    await kernel.settled(wanted, true);
    const end = Math.max(...wanted.map((prefix) => kernel.podRoutes.get(prefix) ?? 0));
    latencies.push(end - begun);
    done.push(end);
  }
  return { latencies, done };
}

/** When the API server wrote each new Node to its watches, as `performance.now` of this process. */
async function creations(api: ChildProcess): Promise<number[]> {
  performance.now();
  const apart = Number(process.hrtime.bigint()) / 1e6 - performance.now();
  api.send('created');
  const [times] = (await once(api, 'message')) as [string[]];
  return times.map((time) => Number(BigInt(time)) / 1e6 - apart);
}

/** True once a process used no CPU for half a second. */
function quiet(pid: number): () => boolean {
  let [cpu, since] = [-1, performance.now()];
  return () => {
    const now = cpuSeconds(pid);
    if (now - cpu > 0.02) [cpu, since] = [now, performance.now()];
    return performance.now() - since > 500;
  };
}

function call(
  server: { url: string; token: string },
  method: string,
  path: string,
  payload = '',
): Promise<void> {
  const headers = {
    authorization: `Bearer ${server.token}`,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(payload),
  };
  return new Promise((resolve, reject) => {
    const sent = request(`${server.url}${path}`, { method, agent, headers }, (response) => {
      response.resume().once('end', () => {
        if ((response.statusCode ?? 500) < 300) resolve();
        else reject(new Error(`${method} ${path}: HTTP ${response.statusCode}`));
      });
    });
    sent.once('error', reject);
    sent.end(payload);
  });
}

/** Takes away what an agent left, so that the next one starts clean: routes that are not the link's own, and its devices. */
function sweep(): void {
  for (const family of ['-4', '-6'])
    ip(
      `${family} route flush proto 201`,
      `${family} route flush root ${family === '-4' ? '10.0.0.0/8' : 'fd00::/8'}`,
    );
  for (const line of ip('-o link show type vxlan').split('\n')) {
    const name = /^\d+: ([^:@]+)/.exec(line)?.[1];
    if (name) ip(`link del ${name}`);
  }
}

function print(contender: Contender, size: number, runs: readonly Measured[]): void {
  const median = (pick: (m: Measured) => number, digits: number, width: number) =>
    quantile(runs.map(pick), 0.5).toFixed(digits).padStart(width);
  console.log(
    [
      contender.name.padEnd(8),
      String(size).padStart(6),
      median((m) => m.wall, 2, 7),
      median((m) => m.applying, 2, 11),
      median((m) => m.cpu, 2, 6),
      median((m) => m.rss, 0, 7),
      median((m) => m.p50, 1, 14),
      median((m) => m.p99, 1, 7),
      median((m) => m.p50Event, 1, 15),
      median((m) => m.p99Event, 1, 5),
      median((m) => m.cpuPerChange, 1, 7),
    ].join(' '),
  );
}

function quantile(numbers: readonly number[], q: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}
