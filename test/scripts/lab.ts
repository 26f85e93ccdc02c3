import { Loop } from '../../src/agent/loop.ts';
import type { Config } from '../../src/model/cluster/config.ts';
import type { KernelFacts } from '../../src/model/cluster/host.ts';
import { FACTS_ANNOTATION, type Node, type NodeFacts } from '../../src/model/cluster/node.ts';
import type { NodeStatusBody } from '../../src/model/rows/node-status.ts';
import type { TargetName } from '../../src/model/rows/row.ts';
import { WorldStore } from '../../src/model/world-store.ts';
import { egressPlanner } from '../../src/plan/egress/planner.ts';
import { nodePlanner } from '../../src/plan/node/planner.ts';
import type { Planner } from '../../src/plan/planner.ts';
import { transportsPlanner } from '../../src/plan/transports/planner.ts';
import { dump } from '../../src/targets/fake/dump.ts';
import { FakeMachine } from '../../src/targets/fake/machine.ts';
import { fakeTargets } from '../../src/targets/fake/targets.ts';
import { FakeClock, seeded } from '../support/fake-clock.ts';
import { CONFIG, eth0, node } from '../support/plan-worlds.ts';

const PLANNERS: readonly Planner[] = [transportsPlanner, egressPlanner, nodePlanner];

/** How long a `converge` may take on the fake clock. */
const PATIENCE_MS = 300_000;

/**
 * One machine with the whole agent on it, and a cluster around it, in memory:
 *
 *   cluster (nodes) ──list and watch──► WorldStore ─► real planners ─► real Loop ─► fake machine
 *        ▲                                                                              │
 *        └────────────────── what the agent says on its own Node ◄─────────────────────┘
 *
 * The weather strikes calls to the machine, notifications from it, and events of the watch.
 */
export class ScriptLab {
  readonly clock = new FakeClock();
  readonly random: () => number;
  readonly machine: FakeMachine;
  readonly cluster = new Map<string, Node>();
  readonly log: string[] = [];
  /** What the agent did since the last mark. */
  writes: string[] = [];
  config: Config = CONFIG;
  missing: KernelFacts['missing'] = {};
  loop: Loop | undefined;
  #store: WorldStore | undefined;
  #api: 'down' | 'up' = 'down';
  #why = 'ECONNREFUSED: API server';
  #deaf = false;
  #held: (() => void)[] | undefined;
  #rate = 0;
  #epoch = 0;
  /** Events and lists that are still to reach the agent. */
  #underWay = 0;

  constructor(seed: number) {
    this.random = seeded(seed);
    this.machine = new FakeMachine({ eth0: { up: true, addresses: eth0(node(1)).addresses } });
    this.machine.api = false;
    this.machine.killed = () => this.kill();
    this.machine.wrote = (target, key, body) => this.#wrote(target, key, body);
  }

  weather(rate: number): void {
    this.#rate = rate;
    this.machine.faults.weather(rate, this.random);
  }

  dump(targets: readonly string[]): string {
    const lines = dump(this.machine).split('\n');
    return lines
      .filter((line) => targets.length === 0 || targets.includes(line.split(' ')[0] ?? ''))
      .join('\n');
  }

