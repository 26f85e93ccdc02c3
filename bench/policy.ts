/**
 * Network policy in a large cluster: cold start until packets are judged, one change of a policy, a pod's or a namespace's label until packets get
 * another verdict, CPU and memory.
 *
 *   npm run bench -- policy [--policies 100,5000] [--changes 200] [--every-pod] [--peer 'CMD']
 *
 * `--changes` of each kind; a p99 of few of them is the slowest, which is the first. Fewer will do for a peer that takes seconds for one.
 */
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { quantile, quiet, Stage } from './agent-run.ts';
import { Verdicts } from './packet-verdict.ts';
import {
  CROWD,
  EVERY_POD,
  GATED,
  localIps,
  NAMESPACES,
  OUTSIDER,
  policy,
  SWITCHED,
  teamName,
} from './policy-cluster.ts';
import { policyMachine, sweep } from './policy-machine.ts';
import { cpuSeconds, rssMegabytes } from './process-cost.ts';
import { until } from './tools.ts';

const PAUSE_MS = 20;
/** Local pods whose packets say that a cold start is over. */
const SPREAD = Array.from({ length: 40 }, (_, i) => Math.floor((i * NAMESPACES) / 40));
const { values } = parseArgs({
  options: {
    policies: { type: 'string', default: '100,5000' },
    changes: { type: 'string', default: '200' },
    runs: { type: 'string', default: '3' },
    'every-pod': { type: 'boolean', default: false },
    peer: { type: 'string' },
  },
});

interface Contender {
  readonly name: string;
  readonly command: string;
  readonly families: number;
  /** Milliseconds to wait for one change. */
  readonly patience: number;
}

interface Change {
  readonly kind: 'policy' | 'pod' | 'namespace';
  readonly from: readonly string[];
  /** The namespace whose pod of this node is meant. */
  readonly to: (i: number) => number;
  /** What opens the way (`open`) or closes it. */
  readonly request: (i: number, open: boolean) => readonly [method: string, path: string, body: string];
  readonly plural: string;
}

interface Latency {
  readonly change: number[];
  readonly fromEvent: number[];
}

interface Measured {
  readonly cold: number;
  readonly coldCpu: number;
  readonly rss: number;
  readonly rssAfter: number;
  readonly cpuPerChange: number;
  readonly latencies: Readonly<Record<Change['kind'], Latency>>;
}

const CONTENDERS: readonly Contender[] = [
  {
    name: 'fairlead',
    command:
      './fairlead agent --kubeconfig {kubeconfig} --node {node} --state-dir {dir} --cni-conf-dir {dir} --health-port 0 --transport layer2',
    families: 2,
    patience: 10_000,
  },
  ...(values.peer ? [{ name: 'peer', command: values.peer, families: 1, patience: 120_000 }] : []),
];

const labels = (name: string, value: string) => JSON.stringify({ metadata: { labels: { [name]: value } } });
const POLICIES = '/apis/networking.k8s.io/v1/namespaces';
const CHANGES: readonly Change[] = [
  {
    kind: 'policy',
    plural: 'networkpolicies',
    from: OUTSIDER.ips,
    to: (i) => 2 + (i % (NAMESPACES - 2)),
    request(i, open) {
      const team = teamName(this.to(i));
      if (!open) return ['DELETE', `${POLICIES}/${team}/networkpolicies/opens`, ''];
      const from = [{ namespaceSelector: { matchLabels: { side: 'outside' } } }];
      return [
        'POST',
        `${POLICIES}/${team}/networkpolicies`,
        JSON.stringify(policy(team, 'opens', EVERY_POD, from)),
      ];
    },
  },
  {
    kind: 'pod',
    plural: 'pods',
    from: OUTSIDER.ips,
    to: () => SWITCHED,
    request: (_, open) => [
      'PATCH',
      `/api/v1/namespaces/${OUTSIDER.namespace}/pods/${OUTSIDER.name}`,
      labels('switch', open ? 'on' : 'off'),
    ],
  },
  {
    kind: 'namespace',
    plural: 'namespaces',
    from: CROWD.ips,
    to: () => GATED,
    request: (_, open) => [
      'PATCH',
      `/api/v1/namespaces/${CROWD.namespace}`,
      labels('gate', open ? 'open' : 'shut'),
    ],
  },
];

