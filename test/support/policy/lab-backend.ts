/** Plays cases with real packets: one lab for all of them, whose objects are made as each case begins. */
import type { KubeObject } from '../../../src/lab/api/client.ts';
import { isStatus, MERGE } from '../../../src/lab/api/client.ts';
import { eventually, Lab } from '../../../src/lab/client.ts';
import { Deadline } from '../../../src/lab/deadline.ts';
import type { ProbeRequest, ProbeResult } from '../../../src/lab/prober/types.ts';
import { defaultTopology } from '../../../src/lab/topology/topology.ts';
import type { Cell, PolicyCase } from './cases.ts';
import { CLUSTER_POLICIES, installClusterPolicyCrd } from './crd.ts';
import { podToCreate } from './manifests.ts';
import { type Backend, wrongCell } from './run.ts';
import { type CasePod, type Change, ClusterState, type Labels, type Policy } from './state.ts';
import { familyOfText, type IpFamily } from './templates.ts';

export interface LabBackendOptions {
  readonly transport: 'layer2' | 'vxlan';
  readonly api: 'lab' | 'real';
  /** More of the agents' configuration. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** How long a change may take to hold on a calm machine. The conformance suite of ClusterNetworkPolicy gives 10 s. */
const PATIENCE = 15_000;
/** Milliseconds without an answer that mean "dropped", by what must be: who must be answered may be slow on a busy machine. */
const WAIT = { first: { allowed: 400, denied: 250 }, again: { allowed: 3000, denied: 250 } } as const;

/**
 * A question that happens to have the port of an old one's is a new connection in the eyes of the tables, which say nothing about established
 * ones; so UDP is soon forgotten, but not before an answer that is late on a busy machine: it would be a new connection, too.
 */
const FORGETFUL = {
  'net/netfilter/nf_conntrack_udp_timeout': '10',
  'net/netfilter/nf_conntrack_udp_timeout_stream': '10',
};

/** Namespaces that no API server lets go. */
const BUILT_IN = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

const PODS = '/api/v1/pods';
const NAMESPACES = '/api/v1/namespaces';
const NETWORK_POLICIES = '/apis/networking.k8s.io/v1/networkpolicies';

interface ApiPod extends KubeObject {
  readonly status?: {
    readonly phase?: string;
    readonly podIPs?: readonly { readonly ip: string }[];
    readonly containerStatuses?: readonly {
      readonly state?: { readonly waiting?: { readonly message?: string } };
    }[];
  };
}

const waitsFor = ({ status }: ApiPod): string =>
  status?.containerStatuses?.[0]?.state?.waiting?.message ?? '';

interface Made {
  readonly pod: CasePod;
  /** What cannot change in a pod: other pods must be made. */
  readonly shape: string;
  readonly uid: string;
}

export class LabBackend implements Backend {
  readonly lab: Lab;
  #state: ClusterState | undefined;
  /** A case's name of a node to the lab's, where names are short. */
  readonly #nodes: ReadonlyMap<string, string>;
  readonly #nodeLabels = new Map<string, Labels>();
  readonly #namespaces = new Set<string>();
  readonly #made = new Map<string, Made>();
  readonly #ips = new Map<string, readonly string[]>();
  /** For reports: how many questions were asked. */
  asked = 0;

  private constructor(lab: Lab, nodes: ReadonlyMap<string, string>) {
    this.lab = lab;
    this.#nodes = nodes;
  }

