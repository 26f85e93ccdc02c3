import { join } from 'node:path';
import { FairleadError } from '../../model/errors.ts';
import { isStatus, LabApi } from '../api/client.ts';
import { type ApiService, kubeconfig } from '../api/service.ts';
import { LabNode } from '../kubelet/node.ts';
import { labPod } from '../kubelet/pod-object.ts';
import type { LabOptions } from '../options.ts';
import { PROBE_PORT, Responder } from '../prober/responder.ts';
import { type Network, OUTSIDE } from '../topology/network.ts';
import {
  checkTopology,
  nodeAddresses,
  outsideAddress,
  segmentNamed,
  type Topology,
  type TopologyNode,
} from '../topology/topology.ts';
import { Controllers } from './controllers.ts';
import { Pods } from './pods.ts';

export const NAMESPACE = 'default';

/** Everything inside the lab, alive: wires, nodes, kubelets, pods, the control plane's other hands. */
export class Cluster {
  readonly api: LabApi;
  readonly service: ApiService;
  readonly controllers: Controllers;
  readonly pods: Pods;
  readonly network: Network;
  readonly nodes = new Map<string, LabNode>();
  readonly options: LabOptions;
  readonly #cniBin: string;
  readonly #answering = new Map<string, Responder>();
  #topology: Topology;

  constructor(options: LabOptions, service: ApiService, network: Network, cniBin: string) {
    this.options = options;
    this.service = service;
    this.network = network;
    this.#topology = network.topology;
    this.#cniBin = cniBin;
    this.api = new LabApi(service.access);
    this.controllers = new Controllers(this.api, { keepsTaints: options.api === 'lab' });
    this.pods = new Pods(this.api, this.controllers, this.nodes);
  }

  get topology(): Topology {
    return this.#topology;
  }

  get kubeconfig(): string {
    return kubeconfig('https://127.0.0.1:6443', this.service);
  }

