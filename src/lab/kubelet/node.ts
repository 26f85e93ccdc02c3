import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  closeSync,
  existsSync,
  type FSWatcher,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { isMap, parseDocument } from 'yaml';
import { FairleadError } from '../../model/errors.ts';
import type { Family } from '../../model/net/ip.ts';
import type { LabApi } from '../api/client.ts';
import { ApiRelay } from '../api/relay.ts';
import { API_SOCKET, INSIDE } from '../options.ts';
import { must } from '../run.ts';
import type { NetNs } from '../sockets/netns.ts';
import type { TopologyNode } from '../topology/topology.ts';
import { AgentProcess } from './agent-process.ts';
import { CniRunner, type Conflist, loadConflist } from './cni.ts';
import { NodeRegistration } from './node-object.ts';

const HEARTBEAT = 10_000;

export interface NodeOptions {
  readonly api: LabApi;
  readonly ns: NetNs;
  readonly node: TopologyNode;
  /** Underlay addresses without prefix length. */
  readonly addresses: readonly string[];
  readonly families: readonly Family[];
  /** Text of the kubeconfig that the agent gets. */
  readonly kubeconfig: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly cniBin: string;
  /** Command line of the agent, without its flags. */
  readonly agent: readonly string[];
}

/** Gives a machine a file system view of its own, in which every path an agent or a plugin uses by default is the node's. */
const MOUNTS = `
set -e
mount -n --bind "$1/run" /run/fairlead
mount -n --bind "$1/cni" /run/cni
mount -n --bind "$1/lock" /run/lock
mount -n -t tmpfs tmpfs /var/lib
mkdir /var/lib/cni
mount -n -t sysfs sysfs /sys 2>/dev/null || true
echo ready
read -r done
`;

/** One machine of the cluster: namespaces, folders, kubelet and agent. */
export class LabNode {
  readonly name: string;
  readonly ns: NetNs;
  readonly addresses: readonly string[];
  readonly families: readonly Family[];
  readonly topology: TopologyNode;
  readonly relay: ApiRelay;
  readonly dir: string;
  readonly #options: NodeOptions;
  readonly #registration: NodeRegistration;
  readonly #closing = new AbortController();
  #mountFd = -1;
  #watcher: FSWatcher | undefined;
  #network: Conflist | string = 'not looked yet';
  #waiters: ((list: Conflist) => void)[] = [];
  #agent: AgentProcess | undefined;
  #cni: CniRunner | undefined;
  #telling: Promise<void> = Promise.resolve();

