/** Small Worlds for tests of planners, and the laws that every planner obeys. */
import assert from 'node:assert/strict';
import type { Config } from '../../src/model/cluster/config.ts';
import type { BridgePort, HostLink } from '../../src/model/cluster/host.ts';
import type { Node, NodeFacts } from '../../src/model/cluster/node.ts';
import { cidr, type IpPrefix } from '../../src/model/net/cidr.ts';
import { ip } from '../../src/model/net/ip.ts';
import type { Row, RowOf, TargetName } from '../../src/model/rows/row.ts';
import type { SourceName, World, WorldChange, WorldTables } from '../../src/model/world.ts';
import { SOURCE_NAMES, WorldStore } from '../../src/model/world-store.ts';
import { PlanEngine, planOnce } from '../../src/plan/engine.ts';
import type { Planner } from '../../src/plan/planner.ts';

export const CONFIG: Config = {
  nodeName: 'n1',
  router: { enabled: true },
  transport: 'auto',
  underlayLink: undefined,
  underlayFamily: 'ipv4',
  vxlan: { vni: 1, port: 8472 },
  podMtu: undefined,
  cni: {
    write: true,
    dir: '/etc/cni/net.d',
    file: '05-fairlead.conflist',
    plugin: 'bridge',
    bridge: 'fairlead0',
    hairpin: true,
    portmap: true,
    socket: '/run/fairlead/agent.sock',
  },
  masquerade: { enabled: true, exclude: [] },
  clampMss: true,
  policy: {
    enabled: true,
    unknownPods: 'closed',
    defaultDeny: 'none',
    defaultDenyExcept: ['kube-system'],
    denied: 'drop',
    established: 'recheck',
    logGroup: 100,
    logRate: 10,
  },
};

/** Node `nI` of segment S: 10.0.S.I and 2001:db8:S::I, pods 10.244.I.0/24 and fd00:244:I::/64. */
export function node(i: number, changes: Partial<Node> & { segment?: number } = {}): Node {
  const { segment = 0, ...rest } = changes;
  return {
    name: `n${i}`,
    uid: `uid-${i}`,
    created: `2026-01-01T00:00:${String(i).padStart(2, '0')}Z`,
    addresses: [ip(`10.0.${segment}.${i}`), ip(`2001:db8:${segment}::${i}`)],
    externalAddresses: [],
    podCidrs: [cidr(`10.244.${i}.0/24`), cidr(`fd00:244:${i}::/64`)],
    labels: {},
    facts: undefined,
    networkUnavailable: undefined,
    problems: [],
    ...rest,
  };
}

/** What an agent on that node would have told. */
export function facts(of: Node, changes: Partial<NodeFacts> = {}): NodeFacts {
  return {
    version: 1,
    accepts: ['layer2', 'vxlan/ipv4/1/8472'],
    uses: ['layer2', 'vxlan/ipv4/1/8472'],
    underlay: of.addresses.map((address) => `${address}/${address.includes(':') ? 64 : 24}`),
    mtu: 1500,
    ...changes,
  };
}

export function link(name: string, addresses: readonly string[], changes: Partial<HostLink> = {}): HostLink {
  return {
    index: 2,
    name,
    kind: '',
    mtu: 1500,
    up: true,
    carrier: true,
    mac: undefined,
    alias: '',
    addresses: addresses as readonly IpPrefix[],
    master: undefined,
    ...changes,
  };
}

/** The link that a node made by `node` has. */
export function eth0(of: Node, changes: Partial<HostLink> = {}): HostLink {
  const addresses = of.addresses.map((address) => `${address}/${address.includes(':') ? 64 : 24}`);
  return link('eth0', [...addresses, 'fe80::1/64'], changes);
}

export interface Content {
  readonly config?: Partial<Config>;
  readonly nodes?: readonly Node[];
  readonly links?: readonly HostLink[];
  readonly ports?: readonly BridgePort[];
  readonly missing?: WorldTables['kernel']['missing'];
  readonly cni?: readonly WorldTables['cni'][];
  readonly pods?: readonly WorldTables['pods'][];
}

const still = { wall: () => 0, monotonic: () => 0, after: () => ({ cancel: () => {} }) };

export function emptyStore(): WorldStore {
  const store = new WorldStore(still);
  for (const source of SOURCE_NAMES) store.ready(source);
  return store;
}