  /** Brings up what the topology says; resolves when agents and kubelets run, not yet when pods do. */
  async start(): Promise<void> {
    this.controllers.start();
    this.pods.start();
    const { nodes, outside } = this.#topology;
    if (outside) this.#answering.set(OUTSIDE, await this.#answer(OUTSIDE));
    await Promise.all(nodes.map((node) => this.#boot(node)));
    await Promise.all(
      nodes.flatMap((node) =>
        Array.from({ length: node.pods }, (_, i) => this.addPod(`${node.name}-${letter(i)}`, node.name)),
      ),
    );
  }

  node(name: string): LabNode {
    const node = this.nodes.get(name);
    if (!node) {
      throw new FairleadError('lab-name', `no node "${name}"`, {
        hint: `nodes are ${[...this.nodes.keys()].sort().join(', ')}`,
      });
    }
    return node;
  }

  /** Adds a machine to the running cluster. `name` and `segment` default to the next ones. */
  async addNode(wanted: Partial<TopologyNode>): Promise<string> {
    const node: TopologyNode = {
      pods: 0,
      ...wanted,
      name: wanted.name ?? this.#nextName(),
      segment: wanted.segment ?? this.#emptiestSegment(),
    };
    if (node.addresses === undefined) {
      // Addresses are fixed here once, so that a later removal of a neighbour does not shift them.
      const all = nodeAddresses({ ...this.#topology, nodes: [...this.#fixedNodes(), node] });
      Object.assign(node, { addresses: (all.get(node.name) ?? []).map(bare) });
    }
    this.#topology = checkTopology({ ...this.#topology, nodes: [...this.#fixedNodes(), node] });
    await this.network.add(node, this.#topology);
    await this.#boot(node);
    for (let i = 0; i < node.pods; i++) await this.addPod(`${node.name}-${letter(i)}`, node.name);
    return node.name;
  }

  /** A machine is switched off for good: its Node object goes, its pods and its namespace with it. */
  async removeNode(name: string): Promise<void> {
    const node = this.node(name);
    this.nodes.delete(name);
    await node.agent.kill();
    await this.api.delete(`/api/v1/nodes/${name}`).catch(ignore(404));
    await this.pods.endOn(node);
    this.#answering.get(name)?.close();
    this.#answering.delete(name);
    await node.close();
    await this.network.remove(name);
    this.#topology = { ...this.#topology, nodes: this.#fixedNodes().filter((n) => n.name !== name) };
  }

  async addPod(name: string, node: string | undefined, labels: Record<string, string> = {}): Promise<void> {
    if (node !== undefined) this.node(node);
    await this.api.create(`/api/v1/namespaces/${NAMESPACE}/pods`, labPod(NAMESPACE, name, node, labels));
  }

  async removePod(key: string): Promise<void> {
    const [namespace, name] = key.includes('/') ? key.split('/') : [NAMESPACE, key];
    await this.api.delete(`/api/v1/namespaces/${namespace}/pods/${name}`);
  }

  /** Whether all nodes are Ready and all pods run; else what is waited for. */
  waitingFor(): string | undefined {
    const nodes = this.controllers.nodes();
    for (const node of this.nodes.values()) {
      const object = nodes.find((n) => n.metadata.name === node.name);
      const ready = object?.status?.conditions?.find((c) => c.type === 'Ready');
      if (ready?.status !== 'True') return `node ${node.name}: ${ready?.message ?? 'not registered'}`;
    }
    const pods = this.pods.all();
    const wanted = this.#topology.nodes.reduce((sum, node) => sum + node.pods, 0);
    const waiting = pods.find((pod) => !pod.running);
    if (waiting) return `pod ${waiting.key}: ${waiting.problem ?? 'starting'}`;
    return pods.length < wanted ? `${wanted - pods.length} pods` : undefined;
  }

  async #boot(topology: TopologyNode): Promise<void> {
    const addresses = (nodeAddresses(this.#topology).get(topology.name) ?? []).map(bare);
    const node = new LabNode({
      api: this.api,
      ns: this.network.ns(topology.name),
      node: topology,
      addresses,
      families: this.#topology.families,
      kubeconfig: this.kubeconfig,
      config: this.options.config,
      cniBin: this.#cniBin,
      agent: [
        process.execPath,
        '--max-semi-space-size=4',
        '--no-parallel-scavenge',
        join(this.options.root, 'dist/fairlead.cjs'),
      ],
    });
    await node.prepare();
    this.nodes.set(node.name, node);
    this.#answering.set(node.name, await this.#answer(node.name));
    // The Node object first: an agent finds its own Node at once, as on a machine that joined.
    await node.join();
    if (this.options.agents) node.agent.start();
  }

  #answer(name: string): Promise<Responder> {
    return Responder.start(this.network.ns(name), this.#topology.families, [
      { protocol: 'tcp', port: PROBE_PORT },
      { protocol: 'udp', port: PROBE_PORT },
    ]);
  }

  #fixedNodes(): readonly TopologyNode[] {
    const addresses = nodeAddresses(this.#topology);
    return this.#topology.nodes.map((node) => ({
      ...node,
      addresses: (addresses.get(node.name) ?? []).map(bare),
    }));
  }

  #nextName(): string {
    let n = this.#topology.nodes.length + 1;
    while (this.#topology.nodes.some((node) => node.name === `n${n}`)) n++;
    return `n${n}`;
  }

  #emptiestSegment(): string {
    const used = (name: string) => this.#topology.nodes.filter((n) => n.segment === name).length;
    const segments = this.#topology.segments.filter((s) => s.name !== this.#topology.outside?.segment);
    const [first] = [...segments].sort((a, b) => used(a.name) - used(b.name));
    if (!first) throw new FairleadError('bad-topology', 'no segment for a node');
    return first.name;
  }

  /** Addresses of `outside`. */
  get outsideAddresses(): readonly string[] {
    const { outside } = this.#topology;
    return outside ? segmentNamed(this.#topology, outside.segment).cidrs.map(outsideAddress) : [];
  }
}

const bare = (address: string): string => address.split('/')[0] ?? '';

/** a, b, … z, aa, ab … */
function letter(i: number): string {
  return i < 26 ? String.fromCharCode(97 + i) : letter(Math.floor(i / 26) - 1) + letter(i % 26);
}

function ignore(status: number): (error: unknown) => void {
  return (error) => {
    if (!isStatus(error, status)) throw error;
  };
}
