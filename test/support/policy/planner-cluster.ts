/**
 * A cluster in memory: for every node a World out of raw manifests, read as the agent's sources read them, the policy planner over it, and
 * packets that are walked through the rows of the source's node and the destination's.
 */
import assert from 'node:assert/strict';
import { type Ip, ip } from '../../../src/model/net/ip.ts';
import type { Row } from '../../../src/model/rows/row.ts';
import type { SourceName, World } from '../../../src/model/world.ts';
import type { WorldStore } from '../../../src/model/world-store.ts';
import { PlanEngine, planOnce } from '../../../src/plan/engine.ts';
import type { PacketHook, Packet as RowsPacket } from '../../../src/plan/nft/walk/packet.ts';
import { type NftTableView, tableView, walkPacket } from '../../../src/plan/nft/walk/packets.ts';
import { policyPlanner } from '../../../src/plan/policy/planner.ts';
import { clusterNetworkPolicies } from '../../../src/sources/kube/clusternetworkpolicies.ts';
import { Interner } from '../../../src/sources/kube/interner.ts';
import { namespaces } from '../../../src/sources/kube/namespaces.ts';
import { networkPolicies } from '../../../src/sources/kube/networkpolicies.ts';
import { nodes } from '../../../src/sources/kube/nodes.ts';
import { pods } from '../../../src/sources/kube/pods.ts';
import type { Raw } from '../../../src/sources/kube/raw.ts';
import { CONFIG, emptyStore } from '../plan-worlds.ts';
import type { Packet } from './naive.ts';

const KINDS = {
  Namespace: namespaces,
  Node: nodes,
  Pod: pods,
  NetworkPolicy: networkPolicies,
  ClusterNetworkPolicy: clusterNetworkPolicies,
} as const;

export type KindName = keyof typeof KINDS;

/** One agent's view and what it made of it. */
class AgentNode {
  readonly name: string;
  readonly store: WorldStore;
  readonly engine = new PlanEngine([policyPlanner]);
  #view: NftTableView | undefined;

  constructor(name: string) {
    this.name = name;
    this.store = emptyStore();
    this.store.put('config', 'config', { ...CONFIG, nodeName: name });
    this.store.put('kernel', 'kernel', { release: '6.1', missing: {} });
  }

  step(): void {
    const { rows } = this.engine.run(this.store.world, this.store.take());
    if (rows.length > 0) this.#view = undefined;
  }

  get view(): NftTableView {
    this.#view ??= tableView(this.engine.rows());
    return this.#view;
  }

  /** What many small steps made is what planning once from this World makes, whatever the order in which it became known. */
  assertAsFromScratch(): void {
    const scratch = planOnce([policyPlanner], reversed(this.store.world));
    assert.deepEqual(sorted(this.engine.rows()), sorted(scratch.rows()), `rows of ${this.name}`);
    assert.deepEqual(this.engine.problems(), scratch.problems(), `problems of ${this.name}`);
  }
}

export interface Walked {
  readonly verdict: 'accepted' | 'dropped' | 'rejected';
  /** Where and by which rule. */
  readonly by: string;
}

export class PlannerCluster {
  readonly #shared = new Interner();
  readonly #agents: readonly AgentNode[];
  /** Of nodes: their own addresses. */
  readonly #nodeAddresses = new Map<string, readonly string[]>();
  /** Pod address to its node. */
  readonly #podNodes = new Map<string, string>();
  readonly #podIps = new Map<string, readonly string[]>();