  start(): void {
    this.kill();
    const store = new WorldStore(this.clock);
    this.#store = store;
    const targets = fakeTargets(this.machine);
    const hooks = { log: (_level: string, line: string) => void this.log.push(line) };
    this.loop = new Loop({
      store,
      planners: PLANNERS,
      targets,
      clock: this.clock,
      random: this.random,
      hooks,
    });
    this.loop.start();
    this.#host();
    if (this.#api === 'up') this.#list();
    else store.notReady('nodes', this.#why);
  }

  /** The process is gone, in the middle of whatever it did. */
  kill(): void {
    this.loop?.close();
    this.loop = undefined;
    this.#store = undefined;
  }

  setConfig(config: Config): void {
    this.config = config;
    this.#store?.put('config', 'config', config);
  }

  setMissing(missing: KernelFacts['missing']): void {
    this.missing = missing;
    this.#store?.put('kernel', 'kernel', { release: '6.1', missing });
  }

  apiUp(): void {
    this.#api = 'up';
    this.machine.api = true;
    this.#deaf = false;
    this.#list();
  }

  apiAway(why: string): void {
    this.#api = 'down';
    this.#why = why;
    this.machine.api = false;
    this.#epoch++;
    this.#store?.notReady('nodes', why);
  }

  /** The watch stays open and says nothing any more; `apiUp` lists again. */
  apiDeaf(): void {
    this.#deaf = true;
  }

  /** What the watch tells from now on comes in one go, with `release`. */
  hold(): void {
    this.#held = [];
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const event of held) event();
  }

  setNode(name: string, object: Node | undefined): void {
    if (object) this.cluster.set(name, object);
    else this.cluster.delete(name);
    this.#event(name);
  }

  /** Lets time pass until all that is wanted is there, but for the rows named. */
  async converge(except: ReadonlySet<string>): Promise<void> {
    const end = this.clock.monotonic() + PATIENCE_MS;
    while (!this.#converged(except)) {
      if (this.clock.monotonic() > end) throw new Error(`not converged:\n${this.#left()}`);
      await this.clock.advance(50);
    }
  }

  /** Lets time pass until an armed `kill` has struck. */
  async died(): Promise<void> {
    const end = this.clock.monotonic() + PATIENCE_MS;
    while (this.loop) {
      if (this.clock.monotonic() > end) throw new Error('it is still alive');
      await this.clock.advance(10);
    }
  }

  get running(): Loop {
    if (!this.loop) throw new Error('the agent does not run');
    return this.loop;
  }

  #converged(except: ReadonlySet<string>): boolean {
    const loop = this.running;
    if (!loop.settled || this.#underWay > 0 || !this.#store?.world.nodes.ready) return false;
    if (loop.status().targets.some((target) => target.error !== undefined)) return false;
    return loop.rows().every((row) => row.state === 'done' || except.has(`${row.target} ${row.key}`));
  }

  #left(): string {
    const rows = this.running.rows().filter((row) => row.state !== 'done');
    return [this.running.status().state, ...rows.map((row) => JSON.stringify(row))].join('\n');
  }

  #host(): void {
    const store = this.#store;
    if (!store) return;
    store.put('config', 'config', this.config);
    store.put('kernel', 'kernel', { release: '6.1', missing: this.missing });
    store.put('links', 'eth0', eth0(node(1)));
    for (const source of ['config', 'kernel', 'links', 'ports', 'cni'] as const) store.ready(source);
  }

  #list(): void {
    this.#store?.replace('nodes', new Map(this.cluster));
    this.#store?.ready('nodes');
  }

  /** One event of the watch. In bad weather it is lost, the client notices, and lists again a little later. */
  #event(name: string): void {
    if (this.#api === 'down' || this.#deaf) return;
    if (this.random() < this.#rate) {
      this.#store?.notReady('nodes', '410 Gone');
      const epoch = ++this.#epoch;
      this.#later(200 + 500 * this.random(), () => {
        if (epoch === this.#epoch && this.#api === 'up') this.#list();
      });
      return;
    }
    const object = this.cluster.get(name);
    const tell = () => {
      if (object) this.#store?.put('nodes', name, structuredClone(object));
      else this.#store?.remove('nodes', name);
    };
    if (this.#held) this.#held.push(tell);
    else tell();
    // A watch may tell the same twice.
    if (this.random() < this.#rate) tell();
  }

  #later(ms: number, callback: () => void): void {
    this.#underWay++;
    this.clock.after(ms, () => {
      this.#underWay--;
      callback();
    });
  }

  #wrote(target: TargetName, key: string, body: unknown): void {
    this.writes.push(`${body === undefined ? 'remove' : 'write'} ${target} ${key}`);
    const item = target === 'node-status' ? (body as NodeStatusBody | undefined)?.item : undefined;
    const own = this.cluster.get(this.config.nodeName);
    if (!own || item?.kind !== 'annotation' || item.name !== FACTS_ANNOTATION) return;
    const facts = JSON.parse(item.value) as NodeFacts;
    this.#later(1, () => this.setNode(own.name, { ...(this.cluster.get(own.name) ?? own), facts }));
  }
}
