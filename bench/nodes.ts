/**
 * An agent on one node of a large cluster: cold start until its last kernel row, one Node's change until its route, CPU and memory.
 *
 *   npm run bench -- nodes [--nodes 50,5000] [--pods 0] [--changes 200] [--transport vxlan] [--peer 'CMD']
 *
 * Runs in a network and mount namespace of its own. `--peer CMD` measures another agent on the same objects in the same way; in CMD
 * {kubeconfig} {node} {link} {dir} are filled in, and NODE_NAME is set. A peer is measured by its IPv4 routes.
 */
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { quantile, quiet, Stage, underlay } from './agent-run.ts';
import { nodeName, nodeObject, podCidrs } from './cluster.ts';
import { cpuSeconds, rssMegabytes } from './process-cost.ts';
import { ip, until } from './tools.ts';
import { type KernelWatch, watchKernel } from './watch-kernel.ts';

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

async function measure(contender: Contender, size: number): Promise<Measured> {
  const stage = new Stage('nodes', size, values.pods);
  const kernel = watchKernel();
  try {
    await stage.ready();
    const begun = performance.now();
    const pid = stage.start(contender.command);
    const rows = (size - 1) * contender.families;
    await until(`${rows} routes`, () => kernel.podRoutes.size >= rows, 120_000);
    const cold = {
      wall: (kernel.last - begun) / 1000,
      applying: (kernel.last - kernel.first) / 1000,
      cpu: cpuSeconds(pid),
    };
    await until('quiet', quiet(pid), 60_000);
    const rss = rssMegabytes(pid);
    await stage.written('nodes');
    const before = cpuSeconds(pid);
    const { latencies, done } = await changes(stage, kernel, size, contender.families);
    const cpuPerChange = ((cpuSeconds(pid) - before) * 1000) / latencies.length;
    // Each change wrote two events: the Node went, and came.
    const written = (await stage.written('nodes')).filter((_, i) => i % 2 === 1);
    const fromEvent = done.map((at, i) => at - (written[i] ?? Number.NaN));
    if (kernel.lost) console.log('notifications were lost: do not trust the figures below');
    const [p50, p99] = [quantile(latencies, 0.5), quantile(latencies, 0.99)];
    const [p50Event, p99Event] = [quantile(fromEvent, 0.5), quantile(fromEvent, 0.99)];
    return { ...cold, rss, p50, p99, p50Event, p99Event, cpuPerChange };
  } catch (error) {
    console.error(stage.log().slice(-3000));
    throw error;
  } finally {
    stage.close();
    kernel.close();
    sweep();
  }
}

/** Moves one Node after another to new pod prefixes: deleted and made again, from just before its making is asked for to its last route. */
async function changes(
  stage: Stage,
  kernel: KernelWatch,
  size: number,
  families: number,
): Promise<{ latencies: number[]; done: number[] }> {
  const latencies: number[] = [];
  const done: number[] = [];
  await stage.rehearse('POST', '/api/v1/nodes', JSON.stringify(nodeObject({ index: size })));
  await stage.rehearse('DELETE', `/api/v1/nodes/${nodeName(1)}`);
  for (let i = 0; i < Number(values.changes); i++) {
    const index = 1 + ((i * 37) % (size - 1));
    const generation = 1 + Math.floor(i / (size - 1));
    const old = podCidrs({ index, generation: generation - 1 }).slice(0, families);
    const wanted = podCidrs({ index, generation }).slice(0, families);
    await stage.call('DELETE', `/api/v1/nodes/${nodeName(index)}`);
    await kernel.settled(old, false);
    // A change of its own, not the tail of the one before.
    await setTimeout(PAUSE_MS);
    const body = JSON.stringify(nodeObject({ index, generation }));
    const send = await stage.prepare('POST', '/api/v1/nodes', body);
    const begun = performance.now();
    await send();
    await kernel.settled(wanted, true);
    const end = Math.max(...wanted.map((prefix) => kernel.podRoutes.get(prefix) ?? 0));
    latencies.push(end - begun);
    done.push(end);
  }
  return { latencies, done };
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