  constructor(names: readonly string[]) {
    this.#agents = names.map((name) => new AgentNode(name));
    for (const agent of this.#agents) agent.step();
  }

  world(node: string): World {
    return this.#agent(node).store.world;
  }

  /** An object as the API server gives it came or changed. Every agent hears of it and plans. */
  put(kind: KindName, manifest: unknown): void {
    const raw = manifest as Raw;
    const reader = KINDS[kind];
    const key = reader.key(raw);
    const object = reader.project(raw, this.#shared);
    for (const agent of this.#agents) {
      const source = kind === 'Pod' && nodeOf(raw) !== agent.name ? 'peers' : reader.source;
      agent.store.put(source, key, object as never);
      agent.step();
    }
    if (kind === 'Node') this.#nodeAddresses.set(key, addressesIn(raw, 'addresses', 'address'));
    if (kind === 'Pod') this.#settle(key, raw);
  }

  remove(kind: KindName, key: string): void {
    for (const agent of this.#agents) {
      const sources: readonly SourceName[] = kind === 'Pod' ? ['pods', 'peers'] : [KINDS[kind].source];
      for (const source of sources) agent.store.remove(source, key);
      agent.step();
    }
    if (kind === 'Node') this.#nodeAddresses.delete(key);
    if (kind === 'Pod') this.#settle(key, {});
  }

  assertAsFromScratch(): void {
    for (const agent of this.#agents) agent.assertAsFromScratch();
  }

  /** The way of a connection's first packet through the machines. */
  walk(packet: Packet): Walked {
    const source = this.#placeOf(packet.from);
    const destination = this.#placeOf(packet.to);
    const crossed: [string, PacketHook][] = [];
    if (source) crossed.push([source.node, source.local ? 'output' : 'forward']);
    const oneMachine = source?.node === destination?.node;
    if (destination?.local && !(oneMachine && source?.local)) {
      // On its own machine a packet to the machine itself is delivered, not forwarded.
      if (oneMachine) crossed.pop();
      crossed.push([destination.node, 'input']);
    } else if (destination && !oneMachine) crossed.push([destination.node, 'forward']);
    let by = '';
    for (const [node, hook] of crossed) {
      const passage = walkPacket(this.#agent(node).view, this.#asRows(packet, node, hook));
      by = `${hook} at ${node}: ${passage.by}`;
      if (passage.verdict !== 'accepted') return { verdict: passage.verdict, by };
    }
    return { verdict: 'accepted', by };
  }

  #asRows({ from, to, protocol, port }: Packet, node: string, hook: PacketHook): RowsPacket {
    const name = typeof protocol === 'string' ? (protocol.toLowerCase() as 'tcp' | 'udp' | 'sctp') : protocol;
    const local = this.#nodeAddresses.get(node) ?? [];
    return {
      hook,
      from: ip(from),
      to: ip(to),
      protocol: name,
      local,
      ...(port === undefined ? {} : { dport: port }),
    };
  }

  #placeOf(address: string): { node: string; local: boolean } | undefined {
    for (const [node, addresses] of this.#nodeAddresses)
      if (addresses.includes(address)) return { node, local: true };
    const node = this.#podNodes.get(address);
    return node === undefined ? undefined : { node, local: false };
  }

  /** A pod that has finished may name an address that is another's by now. */
  #settle(key: string, raw: Raw): void {
    for (const address of this.#podIps.get(key) ?? []) this.#podNodes.delete(address);
    const { spec = {}, status = {} } = raw as { spec?: Raw; status?: Raw };
    const none = spec.hostNetwork === true || status.phase === 'Succeeded' || status.phase === 'Failed';
    const ips = none ? [] : addressesIn(raw, 'podIPs', 'ip');
    this.#podIps.set(key, ips);
    for (const address of ips) this.#podNodes.set(address, nodeOf(raw));
  }

  #agent(name: string): AgentNode {
    return this.#agents.find((agent) => agent.name === name) ?? assert.fail(`no node ${name}`);
  }
}

const nodeOf = (raw: Raw): string => String((raw.spec as Raw | undefined)?.nodeName ?? '');

function addressesIn(raw: Raw, list: string, field: string): readonly Ip[] {
  const entries = ((raw.status as Raw | undefined)?.[list] ?? []) as readonly Raw[];
  return entries.map((entry) => ip(String(entry[field])));
}

/** The same World, filled in the opposite order. */
function reversed(world: World): World {
  const store = emptyStore();
  for (const source of Object.keys(world).reverse() as SourceName[])
    for (const [key, object] of [...world[source].objects].reverse()) store.put(source, key, object as never);
  return store.world;
}

function sorted(rows: Iterable<Row>): readonly Row[] {
  const id = (row: Row): string => `${row.target} ${row.key}`;
  return [...rows].sort((a, b) => (id(a) < id(b) ? -1 : 1));
}
