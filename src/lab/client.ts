import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import type { Status } from '../model/api.ts';
import { FairleadError } from '../model/errors.ts';
import type { Family } from '../model/net/ip.ts';
import { LabApi } from './api/client.ts';
import type { LabStatus } from './cluster/status.ts';
import { ask } from './control.ts';
import { Deadline } from './deadline.ts';
import { API_SOCKET, CONTROL_SOCKET } from './options.ts';
import { insideCommand, insideEnv } from './outside/exec.ts';
import { type LaunchedLab, launch } from './outside/launcher.ts';
import { stateOf } from './outside/state.ts';
import type {
  ProbeProtocol,
  ProbeRequest,
  ProbeResult,
  StreamRequest,
  StreamResult,
} from './prober/types.ts';
import {
  defaultTopology,
  type Topology,
  type TopologyNode,
  type TopologyOptions,
} from './topology/topology.ts';

export interface LabSettings extends TopologyOptions {
  /** Instead of the topology that the other settings make. */
  readonly topology?: Topology;
  readonly transport?: 'auto' | 'layer2' | 'vxlan';
  /** More of the agents' configuration. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly api?: 'lab' | 'real';
  readonly agents?: boolean;
  readonly wait?: boolean;
}

export interface ExecResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const ROOT = join(import.meta.dirname, '../..');
let count = 0;

/** A lab as a value, for tests and scripts: `await using lab = await Lab.start({ nodes: 2 })`. It ends with its scope, and with this process. */
export class Lab {
  readonly api: LabApi;
  readonly #lab: LaunchedLab;

  private constructor(lab: LaunchedLab) {
    this.#lab = lab;
    this.api = new LabApi({
      socketPath: join(lab.state.dir, API_SOCKET),
      tls: true,
      token: lab.token,
    });
  }

  /** Starts it and waits until nodes are Ready and pods run (unless `wait: false`). */
  static async start(settings: LabSettings = {}): Promise<Lab> {
    count++;
    const agents = settings.agents ?? true;
    const options = {
      topology: settings.topology ?? defaultTopology(settings),
      config: { transport: settings.transport ?? 'auto', ...settings.config },
      api: settings.api ?? (process.env.FAIRLEAD_LAB_API === 'real' ? 'real' : 'lab'),
      root: ROOT,
      agents,
      wait: settings.wait ?? agents,
    } as const;
    const program = [process.execPath, join(ROOT, 'src/lab/main.ts'), '__init'];
    return new Lab(await launch(stateOf(`test-${process.pid}-${count}`), options, program));
  }

  get dir(): string {
    return this.#lab.state.dir;
  }

  get milliseconds(): number {
    return this.#lab.milliseconds;
  }

  get record() {
    return this.#lab.record;
  }

  get ended(): Promise<string> {
    return this.#lab.ended;
  }

  get kubeconfig(): string {
    return join(this.dir, 'kubeconfig');
  }

  call<T = unknown>(method: string, params: unknown = {}): Promise<T> {
    return ask<T>(join(this.dir, CONTROL_SOCKET), method, params);
  }

  status(): Promise<LabStatus> {
    return this.call('status');
  }