  /** A lab with the nodes of these cases: all on one wire for layer2, on two for vxlan. */
  static async open(cases: readonly PolicyCase[], options: LabBackendOptions): Promise<LabBackend> {
    const names = cases.flatMap((one) => [...new ClusterState(one.cluster, one.laterPods).nodes.keys()]);
    const segments = options.transport === 'layer2' ? 1 : 2;
    const base = defaultTopology({ nodes: new Set(names).size, pods: 0, segments });
    const topology = { ...base, nodes: base.nodes.map((node) => ({ ...node, sysctls: FORGETFUL })) };
    const nodes = new Map([...new Set(names)].sort().map((name, i) => [name, base.nodes[i]!.name]));
    // Agents look every ten seconds or so for a kind that was not there: here it is there before them.
    const lab = await Lab.start({ topology, ...options, agents: false });
    if (cases.some(({ steps }) => JSON.stringify(steps).includes('ClusterNetworkPolicy')))
      await installClusterPolicyCrd(lab.api);
    for (const node of nodes.values()) await lab.call('startAgent', { node });
    await lab.settled();
    return new LabBackend(lab, nodes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab.close();
  }

  async start(state: ClusterState): Promise<void> {
    this.#state = state;
    await this.#deletePolicies();
    for (const { name, labels } of state.nodes.values()) await this.#labelNode(name, labels);
    for (const name of [...this.#namespaces])
      if (!state.namespaces.has(name) && !BUILT_IN.includes(name)) await this.#deleteNamespace(name);
    for (const [name, labels] of state.namespaces) await this.#setNamespace(name, labels);
    for (const [key, made] of [...this.#made]) {
      const wanted = state.pods.get(key);
      if (!wanted || made.shape !== shapeOf(wanted, state)) await this.#deletePod(key);
    }
    for (const key of state.pods.keys()) await this.#setPod(key);
    await this.#settled();
  }

  addressOf(pod: string, family: IpFamily): string {
    const found = this.#ips.get(pod)?.find((ip) => familyOfText(ip) === family);
    if (found === undefined) throw new Error(`${pod} has no ${family} address`);
    return found;
  }

  async change(change: Change): Promise<void> {
    if ('implied' in change && change.implied) {
      if (change.kind === 'pod') this.#forget(change.key);
      return;
    }
    if (change.kind === 'namespace') {
      if (change.after) await this.#setNamespace(change.key, change.after);
      else await this.#deleteNamespace(change.key);
    } else if (change.kind === 'pod') {
      if (change.after) await this.#setPod(change.key);
      else await this.#deletePod(change.key);
    } else if (change.after) await this.#setPolicy(change.after);
    else if (change.before) await this.lab.api.delete(pathOf(change.before));
  }

  /**
   * Asks until everything is as it must be, and is so when everything is asked once more. Nodes follow a change one after the other: what one of
   * them denied by the old policies and another denies by the new ones is right at first, and open for a moment in between.
   */
  async check(cells: readonly Cell[], families: readonly IpFamily[]): Promise<readonly string[]> {
    if (cells.length === 0) return [];
    await this.#settled();
    const all = families.flatMap((family) => cells.map((cell): Question => ({ family, cell })));
    const deadline = new Deadline(PATIENCE);
    let wrong: readonly Question[];
    do {
      wrong = await this.#ask(all, WAIT.first);
      while (wrong.length > 0 && !deadline.passed) wrong = await this.#ask(wrong, WAIT.first);
      if (wrong.length === 0) wrong = await this.#ask(all, WAIT.again);
    } while (wrong.length > 0 && !deadline.passed);
    return wrong.map(({ family, cell, answer }) =>
      wrongCell(family, cell, answer?.verdict ?? '', answer?.reason),
    );
  }

  async #ask(
    questions: readonly Question[],
    wait: Readonly<Record<'allowed' | 'denied', number>>,
  ): Promise<readonly Question[]> {
    this.asked += questions.length;
    const requests = questions.map(
      ({ family, cell: { from, to, protocol, port, expected } }): ProbeRequest => {
        const timeout = expected === 'allowed' ? wait.allowed : wait.denied;
        return {
          from,
          to,
          family,
          protocol: protocol.toLowerCase() as ProbeRequest['protocol'],
          port,
          timeout,
        };
      },
    );
    const answers = await this.lab.ask(requests);
    return questions
      .map((question, i): Question => ({ ...question, answer: answers[i] }))
      .filter(({ cell, answer }) => !fits(cell, answer));
  }

  async #setPolicy(policy: Policy): Promise<void> {
    const path = pathOf(policy);
    const collection = path.slice(0, path.lastIndexOf('/'));
    try {
      const { metadata } = await this.lab.api.get(path);
      const { resourceVersion } = metadata;
      await this.lab.api.call('PUT', path, { ...policy, metadata: { ...policy.metadata, resourceVersion } });
    } catch (error) {
      if (!isStatus(error, 404)) throw error;
      await this.lab.api.create(collection, policy);
    }
  }

  async #deletePolicies(): Promise<void> {
    for (const { metadata } of await this.lab.api.list(NETWORK_POLICIES))
      await this.lab.api.delete(pathOf({ kind: 'NetworkPolicy', metadata }));
    const clustered = await this.lab.api.list(CLUSTER_POLICIES).catch((error: unknown) => {
      if (!isStatus(error, 404)) throw error;
      return [];
    });
    for (const { metadata } of clustered)
      await this.lab.api.delete(pathOf({ kind: 'ClusterNetworkPolicy', metadata }));
  }

  async #setNamespace(name: string, labels: Labels): Promise<void> {
    const path = `${NAMESPACES}/${name}`;
    if (!this.#namespaces.has(name))
      await ignoring(409, this.lab.api.create(NAMESPACES, { metadata: { name, labels } }));
    this.#namespaces.add(name);
    await this.#label(path, labels);
  }

  /** A namespace is gone when nothing of it is left. */
  async #deleteNamespace(name: string): Promise<void> {
    await this.lab.api.delete(`${NAMESPACES}/${name}`);
    await this.#gone(`${NAMESPACES}/${name}`);
    this.#namespaces.delete(name);
    for (const [key, { pod }] of this.#made) if (pod.namespace === name) this.#forget(key);
  }

  async #setPod(key: string): Promise<void> {
    const state = this.#state;
    if (!state) throw new Error('not started');
    const pod = state.pod(key);
    const made = this.#made.get(key);
    if (made) {
      await this.#label(podPath(key), pod.labels);
      return;
    }
    const manifest = podToCreate({ ...pod, node: this.#nodeNamed(pod.node) }, state.portsOf(pod));
    const { metadata } = await this.lab.api.create(`${NAMESPACES}/${pod.namespace}/pods`, manifest);
    this.#made.set(key, { pod, shape: shapeOf(pod, state), uid: metadata.uid ?? '' });
  }

  async #deletePod(key: string): Promise<void> {
    await this.lab.api.delete(podPath(key), { gracePeriodSeconds: 0 });
    await this.#gone(podPath(key));
    this.#forget(key);
  }

  #forget(key: string): void {
    this.#made.delete(key);
    this.#ips.delete(key);
  }

