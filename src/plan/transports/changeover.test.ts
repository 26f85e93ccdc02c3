/**
 * Changing transport, VNI, port or underlay family on a running cluster, under every interleaving that chance finds: each node has
 * its own delayed view of the API server, applies single rows, and one call in ten fails. After every single row, whatever the
 * kernel of one node sends by, the kernel of the other can receive.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONFIG, emptyStore, eth0, node } from '../../../test/support/plan-worlds.ts';
import { fc, runs } from '../../../test/support/property.ts';
import type { Config } from '../../model/cluster/config.ts';
import type { Node, NodeFacts } from '../../model/cluster/node.ts';
import type { Row, RowRef, TargetName } from '../../model/rows/row.ts';
import type { WorldStore } from '../../model/world-store.ts';
import { PlanEngine } from '../engine.ts';
import { nodePlanner } from '../node/planner.ts';
import { transportsPlanner } from './planner.ts';

const STAGES: Partial<Record<TargetName, number>> = {
  sysctl: 0,
  link: 0,
  address: 0,
  nft: 1,
  neighbor: 2,
  fdb: 2,
  nexthop: 2,
  route: 3,
  file: 6,
  'node-status': 6,
};
const stage = (target: TargetName): number => STAGES[target] ?? assert.fail(target);
const id = ({ target, key }: RowRef): string => `${target} ${key}`;

/** All versions of all Nodes in one order, as a watch delivers them. */
class Api {
  readonly log: Node[] = [];
  readonly #latest = new Map<string, Node>();

  write(next: Node): void {
    this.#latest.set(next.name, next);
    this.log.push(next);
  }

  publish(name: string, text: string): void {
    const before = this.#latest.get(name) ?? assert.fail();
    this.write({ ...before, facts: JSON.parse(text) as NodeFacts });
  }
}

class Agent {
  readonly name: string;
  readonly kernel = new Map<string, Row>();
  readonly #api: Api;
  readonly #store: WorldStore = emptyStore();
  readonly #engine = new PlanEngine([transportsPlanner, nodePlanner]);
  #seen = 0;
  readonly #unseen: NodeFacts[] = [];

  constructor(own: Node, api: Api) {
    this.name = own.name;
    this.#api = api;
    this.#store.put('kernel', 'kernel', { release: '6.1', missing: {} });
    this.#store.put('links', 'eth0', eth0(own));
  }

  configure(config: Partial<Config>): void {
    const masquerade = { enabled: false, exclude: [] };
    this.#store.put('config', 'config', { ...CONFIG, ...config, masquerade, nodeName: this.name });
  }

  get behind(): boolean {
    return this.#seen < this.#api.log.length;
  }

  see(): void {
    const next = this.#api.log[this.#seen];
    if (!next) return;
    this.#seen++;
    if (next.name !== this.name) this.#store.put('nodes', next.name, next);
    else {
      if (next.facts) this.#unseen.shift();
      this.#putOwn(next);
    }
  }