const { outside, pods } = await policyMachine();
const verdicts = new Verdicts(outside, pods);
try {
  console.log(
    'agent    policies  cold s  CPU s  RSS MB  after  without  kind       change p50 ms     p99  from event p50     p99  CPU ms',
  );
  for (const contender of CONTENDERS) {
    const without = await idle(contender);
    for (const size of values.policies.split(',').map(Number)) {
      const runs: Measured[] = [];
      for (let run = 0; run < Number(values.runs); run++) runs.push(await measure(contender, size));
      print(contender, size, without, runs);
    }
  }
} finally {
  verdicts.close();
  outside.close();
  pods.close();
}

/** Memory of the agent where nobody has a policy. */
async function idle({ command }: Contender): Promise<number> {
  const stage = new Stage('policy', 0, 0);
  try {
    await stage.ready();
    const pid = stage.start(command);
    await setTimeout(1_000);
    await until('quiet', quiet(pid), 60_000);
    return rssMegabytes(pid);
  } finally {
    stage.close();
    sweep();
  }
}

async function measure({ command, families, patience }: Contender, size: number): Promise<Measured> {
  const stage = new Stage('policy', size, values['every-pod'] ? 1 : 0);
  const pairs = (from: readonly string[], n: number) =>
    localIps(n)
      .slice(0, families)
      .map((to, i): [string, string] => [from[i] ?? '', to]);
  try {
    await stage.ready();
    const spread = SPREAD.flatMap((n) => pairs(OUTSIDER.ips, n));
    await verdicts.become(true, spread, 5_000);
    const begun = performance.now();
    const pid = stage.start(command);
    const cold = (await verdicts.become(false, spread, 120_000)) - begun;
    const coldCpu = cpuSeconds(pid);
    await until('quiet', quiet(pid), 120_000);
    const rss = rssMegabytes(pid);
    const before = cpuSeconds(pid);
    const latencies = {} as Record<Change['kind'], Latency>;
    for (const change of CHANGES) {
      await stage.rehearse(...change.request(0, true));
      await stage.written(change.plural);
      const [latency, done]: [number[], number[]] = [[], []];
      for (let i = 0; i < Number(values.changes); i++) {
        const [n, open] = [change.to(i >> 1), i % 2 === 0];
        await setTimeout(PAUSE_MS);
        const send = await stage.prepare(...change.request(i >> 1, open));
        const asked = performance.now();
        const answered = send();
        const [flipped] = await Promise.all([
          verdicts.become(open, pairs(change.from, n), patience),
          answered,
        ]);
        latency.push(flipped - asked);
        done.push(flipped);
      }
      const written = await stage.written(change.plural);
      const fromEvent = done.map((at, i) => at - (written[i] ?? Number.NaN));
      latencies[change.kind] = { change: latency, fromEvent };
    }
    const cpuPerChange = ((cpuSeconds(pid) - before) * 1000) / (CHANGES.length * Number(values.changes));
    return { cold: cold / 1000, coldCpu, rss, rssAfter: rssMegabytes(pid), cpuPerChange, latencies };
  } catch (error) {
    console.error(stage.log().slice(-3000));
    throw error;
  } finally {
    stage.close();
    sweep();
  }
}

function print({ name }: Contender, size: number, without: number, runs: readonly Measured[]): void {
  const median = (pick: (m: Measured) => number, digits: number, width: number) =>
    quantile(runs.map(pick), 0.5).toFixed(digits).padStart(width);
  for (const [i, { kind }] of CHANGES.entries()) {
    const head = [
      name.padEnd(8),
      String(size).padStart(8),
      median((m) => m.cold, 2, 7),
      median((m) => m.coldCpu, 2, 6),
      median((m) => m.rss, 0, 7),
      median((m) => m.rssAfter, 0, 6),
      without.toFixed(0).padStart(8),
    ].join(' ');
    const of = (pick: (latency: Latency) => readonly number[], q: number, width: number) =>
      median((m) => quantile(pick(m.latencies[kind]), q), 1, width);
    console.log(
      [
        i === 0 ? head : ''.padEnd(head.length),
        kind.padEnd(10),
        of((l) => l.change, 0.5, 14),
        of((l) => l.change, 0.99, 7),
        of((l) => l.fromEvent, 0.5, 15),
        of((l) => l.fromEvent, 0.99, 7),
        i === 0 ? median((m) => m.cpuPerChange, 1, 7) : '',
      ].join(' '),
    );
  }
}