  /** All pods run and have their addresses. */
  async #settled(): Promise<void> {
    if ([...this.#made.keys()].every((key) => this.#ips.has(key))) return;
    await eventually(async () => {
      const reasons = new Map<string, string>();
      for (const pod of await this.lab.api.list<ApiPod>(PODS)) {
        const key = `${pod.metadata.namespace}/${pod.metadata.name}`;
        const ips = pod.status?.podIPs?.map(({ ip }) => ip) ?? [];
        const ours = this.#made.get(key)?.uid === pod.metadata.uid;
        if (ours && pod.status?.phase === 'Running' && ips.length > 0) this.#ips.set(key, ips);
        reasons.set(key, waitsFor(pod));
      }
      const waiting = [...this.#made.keys()].filter((key) => !this.#ips.has(key));
      if (waiting.length === 0) return;
      throw new Error(
        `pods do not run: ${waiting.map((key) => `${key} ${reasons.get(key) ?? ''}`).join(', ')}`,
      );
    }, 30_000);
  }

  /** A Node has labels of its kubelet's, too; of those that a case gave it go what the next one does not. */
  async #labelNode(name: string, labels: Labels): Promise<void> {
    const given = this.#nodeLabels.get(name) ?? {};
    this.#nodeLabels.set(name, labels);
    const gone = Object.keys(given).filter((key) => labels[key] === undefined);
    await this.#patchLabels(`/api/v1/nodes/${this.#nodeNamed(name)}`, labels, gone);
  }

  /** Whatever is not named goes. */
  async #label(path: string, labels: Labels): Promise<void> {
    const present = (await this.lab.api.get(path)).metadata.labels ?? {};
    const gone = Object.keys(present).filter((key) => labels[key] === undefined);
    const same = gone.length === 0 && Object.entries(labels).every(([key, value]) => present[key] === value);
    if (!same) await this.#patchLabels(path, labels, gone);
  }

  async #patchLabels(path: string, labels: Labels, gone: readonly string[]): Promise<void> {
    const patch = { ...labels, ...Object.fromEntries(gone.map((key) => [key, null])) };
    if (Object.keys(patch).length > 0) await this.lab.api.patch(path, { metadata: { labels: patch } }, MERGE);
  }

  #nodeNamed(name: string): string {
    return this.#nodes.get(name) ?? name;
  }

  async #gone(path: string): Promise<void> {
    await eventually(async () => {
      const there = await this.lab.api.get(path).catch((error: unknown) => {
        if (!isStatus(error, 404)) throw error;
        return undefined;
      });
      if (there) throw new Error(`${path} is still there`);
    }, 30_000);
  }
}

interface Question {
  readonly family: IpFamily;
  readonly cell: Cell;
  readonly answer?: ProbeResult | undefined;
}

function fits({ expected }: Cell, answer: ProbeResult | undefined): boolean {
  if (expected === 'blocked') return answer?.verdict === 'dropped' || answer?.verdict === 'rejected';
  return answer?.verdict === expected;
}

const shapeOf = (pod: CasePod, state: ClusterState): string =>
  JSON.stringify([pod.node, pod.hostNetwork ?? false, state.portsOf(pod)]);

const podPath = (key: string): string => {
  const [namespace, name] = key.split('/');
  return `${NAMESPACES}/${namespace}/pods/${name}`;
};

function pathOf({
  kind,
  metadata: { namespace, name },
}: Pick<Policy, 'kind' | 'metadata'> | { kind: string; metadata: KubeObject['metadata'] }): string {
  return kind === 'NetworkPolicy'
    ? `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies/${name}`
    : `${CLUSTER_POLICIES}/${name}`;
}

async function ignoring(status: number, work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!isStatus(error, status)) throw error;
  });
}