  constructor(options: NodeOptions) {
    this.#options = options;
    this.name = options.node.name;
    this.ns = options.ns;
    this.addresses = options.addresses;
    this.families = options.families;
    this.topology = options.node;
    this.dir = join(INSIDE, 'nodes', this.name);
    this.relay = new ApiRelay(this.ns, join(INSIDE, API_SOCKET));
    this.#registration = new NodeRegistration(options.api, {
      name: this.name,
      addresses: this.addresses,
      podCidrs: options.node.podCidrs,
      labels: options.node.labels ?? {},
    });
  }

  /** Folders, mounts, the way to the API server. The agent can start after this. */
  async prepare(): Promise<void> {
    for (const dir of ['run', 'cni/net.d', 'lock']) mkdirSync(join(this.dir, dir), { recursive: true });
    if (this.topology.cniSpace !== undefined)
      await must([
        'mount',
        '-n',
        '-t',
        'tmpfs',
        '-o',
        `size=${this.topology.cniSpace}`,
        'tmpfs',
        this.cniConfDir,
      ]);
    writeFileSync(join(this.dir, 'kubeconfig'), this.#options.kubeconfig, { mode: 0o600 });
    this.configure(this.#options.config);
    await Promise.all([this.#mounts(), this.relay.open()]);
    const { argv, env } = this.agentCommand();
    this.#agent = new AgentProcess({ argv, env, logPath: join(this.dir, 'agent.log') });
    this.#cni = new CniRunner(this.enter, this.#options.cniBin);
  }

  /** The kubelet's part: the Node object, its Ready condition, its heartbeat. */
  async join(): Promise<void> {
    await this.#retry(() => this.#registration.register());
    this.watchAgain();
    void this.#heartbeats();
  }

  /** To be called when something else was mounted over the CNI folder: a watch is on what lay there before. */
  watchAgain(): void {
    this.#watcher?.close();
    this.#watcher = watch(this.cniConfDir, () => this.#look());
    this.#look();
  }

  get agent(): AgentProcess {
    if (!this.#agent) throw new Error(`node ${this.name} is not prepared`);
    return this.#agent;
  }

  get cni(): CniRunner {
    if (!this.#cni) throw new Error(`node ${this.name} is not prepared`);
    return this.#cni;
  }

  get cniConfDir(): string {
    return join(this.dir, 'cni/net.d');
  }

  /** Command line that puts a program into this machine's namespaces. */
  get enter(): readonly string[] {
    return ['nsenter', `--mount=/proc/${process.pid}/fd/${this.#mountFd}`, `--net=${this.ns.path}`, '--'];
  }

  /** Path by which others find the machine's mount namespace. */
  get mountPath(): string {
    return `/proc/${process.pid}/fd/${this.#mountFd}`;
  }

  /** Replaces the agent's configuration file; a running agent reads it live. */
  configure(config: Readonly<Record<string, unknown>>): void {
    this.writeConfig(`${JSON.stringify(config, undefined, 2)}\n`);
  }

  /** Changes single settings of that file, by dotted name; `null` takes one away. Throws when the file is not YAML. */
  set(settings: Readonly<Record<string, unknown>>): void {
    const file = parseDocument(this.config);
    const [fault] = file.errors;
    if (fault || !isMap(file.contents)) {
      throw new FairleadError(
        'lab-config',
        `node ${this.name}: its configuration is not a table of settings`,
        {
          hint: 'write a whole one to /run/fairlead/config.yaml on it',
        },
      );
    }
    for (const [name, value] of Object.entries(settings)) {
      if (value === null) file.deleteIn(name.split('.'));
      else file.setIn(name.split('.'), value);
    }
    this.writeConfig(file.toString());
  }

  /** Text of the agent's configuration file. */
  get config(): string {
    return readFileSync(this.#configPath, 'utf8');
  }

  writeConfig(text: string): void {
    writeFileSync(`${this.#configPath}.new`, text);
    renameSync(`${this.#configPath}.new`, this.#configPath);
  }

  get #configPath(): string {
    return join(this.dir, 'run/config.yaml');
  }

  agentCommand(): { argv: readonly string[]; env: NodeJS.ProcessEnv } {
    const flags = ['--kubeconfig', join(this.dir, 'kubeconfig'), '--node', this.name];
    const folders = ['--state-dir', '/run/fairlead', '--cni-conf-dir', '/run/cni/net.d'];
    const config = ['--config', '/run/fairlead/config.yaml'];
    const argv = [...this.enter, ...this.#options.agent, 'agent', ...flags, ...folders, ...config];
    // The lab's own variables are not the agent's: to it they would be settings misspelt.
    const env = Object.entries(process.env).filter(([name]) => !name.startsWith('FAIRLEAD_'));
    return { argv, env: { ...Object.fromEntries(env), NODE_NAME: this.name } };
  }

  /** Resolves as soon as pods can be attached; `undefined` when `signal` came first. */
  network(signal: AbortSignal): Promise<Conflist | undefined> {
    if (typeof this.#network !== 'string') return Promise.resolve(this.#network);
    return new Promise((resolve) => {
      if (signal.aborted) return resolve(undefined);
      this.#waiters.push(resolve);
      signal.addEventListener('abort', () => resolve(undefined), { once: true });
    });
  }

  /** Why pods cannot start here; `undefined` = they can. */
  get notReady(): string | undefined {
    return typeof this.#network === 'string' ? this.#network : undefined;
  }

  log(text: string): void {
    appendFileSync(join(this.dir, 'kubelet.log'), `${new Date().toISOString()} ${text}\n`);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#watcher?.close();
    this.relay.away();
    await this.#agent?.kill();
    if (this.#mountFd >= 0) closeSync(this.#mountFd);
    await must(['umount', '-l', this.cniConfDir]).catch(() => undefined);
    rmSync(this.dir, { recursive: true, force: true });
  }

  async #mounts(): Promise<void> {
    const child = spawn(
      'nsenter',
      [
        `--net=${this.ns.path}`,
        '--',
        'unshare',
        '--mount',
        '--propagation',
        'slave',
        'sh',
        '-c',
        MOUNTS,
        'sh',
        this.dir,
      ],
      { stdio: ['pipe', 'pipe', 'pipe'] },
    );
    const words: Buffer[] = [];
    child.stderr.on('data', (chunk: Buffer) => words.push(chunk));
    const ready = once(child.stdout, 'data').then(() => true);
    const ended = once(child, 'exit').then(() => false);
    if (!(await Promise.race([ready, ended])))
      throw new Error(`node ${this.name}: no mounts: ${Buffer.concat(words)}`);
    // Held open, the namespace outlives the process that made it.
    this.#mountFd = openSync(`/proc/${child.pid}/ns/mnt`, 'r');
    child.stdin.end('\n');
    await ended;
  }

  #look(): void {
    const found = loadConflist(this.cniConfDir, (plugin) => existsSync(join(this.#options.cniBin, plugin)));
    this.#network = found;
    if (typeof found !== 'string') {
      const waiters = this.#waiters;
      this.#waiters = [];
      for (const tell of waiters) tell(found);
    }
    this.#telling = this.#telling.then(() => this.#retry(() => this.#registration.setReady(this.notReady)));
  }

  async #heartbeats(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      await this.#registration.heartbeat().catch((error: unknown) => this.log(`heartbeat: ${error}`));
      await this.#pause(HEARTBEAT);
    }
  }

  /** Ends early when the node goes. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(end, ms);
      this.#closing.signal.addEventListener('abort', end, { once: true });
    });
  }

  async #retry(work: () => Promise<void>): Promise<void> {
    for (let wait = 20; !this.#closing.signal.aborted; wait = Math.min(wait * 2, 1000)) {
      try {
        await work();
        return;
      } catch (error) {
        this.log(String(error));
        await this.#pause(wait);
      }
    }
  }
}
