/**
 * A cluster as cases of policies describe it, and what their actions do to it. Format: test/conformance/data/netpol-cases/README.md
 * and cnp-cases/README.md.
 */

export type Labels = Readonly<Record<string, string>>;

/** A policy as the API has it, unread. */
export interface Policy {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec: Readonly<Record<string, unknown>>;
}

export type Protocol = 'TCP' | 'UDP' | 'SCTP';

/** A port that a pod serves; with a name it is declared as a container port, too. */
export interface ServedPort {
  readonly name?: string;
  readonly protocol: Protocol;
  readonly port: number;
}

export interface CasePod {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
  /** A proposal. */
  readonly node: string;
  /** A proposal, too: only `covers` is a promise. */
  readonly ip: string;
  readonly hostNetwork?: boolean;
  /** Instead of the cluster's common ones. */
  readonly ports?: readonly ServedPort[];
}

export interface CaseNode {
  readonly name: string;
  readonly labels: Labels;
  readonly addresses: readonly string[];
}

/** `cluster.json`. */
export interface ClusterFile {
  readonly nodes?: readonly CaseNode[];
  readonly namespaces: Readonly<Record<string, Labels>>;
  readonly ports: readonly ServedPort[];
  readonly pods: readonly CasePod[];
  /** Template to the pods that lie in it. */
  readonly covers?: Readonly<Record<string, readonly string[]>>;
}

/** One entry of `actions`: the action's name to its body. */
export type Action = Readonly<Record<string, unknown>>;

/** One object that came, changed or went. `implied`: its namespace went, which takes it along. */
export type Change =
  | { readonly kind: 'namespace'; readonly key: string; readonly after: Labels | undefined }
  | {
      readonly kind: 'pod';
      readonly key: string;
      readonly after: CasePod | undefined;
      readonly implied?: boolean;
    }
  | {
      readonly kind: 'policy';
      readonly key: string;
      readonly before: Policy | undefined;
      readonly after: Policy | undefined;
      readonly implied?: boolean;
    };

export const podKeyOf = (pod: { namespace: string; name: string }): string => `${pod.namespace}/${pod.name}`;

/** `NetworkPolicy x/allow-web`, `ClusterNetworkPolicy deny-all`. */
function policyKeyOf(policy: Pick<Policy, 'kind' | 'metadata'>): string {
  const { namespace, name } = policy.metadata;
  if (policy.kind === 'NetworkPolicy') return `NetworkPolicy ${namespace}/${name}`;
  if (policy.kind === 'ClusterNetworkPolicy') return `ClusterNetworkPolicy ${name}`;
  throw new Error(`a policy of unknown kind ${JSON.stringify(policy.kind)}`);
}

/** What is there at one moment of a case. An action that makes no sense throws: a case that is not understood must not pass. */
export class ClusterState {
  readonly file: ClusterFile;
  readonly nodes: ReadonlyMap<string, CaseNode>;
  readonly namespaces = new Map<string, Labels>();
  readonly pods = new Map<string, CasePod>();
  readonly policies = new Map<string, Policy>();

