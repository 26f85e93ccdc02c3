/** A machine for the shipped agent: the test's own network namespace with one underlay link, an API server beside it. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '../../src/cli/client.ts';
import { type ApiServer, type ApiServerOptions, startApiServer } from '../../src/lab/apiserver/server.ts';
import { Deadline } from '../../src/lab/deadline.ts';
import type { Status } from '../../src/model/api.ts';
import { type KubeClient, kubeClient } from '../../src/sources/kube/client.ts';
import { NODES } from '../../src/sources/kube/resource.ts';

const root = join(import.meta.dirname, '../..');
const BUNDLE = join(root, 'dist/fairlead.cjs');

/** Must never be in a log. */
export const TOKEN = 'secret-token-of-the-test';

export const run = (command: string): string => {
  const [program = '', ...args] = command.split(' ');
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
};

/** The underlay link, once for all tests of a file: the namespace is theirs alone. */
export function underlay(): void {
  assert.ok(existsSync(BUNDLE), 'npm run build makes the bundle');
  run('ip link set lo up');
  run('ip link add eth0 type veth peer name wire0');
  // Without automatic addresses, whose duplicate detection would still be under way.
  for (const link of ['wire0', 'eth0']) run(`ip link set ${link} up addrgenmode none`);
  run('ip addr add 192.0.2.1/24 dev eth0');
  run('ip addr add 2001:db8:1::1/64 dev eth0 nodad');
}

const PROGRAM = [process.execPath, '--max-semi-space-size=4', '--no-parallel-scavenge', BUNDLE];

export interface Launch {
  readonly wrapper?: readonly string[];
  readonly program?: readonly string[];
  /** Which Node and which API server; default by flags. */
  readonly identity?: readonly string[];
}

export interface Ended {
  readonly code: number | null;
  readonly text: string;
}

export class AgentProcess {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  output = '';

  constructor(command: readonly string[], env: NodeJS.ProcessEnv) {
    const [program = '', ...args] = command;
    this.child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
      });
    }
    this.ended = new Promise((resolve) =>
      this.child.on('close', (code) => resolve({ code, text: this.output })),
    );
  }
}

export class Machine {
  readonly dir = mkdtempSync(join(tmpdir(), 'fairlead-machine-'));
  readonly state = join(this.dir, 'state');
  readonly cni = join(this.dir, 'cni');
  readonly config = join(this.dir, 'config.yaml');
  readonly client = new Client(join(this.state, 'agent.sock'));
  readonly api: ApiServer;
  readonly kube: KubeClient;
  #agents: AgentProcess[] = [];

  private constructor(api: ApiServer) {
    this.api = api;
    mkdirSync(this.cni);
    writeFileSync(this.kubeconfig, api.kubeconfig());
    writeFileSync(this.config, '');
    this.kube = kubeClient({ kubeconfig: this.kubeconfig });
  }

  get kubeconfig(): string {
    return join(this.dir, 'kubeconfig');
  }

  static async start(options: ApiServerOptions = {}): Promise<Machine> {
    const podCidrs = ['10.244.0.0/16', 'fd00:10:244::/48'];
    return new Machine(await startApiServer({ tls: true, token: TOKEN, podCidrs, ...options }));
  }

  async addNode(name: string, addresses: readonly string[]): Promise<void> {
    const status = { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) };
    const body = { apiVersion: 'v1', kind: 'Node', metadata: { name }, status };
    await this.kube.create(NODES, body);
    await this.kube.patch({ ...NODES, name, subresource: 'status' }, 'merge', { status });
  }

  /** Starts the bundle, or another `program`; `wrapper` is a command that runs it (`setpriv …`). */
  agent(flags: readonly string[] = [], launch: Launch = {}): AgentProcess {
    const { wrapper = [], program = PROGRAM } = launch;
    const identity = launch.identity ?? ['--kubeconfig', this.kubeconfig, '--node', 'n1'];
    const folders = ['--state-dir', this.state, '--cni-conf-dir', this.cni, '--config', this.config];
    const own = [...identity, '--health-port', '0', ...folders];
    const agent = new AgentProcess([...wrapper, ...program, 'agent', ...own, ...flags], process.env);
    this.#agents.push(agent);
    return agent;
  }

  /** Runs a subcommand to its end. */
  cli(...args: string[]): Promise<Ended> {
    return new AgentProcess([process.execPath, BUNDLE, ...args], { ...process.env, NO_COLOR: '1' }).ended;
  }

  /** The first status for which `condition` holds. */
  async status(what: string, condition: (status: Status) => boolean): Promise<Status> {
    let last: unknown;
    const deadline = new Deadline(20_000);
    while (!deadline.passed) {
      try {
        const status = await this.client.get<Status>('/v1/status');
        if (condition(status)) return status;
        last = JSON.stringify(status, undefined, 1);
      } catch (error) {
        last = error;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const log = this.#agents.map((agent) => agent.output).join('\n---\n');
    return assert.fail(`${what}: not within 20 s. Last: ${last}\nLog:\n${log}`);
  }

  /** Waits for an Event about a Node, as `kubectl describe node` would show it. */
  async event(node: string, reason: string, words: RegExp): Promise<void> {
    const deadline = new Deadline(10_000);
    const found: unknown[] = [];
    while (!deadline.passed) {
      found.length = 0;
      const events = { group: '', version: 'v1', resource: 'events', namespace: 'default' };
      await this.kube.list(events, { fieldSelector: `involvedObject.name=${node}` }, (item) =>
        found.push(item),
      );
      const told = found as { reason: string; message: string; type: string }[];
      if (told.some((e) => e.reason === reason && e.type === 'Warning' && words.test(e.message))) return;
    }
    assert.fail(`no such Event: ${JSON.stringify(found)}`);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    for (const agent of this.#agents.splice(0)) {
      agent.child.kill(signal);
      await agent.ended;
    }
  }

  async close(): Promise<void> {
    await this.stop('SIGKILL');
    await this.cli('cleanup', '--yes', '--state-dir', this.state, '--cni-conf-dir', this.cni);
    this.kube.close();
    await this.api.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