  /** What agent/own-facts.ts does: what it wrote and has not seen come back, others may have seen already. */
  #putOwn(own: Node): void {
    const unseen = [...new Set(this.#unseen.flatMap(({ accepts, uses }) => [...accepts, ...uses]))].sort();
    this.#store.put('nodes', this.name, unseen.length > 0 ? { ...own, unseen } : own);
  }

  /** Applies the first row that can be applied and is not refused. Returns false when there is nothing to do. */
  act(refused: () => boolean): boolean {
    this.#engine.run(this.#store.world, this.#store.take());
    const wanted = new Map([...this.#engine.rows()].map((row) => [id(row), row]));
    const adds = [...wanted.values()]
      .filter((row) => !same(this.kernel.get(id(row)), row))
      // One word at a time: nothing new is told before the last is seen to have been told.
      .filter((row) => this.#unseen.length === 0 || !isFacts(row))
      .filter((row) => (row.needs ?? []).every((need) => this.#isTrue(need, wanted)))
      .sort((a, b) => stage(a.target) - stage(b.target));
    const removals = [...this.kernel.values()]
      .filter((row) => !wanted.has(id(row)))
      .sort((a, b) => stage(b.target) - stage(a.target));
    const todo = [...adds, ...removals];
    const row = todo.find(() => !refused()) ?? todo[0];
    if (!row) return false;
    if (wanted.has(id(row))) this.#apply(row);
    else this.#remove(row);
    return true;
  }

  #isTrue(need: RowRef, wanted: ReadonlyMap<string, Row>): boolean {
    const row = wanted.get(id(need)) ?? assert.fail(`${id(need)} is needed and never wanted`);
    return same(this.kernel.get(id(need)), row);
  }

  #apply(row: Row): void {
    this.kernel.set(id(row), row);
    if (row.target !== 'node-status' || row.body.item.kind !== 'annotation') return;
    this.#api.publish(this.name, row.body.item.value);
    this.#unseen.push(JSON.parse(row.body.item.value) as NodeFacts);
    const { unseen: _, ...own } = this.#store.world.nodes.objects.get(this.name) ?? assert.fail();
    this.#putOwn(own);
  }

  /** A link takes along what is on it, a nexthop the routes that name it. */
  #remove(row: Row): void {
    this.kernel.delete(id(row));
    for (const other of [...this.kernel.values()]) {
      const [hop] = other.target === 'route' ? other.body.nextHops : [];
      if (row.target === 'nexthop' && hop?.id === row.body.id) this.kernel.delete(id(other));
      if (row.target !== 'link') continue;
      if (hop?.id === undefined && hop?.dev === row.key) this.kernel.delete(id(other));
      else if (other.target === 'nexthop' && other.body.dev === row.key) this.#remove(other);
      else if ((other.target === 'fdb' || other.target === 'neighbor') && other.body.dev === row.key)
        this.kernel.delete(id(other));
    }
  }
}

const isFacts = (row: Row): boolean => row.target === 'node-status' && row.body.item.kind === 'annotation';

const same = (a: Row | undefined, b: Row): boolean =>
  a !== undefined && JSON.stringify(a.body) === JSON.stringify(b.body);

interface Cluster {
  readonly nodes: readonly Node[];
  readonly api: Api;
  readonly agents: readonly Agent[];
}

function start(nodes: readonly Node[], config: Partial<Config>): Cluster {
  const api = new Api();
  for (const each of nodes) api.write(each);
  const agents = nodes.map((each) => new Agent(each, api));
  for (const agent of agents) agent.configure(config);
  const cluster = { nodes, api, agents };
  settle(cluster);
  return cluster;
}

function settle({ agents }: Cluster): void {
  for (let round = 0; round < 5000; round++) {
    let busy = false;
    for (const agent of agents) {
      while (agent.behind) agent.see();
      if (agent.act(() => false)) busy = true;
    }
    if (!busy && agents.every((agent) => !agent.behind)) return;
  }
  assert.fail('the cluster does not come to rest');
}

function assertNothingLost({ nodes, agents }: Cluster): void {
  for (const sender of agents) {
    for (const [i, receiver] of agents.entries()) {
      if (sender === receiver) continue;
      for (const cidr of nodes[i]?.podCidrs ?? []) assertDelivered(sender, receiver, cidr);
    }
  }
}

function assertDelivered(sender: Agent, receiver: Agent, cidr: string): void {
  const path = `${sender.name} → ${receiver.name} ${cidr}`;
  const route = sender.kernel.get(`route ${cidr}`);
  if (route?.target !== 'route') assert.fail(`${path}: no route`);
  const [named] = route.body.nextHops;
  const nexthop = named?.id === undefined ? undefined : sender.kernel.get(`nexthop ${named.id}`);
  if (named?.id !== undefined && nexthop?.target !== 'nexthop') assert.fail(`${path}: no nexthop`);
  // A route by id goes where its nexthop leads, not where its row once said.
  const hop = nexthop?.target === 'nexthop' ? nexthop.body : named;
  if (hop?.dev === 'eth0') return;
  const device = sender.kernel.get(`link ${hop?.dev}`);
  const neighbor = sender.kernel.get(`neighbor ${hop?.dev} ${hop?.via}`);
  if (device?.target !== 'link' || neighbor?.target !== 'neighbor')
    assert.fail(`${path}: nothing behind the route`);
  const fdb = sender.kernel.get(`fdb ${hop?.dev} ${neighbor.body.mac}`);
  assert.equal(fdb?.target, 'fdb', `${path}: no forwarding entry`);
  const far = receiver.kernel.get(`link ${device.key}`);
  if (far?.target !== 'link')
    assert.fail(`${path}: sent through ${device.key}, which ${receiver.name} does not have`);
  assert.equal(far.body.mac, neighbor.body.mac, `${path}: another MAC address`);
  for (const agent of [sender, receiver]) {
    for (const dev of ['eth0', device.key])
      assert.ok(
        agent.kernel.has(`sysctl net/ipv4/conf/${dev}/rp_filter`),
        `${path}: strict reverse path on ${dev}`,
      );
  }
}

const SETTINGS: readonly Partial<Config>[] = [
  { transport: 'layer2' },
  { transport: 'vxlan' },
  { transport: 'auto' },
  { transport: 'vxlan', vxlan: { vni: 7, port: 8472 } },
  { transport: 'vxlan', vxlan: { vni: 1, port: 4789 } },
  { transport: 'vxlan', underlayFamily: 'ipv6' },
];
/** Without layer2: nodes behind a router. */
const ROUTED = SETTINGS.filter(({ transport }) => transport !== 'layer2');

/** A small generator (mulberry32), so that a failure replays from its seed. */
function chance(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

function changeOver(nodes: readonly Node[], settings: readonly Partial<Config>[], seed: number): void {
  const dice = chance(seed);
  const pick = () => settings[dice(settings.length)] ?? assert.fail();
  const cluster = start(nodes, pick());
  assertNothingLost(cluster);
  // Up to three changes, the next one before the last has come to rest.
  for (let change = 0; change <= dice(3); change++) {
    const wanted = pick();
    const waiting = [...cluster.agents];
    for (let step = 0; step < 40 + dice(200); step++) {
      const agent = cluster.agents[dice(cluster.agents.length)] ?? assert.fail();
      if (waiting.length > 0 && dice(10) === 0) waiting.splice(dice(waiting.length), 1)[0]?.configure(wanted);
      else if (dice(2) === 0) agent.see();
      else agent.act(() => dice(10) === 0);
      assertNothingLost(cluster);
    }
    for (const agent of waiting) agent.configure(wanted);
  }
  const last = pick();
  for (const agent of cluster.agents) agent.configure(last);
  settle(cluster);
  assertNothingLost(cluster);
  assertClean(cluster, last);
}

/** At rest nothing is left of another transport: as if the cluster had been started like this. */
function assertClean(cluster: Cluster, config: Partial<Config>): void {
  const fresh = start(cluster.nodes, config);
  cluster.agents.forEach((agent, i) => {
    const rows = (all: Agent | undefined) => [...(all?.kernel.keys() ?? [])].sort();
    assert.deepEqual(rows(agent), rows(fresh.agents[i]), agent.name);
  });
}

test('layer2, vxlan, auto, another VNI, port or family, back and forth: nothing is lost, nothing is left', () => {
  const property = fc.property(fc.integer({ min: 0 }), (seed) =>
    changeOver([node(1), node(2), node(3)], SETTINGS, seed),
  );
  // The example once led a nexthop to a carrier that others accepted, but not this peer.
  fc.assert(property, { numRuns: runs(60), examples: [[1935712011]] });
});

test('the same behind a router, where layer2 cannot stand in', () => {
  const property = fc.property(fc.integer({ min: 0 }), (seed) =>
    changeOver([node(1), node(2, { segment: 1 })], ROUTED, seed),
  );
  fc.assert(property, { numRuns: runs(80) });
});

test('the guard of this file sees a loss: a receiver that drops its device too early', () => {
  const cluster = start([node(1), node(2)], { transport: 'vxlan' });
  cluster.agents[1]?.kernel.delete('link fl-vxlan');
  assert.throws(() => assertNothingLost(cluster), /which n2 does not have/);
});