  /** Runs a command at a node, a pod (`default/n1-a`) or `outside`. */
  async exec(name: string, ...argv: readonly string[]): Promise<ExecResult> {
    const enter = await this.call<string[]>('enter', { name });
    const [program = '', ...args] = insideCommand(this.#lab.record, [...enter, ...argv]);
    return new Promise((resolve) => {
      execFile(program, args, { env: insideEnv(name), maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
        const code = error ? (typeof error.code === 'number' ? error.code : 1) : 0;
        resolve({ code, stdout, stderr });
      });
    });
  }

  /** Like `exec`, returns what it printed; throws with its words when it fails. */
  async run(name: string, ...argv: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.exec(name, ...argv);
    if (code !== 0) throw new FairleadError('lab-exec', `${name}: ${argv.join(' ')}: ${stderr || stdout}`);
    return stdout;
  }

  /** One question. */
  async probe(
    from: string,
    to: string,
    options: {
      protocol?: ProbeProtocol;
      port?: number;
      family?: Family;
      size?: number;
      timeout?: number;
    } = {},
  ): Promise<ProbeResult> {
    const { protocol = 'tcp', port = 8080, family = 'ipv4', ...rest } = options;
    const [result] = await this.ask([{ from, to, protocol, port, family, ...rest }]);
    if (!result) throw new FairleadError('lab-probe', 'no answer');
    return result;
  }

  ask(requests: readonly ProbeRequest[]): Promise<readonly ProbeResult[]> {
    return this.call('probe', { requests });
  }

  /** All pods to all pods. */
  matrix(protocol: ProbeProtocol = 'tcp'): Promise<readonly ProbeResult[]> {
    return this.call('matrix', { protocol });
  }

  async stream(request: StreamRequest): Promise<LabStream> {
    return new LabStream(this, await this.call<number>('streamStart', request));
  }

  fault(name: string, ...args: readonly string[]): Promise<unknown> {
    return this.call('fault', { name, args });
  }

  /** Replaces the agents' configuration file, on one node or all. */
  async configure(config: Readonly<Record<string, unknown>>, node?: string): Promise<void> {
    await this.call('configure', { config, node });
  }

  /** Changes single settings by dotted name, on one node or all; `null` takes one away. */
  async set(settings: Readonly<Record<string, unknown>>, node?: string): Promise<void> {
    await this.call('set', { settings, node });
  }

  addNode(node: Partial<TopologyNode> = {}): Promise<string> {
    return this.call('addNode', node);
  }

  async removeNode(name: string): Promise<void> {
    await this.call('removeNode', { name });
  }

  async addPod(name: string, node?: string, labels: Record<string, string> = {}): Promise<void> {
    await this.call('addPod', { name, node, labels });
  }

  async removePod(name: string): Promise<void> {
    await this.call('removePod', { name });
  }

  /** Asks an agent on its socket API: `lab.agent('n1', '/v1/drift')`. */
  agent<T = Status>(node: string, path = '/v1/status', method = 'GET'): Promise<T> {
    const socketPath = join(this.dir, 'nodes', node, 'run/agent.sock');
    return new Promise((resolve, reject) => {
      const req = request({ socketPath, path, method }, (res) => {
        const chunks: Buffer[] = [];
        res.on('data', (chunk: Buffer) => chunks.push(chunk));
        res.once('error', reject);
        res.once('end', () => {
          try {
            resolve(JSON.parse(Buffer.concat(chunks).toString()) as T);
          } catch (error) {
            reject(error);
          }
        });
      });
      req.once('error', reject);
      req.end();
    });
  }

  /** Waits until nodes are Ready and pods run. */
  async settled(timeout = 60_000): Promise<void> {
    await eventually(async () => {
      const waiting = await this.call<string>('waiting');
      if (waiting !== '') throw new Error(`waiting for ${waiting}`);
    }, timeout);
  }

  async close(): Promise<void> {
    this.api.close();
    // For whoever looks for the reason of a failure afterwards.
    const keep = process.env.FAIRLEAD_LAB_LOGS;
    if (keep) keepLogs(this.dir, join(keep, this.#lab.state.name));
    await this.#lab.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function keepLogs(from: string, to: string): void {
  for (const node of readdirSync(join(from, 'nodes'))) {
    for (const log of ['agent.log', 'kubelet.log']) {
      const source = join(from, 'nodes', node, log);
      mkdirSync(to, { recursive: true });
      if (existsSync(source)) copyFileSync(source, join(to, `${node}-${log}`));
    }
  }
}

/** A stream of probes under way. */
export class LabStream {
  readonly #lab: Lab;
  readonly #id: number;

  constructor(lab: Lab, id: number) {
    this.#lab = lab;
    this.#id = id;
  }

  progress(): Promise<StreamResult> {
    return this.#lab.call('streamProgress', { id: this.#id });
  }

  /** Waits until as many as were asked for have been sent and judged. */
  finish(): Promise<StreamResult> {
    return this.#lab.call('streamFinish', { id: this.#id });
  }

  stop(): Promise<StreamResult> {
    return this.#lab.call('streamFinish', { id: this.#id, stop: true });
  }
}

/** Tries until `check` no longer throws; throws its last error after `timeout` milliseconds of a calm machine. */
export async function eventually<T>(check: () => T | Promise<T>, timeout = 30_000): Promise<T> {
  const deadline = new Deadline(timeout);
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (deadline.passed) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
