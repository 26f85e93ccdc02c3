/** What benches of whole agents have in common: the API server in its process, the agent in its own, and requests in between. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import type { Written } from './api-process.ts';
import { nodeName } from './cluster.ts';
import { cpuSeconds } from './process-cost.ts';
import { ip } from './tools.ts';

/** The node's own link. */
export const LINK = 'eth0';

/** Its other end is `wire`. The subnet holds every node, so that layer2 works too. */
export function underlay(): void {
  ip(
    'link set lo up',
    `link add ${LINK} type veth peer name wire`,
    'link set wire up',
    `link set ${LINK} up`,
  );
  ip(`addr add 198.18.0.2/15 dev ${LINK}`, `-6 addr add 2001:2::2/48 dev ${LINK} nodad`);
}

/** Requests after which the API server's code is no longer run for the first time. */
const REHEARSALS = 100;

/** One API server and the folder of one agent. */
export class Stage {
  readonly dir = mkdtempSync(join(tmpdir(), 'fairlead-bench-'));
  readonly #api: ChildProcess;
  readonly #agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
  #server: { url: string; token: string } | undefined;
  #child: ChildProcess | undefined;

  constructor(cluster: string, ...args: readonly (string | number)[]) {
    // Its garbage must not look like the agent's latency: it has room for all of a run.
    const execArgv = ['--min-semi-space-size=128', '--max-semi-space-size=128'];
    const argv = [join(this.dir, 'kubeconfig'), cluster, ...args.map(String)];
    this.#api = fork(join(import.meta.dirname, 'api-process.ts'), argv, { execArgv });
    process.once('exit', () => this.close());
  }

  /** Resolves when the API server serves. */
  async ready(): Promise<void> {
    [this.#server] = (await once(this.#api, 'message')) as [{ url: string; token: string }];
  }

  /** Asks for a change many times without making it: a real API server has served such requests before. */
  async rehearse(method: string, path: string, payload = ''): Promise<void> {
    for (let i = 0; i < REHEARSALS; i++) await this.call(method, `${path}?dryRun=All`, payload);
  }

  /** Starts an agent on node 0; returns its process id. In the command {kubeconfig} {node} {link} {dir} are filled in, and NODE_NAME is set. */
  start(command: string): number {
    const node = nodeName(0);
    const names: Record<string, string> = {
      kubeconfig: join(this.dir, 'kubeconfig'),
      node,
      link: LINK,
      dir: this.dir,
    };
    const [program = '', ...args] = command
      .split(' ')
      .map((word) => word.replace(/\{(\w+)\}/g, (all, name: string) => names[name] ?? all));
    const log = openSync(join(this.dir, 'log'), 'w');
    this.#child = spawn(program, args, {
      stdio: ['ignore', log, log],
      env: { ...process.env, NODE_NAME: node },
    });
    return this.#child.pid ?? 0;
  }

  log(): string {
    return readFileSync(join(this.dir, 'log'), 'utf8');
  }

  async call(method: string, path: string, payload = ''): Promise<void> {
    const send = await this.prepare(method, path, payload);
    await send();
  }

  /** Resolves with what sends the request, at once and on a connection that is there; that resolves when it is answered. */
  async prepare(method: string, path: string, payload = ''): Promise<() => Promise<void>> {
    const headers = {
      authorization: `Bearer ${this.#server?.token}`,
      'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
      'content-length': Buffer.byteLength(payload),
    };
    const sent = request(`${this.#server?.url}${path}`, { method, agent: this.#agent, headers });
    const [socket] = (await once(sent, 'socket')) as [TLSSocket];
    if (socket.connecting) await once(socket, 'secureConnect');
    return async () => {
      sent.end(payload);
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      await once(response, 'end');
      if ((response.statusCode ?? 500) >= 300)
        throw new Error(`${method} ${path}: HTTP ${response.statusCode} ${Buffer.concat(pieces)}`);
    };
  }

  /** When the API server wrote each change of a kind since the last call, as `performance.now` of this process. */
  async written(plural: string): Promise<number[]> {
    performance.now();
    const apart = Number(process.hrtime.bigint()) / 1e6 - performance.now();
    this.#api.send('written');
    const [all] = (await once(this.#api, 'message')) as [Written[]];
    return all.filter(([kind]) => kind === plural).map(([, at]) => Number(BigInt(at)) / 1e6 - apart);
  }

  stopAgent(): void {
    this.#child?.kill('SIGKILL');
  }

  close(): void {
    this.stopAgent();
    this.#api.kill('SIGKILL');
    this.#agent.destroy();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** True once a process used no CPU for half a second. */
export function quiet(pid: number): () => boolean {
  let [cpu, since] = [-1, performance.now()];
  return () => {
    const now = cpuSeconds(pid);
    if (now - cpu > 0.02) [cpu, since] = [now, performance.now()];
    return performance.now() - since > 500;
  };
}

export function quantile(numbers: readonly number[], q: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}