  constructor(file: ClusterFile, laterNodes: readonly string[] = []) {
    this.file = file;
    const named = file.nodes?.map((node) => node.name) ?? [];
    const used = [...file.pods.map((pod) => pod.node), ...laterNodes]
      .filter((name) => name !== undefined)
      .sort();
    const bare = (name: string): CaseNode => ({ name, labels: {}, addresses: [] });
    const missing = [...new Set(used)].filter((name) => !named.includes(name)).map(bare);
    this.nodes = new Map([...(file.nodes ?? []), ...missing].map((node) => [node.name, node]));
    for (const [name, labels] of Object.entries(file.namespaces)) this.namespaces.set(name, labels);
    for (const pod of file.pods) this.pods.set(podKeyOf(pod), this.#placed(pod));
  }

  portsOf(pod: CasePod): readonly ServedPort[] {
    return pod.ports ?? this.file.ports;
  }

  pod(key: string): CasePod {
    return this.pods.get(key) ?? fail(`no pod ${key}`);
  }

  apply(action: Action): readonly Change[] {
    const [entry, ...others] = Object.entries(action);
    if (!entry || others.length > 0) return fail(`one action an entry, not ${JSON.stringify(action)}`);
    const [name, body] = entry;
    const change = ACTIONS[name];
    if (!change) return fail(`unknown action ${JSON.stringify(name)}`);
    return change(this, body as never);
  }

  setPolicy(policy: Policy): Change {
    const key = policyKeyOf(policy);
    if (policy.kind === 'NetworkPolicy') this.#mustHave(policy.metadata.namespace ?? '');
    const before = this.policies.get(key);
    this.policies.set(key, policy);
    return { kind: 'policy', key, before, after: policy };
  }

  deletePolicy(key: string): Change {
    const before = this.policies.get(key) ?? fail(`no ${key}`);
    this.policies.delete(key);
    return { kind: 'policy', key, before, after: undefined };
  }

  setNamespace(name: string, labels: Labels): Change {
    this.namespaces.set(name, labels);
    return { kind: 'namespace', key: name, after: labels };
  }

  deleteNamespace(name: string): readonly Change[] {
    this.#mustHave(name);
    this.namespaces.delete(name);
    const policies = [...this.policies.values()].filter((policy) => policy.metadata.namespace === name);
    const pods = [...this.pods.values()].filter((pod) => pod.namespace === name);
    return [
      { kind: 'namespace', key: name, after: undefined },
      ...policies.map((policy) => ({ ...this.deletePolicy(policyKeyOf(policy)), implied: true })),
      ...pods.map((pod) => ({ ...this.deletePod(podKeyOf(pod)), implied: true })),
    ];
  }

  setPod(pod: CasePod): Change {
    this.#mustHave(pod.namespace);
    const key = podKeyOf(pod);
    const after = this.#placed(pod);
    this.pods.set(key, after);
    return { kind: 'pod', key, after };
  }

  deletePod(key: string): Change {
    this.pod(key);
    this.pods.delete(key);
    return { kind: 'pod', key, after: undefined };
  }

  /** The node is a proposal: without one, or one that nobody knows, it is the first. */
  #placed(pod: CasePod): CasePod {
    const [first = 'node-1'] = this.nodes.keys();
    return this.nodes.has(pod.node) ? pod : { ...pod, node: first };
  }

  #mustHave(namespace: string): void {
    if (!this.namespaces.has(namespace)) fail(`no namespace ${JSON.stringify(namespace)}`);
  }
}

interface Named {
  readonly name: string;
  readonly namespace: string;
}

const ACTIONS: Readonly<Record<string, (state: ClusterState, body: never) => readonly Change[]>> = {
  'create-policy': (state, body: Policy) => [
    state.policies.has(policyKeyOf(body))
      ? fail(`${policyKeyOf(body)} is there already`)
      : state.setPolicy(body),
  ],
  'update-policy': (state, body: Policy) => [
    state.policies.has(policyKeyOf(body)) ? state.setPolicy(body) : fail(`no ${policyKeyOf(body)} to update`),
  ],
  'delete-policy': (state, { kind = 'NetworkPolicy', ...metadata }: Named & { kind?: string }) => [
    state.deletePolicy(policyKeyOf({ kind, metadata })),
  ],
  'create-namespace': (state, { name, labels }: { name: string; labels: Labels }) => [
    state.namespaces.has(name)
      ? fail(`namespace ${name} is there already`)
      : state.setNamespace(name, labels),
  ],
  'set-namespace-labels': (state, { name, labels }: { name: string; labels: Labels }) => [
    state.namespaces.has(name) ? state.setNamespace(name, labels) : fail(`no namespace ${name}`),
  ],
  'delete-namespace': (state, { name }: { name: string }) => state.deleteNamespace(name),
  'create-pod': (state, pod: CasePod) => [
    state.pods.has(podKeyOf(pod)) ? fail(`pod ${podKeyOf(pod)} is there already`) : state.setPod(pod),
  ],
  'set-pod-labels': (state, { labels, ...pod }: Named & { labels: Labels }) => [
    state.setPod({ ...state.pod(podKeyOf(pod)), labels }),
  ],
  'delete-pod': (state, pod: Named) => [state.deletePod(podKeyOf(pod))],
};

function fail(words: string): never {
  throw new Error(words);
}
