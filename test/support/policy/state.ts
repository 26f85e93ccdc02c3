/**
 * A cluster as cases of policies describe it, and what their actions do to it. Format: test/conformance/data/netpol-cases/README.md
 * and cnp-cases/README.md.
 */

import { CaseError } from './field.ts';

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
  return fail(`a policy of unknown kind ${JSON.stringify(policy.kind)}`);
}

/** The API server gives it to every namespace, whatever its owner writes. */
const NAME_LABEL = 'kubernetes.io/metadata.name';

/** What is there at one moment of a case. Throws {@link CaseError} where a change contradicts it. */
export class ClusterState {
  readonly file: ClusterFile;
  /** Pods that are created on the way. */
  readonly laterPods: readonly CasePod[];
  readonly nodes: ReadonlyMap<string, CaseNode>;
  readonly namespaces = new Map<string, Labels>();
  readonly pods = new Map<string, CasePod>();
  readonly policies = new Map<string, Policy>();

  constructor(file: ClusterFile, laterPods: readonly CasePod[] = []) {
    this.file = file;
    this.laterPods = laterPods;
    const named = file.nodes?.map((node) => node.name) ?? [];
    const used = [...file.pods, ...laterPods].map((pod) => pod.node).filter((name) => name !== '');
    const bare = (name: string): CaseNode => ({ name, labels: {}, addresses: [] });
    const missing = [...new Set(used.sort())].filter((name) => !named.includes(name)).map(bare);
    const all = [...(file.nodes ?? []), ...missing];
    this.nodes = new Map((all.length > 0 ? all : [bare('node-1')]).map((node) => [node.name, node]));
    for (const [name, labels] of Object.entries(file.namespaces)) this.#setNamespace(name, labels);
    for (const pod of file.pods) this.createPod(pod);
  }

  portsOf(pod: CasePod): readonly ServedPort[] {
    return pod.ports ?? this.file.ports;
  }

  pod(key: string): CasePod {
    return this.pods.get(key) ?? fail(`there is no pod ${key}`);
  }

  createPolicy(policy: Policy): Change {
    if (policy.kind === 'NetworkPolicy') this.#mustHave(policy.metadata.namespace ?? '');
    const key = policyKeyOf(policy);
    return this.policies.has(key) ? fail(`${key} is there already`) : this.#setPolicy(key, policy);
  }

  updatePolicy(policy: Policy): Change {
    const key = policyKeyOf(policy);
    return this.policies.has(key) ? this.#setPolicy(key, policy) : fail(`there is no ${key}`);
  }

  deletePolicy(policy: Pick<Policy, 'kind' | 'metadata'>): Change {
    const key = policyKeyOf(policy);
    const before = this.policies.get(key) ?? fail(`there is no ${key}`);
    this.policies.delete(key);
    return { kind: 'policy', key, before, after: undefined };
  }

  createNamespace(name: string, labels: Labels): Change {
    return this.namespaces.has(name)
      ? fail(`namespace ${name} is there already`)
      : this.#setNamespace(name, labels);
  }

  labelNamespace(name: string, labels: Labels): Change {
    this.#mustHave(name);
    return this.#setNamespace(name, labels);
  }

  deleteNamespace(name: string): readonly Change[] {
    this.#mustHave(name);
    this.namespaces.delete(name);
    const policies = [...this.policies.values()].filter((policy) => policy.metadata.namespace === name);
    const pods = [...this.pods.values()].filter((pod) => pod.namespace === name);
    return [
      { kind: 'namespace', key: name, after: undefined },
      ...policies.map((policy) => ({ ...this.deletePolicy(policy), implied: true })),
      ...pods.map((pod) => ({ ...this.deletePod(pod), implied: true })),
    ];
  }

  createPod(pod: CasePod): Change {
    this.#mustHave(pod.namespace);
    const key = podKeyOf(pod);
    return this.pods.has(key) ? fail(`pod ${key} is there already`) : this.#setPod(pod);
  }

  labelPod(named: Named, labels: Labels): Change {
    return this.#setPod({ ...this.pod(podKeyOf(named)), labels });
  }

  deletePod(named: Named): Change {
    const key = podKeyOf(named);
    this.pod(key);
    this.pods.delete(key);
    return { kind: 'pod', key, after: undefined };
  }

  #setPolicy(key: string, policy: Policy): Change {
    const before = this.policies.get(key);
    this.policies.set(key, policy);
    return { kind: 'policy', key, before, after: policy };
  }

  #setNamespace(name: string, labels: Labels): Change {
    const after = { ...labels, [NAME_LABEL]: name };
    this.namespaces.set(name, after);
    return { kind: 'namespace', key: name, after };
  }

  /** The node is a proposal: without one it is the first. */
  #setPod(pod: CasePod): Change {
    const key = podKeyOf(pod);
    const [first = ''] = this.nodes.keys();
    const after = this.nodes.has(pod.node) ? pod : { ...pod, node: first };
    this.pods.set(key, after);
    return { kind: 'pod', key, after };
  }

  #mustHave(namespace: string): void {
    if (!this.namespaces.has(namespace)) fail(`there is no namespace ${JSON.stringify(namespace)}`);
  }
}

interface Named {
  readonly name: string;
  readonly namespace: string;
}

function fail(words: string): never {
  throw new CaseError(words);
}