export function store(content: Content): WorldStore {
  const filled = emptyStore();
  const config = { ...CONFIG, ...content.config };
  filled.put('config', 'config', config);
  filled.put('kernel', 'kernel', { release: '6.1', missing: content.missing ?? {} });
  const nodes = content.nodes ?? [];
  const own = nodes.find((candidate) => candidate.name === config.nodeName);
  for (const each of content.links ?? (own ? [eth0(own)] : [])) filled.put('links', each.name, each);
  for (const each of content.ports ?? []) filled.put('ports', each.name, each);
  for (const each of nodes) filled.put('nodes', each.name, each);
  for (const each of content.cni ?? []) filled.put('cni', each.path, each);
  for (const each of content.pods ?? []) filled.put('pods', each.key, each);
  return filled;
}

export const world = (content: Content): World => store(content).world;

/** A conflist that kube-router left. */
export const PREDECESSOR: WorldTables['cni'] = {
  path: '/etc/cni/net.d/10-kuberouter.conflist',
  name: 'mynet',
  bridge: 'kube-bridge',
  software: 'kube-router',
};

/** All rows of a plan from scratch, by target and key. */
export function plan(planners: readonly Planner[], content: Content): Planned {
  const engine = planOnce(planners, world(content));
  return { rows: [...engine.rows()], problems: engine.problems().map((p) => `${p.object}: ${p.message}`) };
}

export interface Planned {
  readonly rows: readonly Row[];
  readonly problems: readonly string[];
}

export function rowsOf<T extends TargetName>(planned: Planned, target: T): RowOf<T>[] {
  return planned.rows.filter((row): row is RowOf<T> & Row => row.target === target);
}

/** `route 10.244.2.0/24 via 10.0.0.2 dev eth0` and the like, sorted: what an operator would read. */
export function routeLines(planned: Planned): string[] {
  return rowsOf(planned, 'route')
    .map(({ body }) => {
      const [hop] = body.nextHops;
      const mtu = body.mtu === undefined ? '' : ` mtu ${body.mtu}`;
      return `${body.dst} via ${hop?.via} dev ${hop?.dev}${hop?.onlink ? ' onlink' : ''}${mtu}`;
    })
    .sort();
}

/** One step of a history of a World. `undefined` = removed. */
export type Step = {
  [S in SourceName]: { source: S; key: string; object: WorldTables[S] | undefined };
}[SourceName];

/** How a history is played: after which steps the planners run, and which changes they hear of twice or in another order. */
export interface Playing {
  /** Planners run after step i when this is true. */
  readonly runs: (i: number) => boolean;
  readonly twice: boolean;
  readonly backwards: boolean;
}

/** Plays a history step by step and asserts that the outcome is that of planning once from the final World. */
export function assertStepwise(
  planners: readonly Planner[],
  steps: readonly Step[],
  playing: Playing,
  leaves?: 'nothing',
): void {
  const live = emptyStore();
  const engine = new PlanEngine(planners);
  engine.run(live.world, live.take());
  let held: readonly WorldChange[] = [];
  steps.forEach((step, i) => {
    apply(live, step);
    if (!playing.runs(i)) return;
    const changes = [...live.take()];
    if (playing.backwards) changes.reverse();
    engine.run(live.world, playing.twice ? [...held, ...changes, ...changes] : changes);
    held = changes;
  });
  engine.run(live.world, live.take());
  const final = emptyStore();
  for (const source of [...SOURCE_NAMES].reverse()) {
    const entries = [...live.world[source].objects].reverse();
    for (const [key, object] of entries) apply(final, { source, key, object } as Step);
  }
  const scratch = planOnce(planners, final.world);
  assert.deepEqual(sorted(engine), sorted(scratch));
  if (leaves === 'nothing') assert.deepEqual([...engine.rows()], []);
}

function apply(target: WorldStore, { source, key, object }: Step): void {
  if (object === undefined) target.remove(source, key);
  else target.put(source, key, object as WorldTables[SourceName]);
}

function sorted(engine: PlanEngine): unknown {
  const rows = [...engine.rows()].sort((a, b) => (id(a) < id(b) ? -1 : 1));
  // Of two units that share a row either reason may be shown.
  return { rows: rows.map((row) => ({ ...row, why: '' })), problems: engine.problems() };
}

const id = (row: Row): string => `${row.target} ${row.key}`;
