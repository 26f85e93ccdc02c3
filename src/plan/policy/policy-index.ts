import type { Config } from '../../model/cluster/config.ts';
import type { Namespace } from '../../model/cluster/namespace.ts';
import type { Pod } from '../../model/cluster/pod.ts';
import type { Direction } from '../../model/cluster/policy.ts';
import type { Labels } from '../../model/cluster/selector.ts';
import { equal } from '../../model/equal.ts';
import { ObjectMemo } from '../../model/memo.ts';
import type { World, WorldChange } from '../../model/world.ts';
import { type Local, LocalPods } from './compile/local-pods.ts';
import {
  byName,
  byPriority,
  type Circumstances,
  decides,
  decisionOf,
  judgesOf,
} from './compile/selection.ts';
import {
  type ClusterSubject,
  clusterSubject,
  compile,
  type NetworkSubject,
  networkSubject,
  type Outcome,
  type Subject,
  samePlace,
} from './compile/subject.ts';
import { WantedSets } from './compile/wanted-sets.ts';
import type { Judges, Selection } from './compiled.ts';
import { Births } from './select/births.ts';
import { Matcher } from './select/matcher.ts';
import { Namespaces } from './select/namespaces.ts';
import { namespaceOf, Pods, type PodTable, takesPart } from './select/pods.ts';

type Followed =
  | 'namespaces'
  | 'networkPolicies'
  | 'clusterNetworkPolicies'
  | 'births'
  | 'pods'
  | 'peers'
  | 'config';

/** In the order of the first reading: pods last, so that each of them is judged once. */
const FOLLOWED: readonly Followed[] = [
  'config',
  'namespaces',
  'networkPolicies',
  'clusterNetworkPolicies',
  'births',
  'pods',
  'peers',
];

/** How one table is followed. */
interface Follower {
  readonly seen: () => Iterable<string>;
  /** Takes in the object as the World has it now, or that it has none. False when that is known already. */
  readonly read: (key: string) => boolean;
}

interface Use extends Outcome {
  /** Pods of this node that it selects. */
  pods: number;
}

/**
 * Which policies and sets this node needs, and for whom.
 *
 * A memo and no memory: what it says is a function of the World alone. It compares objects by identity, so being told of a change
 * twice, late, or in another order makes no difference. Policies are asked for by the labels of this node's pods, and sets by the labels
 * of any pod; so a change costs what it touches, however many policies there are.
 */
export class PolicyIndex {
  readonly sets: WantedSets;
  readonly locals: LocalPods;
  readonly #world: World;
  readonly #pods = new Pods();
  readonly #births = new Births();
  readonly #namespaces = new Map<string, Namespace>();
  readonly #labelled = new Namespaces();
  readonly #network = new Map<string, Subject>();
  readonly #cluster = new Map<string, Subject>();
  /** NetworkPolicies of each namespace that has some. */
  readonly #policiesIn = new Map<string, number>();
  readonly #networkSubjects: Matcher<NetworkSubject>;
  readonly #clusterSubjects: Matcher<ClusterSubject>;
  readonly #used = new Map<Subject, Use>();
  /** Units of the policies with problems, whoever they select. */
  readonly #faulty = new Set<string>();
  #config: Config | undefined;
  readonly #tables: Readonly<Record<Followed, Follower>> = {
    config: { seen: () => (this.#config ? ['config'] : []), read: () => this.#readConfig() },
    namespaces: { seen: () => this.#namespaces.keys(), read: (name) => this.#namespace(name) },
    networkPolicies: { seen: () => this.#network.keys(), read: (key) => this.#policy('network', key) },
    clusterNetworkPolicies: {
      seen: () => this.#cluster.keys(),
      read: (name) => this.#policy('cluster', name),
    },
    births: { seen: () => this.#births.keys(), read: (containerId) => this.#birth(containerId) },
    pods: { seen: () => this.#pods.keys('pods'), read: (key) => this.#pod('pods', key) },
    peers: { seen: () => this.#pods.keys('peers'), read: (key) => this.#pod('peers', key) },
  };
  readonly #revisions = new Map<Followed, number>();
  readonly #touched = new Set<string>();

  constructor(world: World) {
    this.#world = world;
    const touch = (unit: string): void => void this.#touched.add(unit);
    this.#networkSubjects = new Matcher(this.#labelled);
    this.#clusterSubjects = new Matcher(this.#labelled);
    this.sets = new WantedSets(this.#pods, world.nodes.objects, this.#labelled, touch);
    this.locals = new LocalPods(this.#pods.peersAt, touch);
    this.sync();
    this.#touched.clear();
  }

  /** A pod of another node; `undefined` when it is nobody to policies. */
  peer(key: string): Pod | undefined {
    const pod = this.#pods.get('peers', key);
    return pod && takesPart(pod) ? pod : undefined;
  }

  podKeys(table: PodTable): Iterable<string> {
    return this.#pods.keys(table);
  }

  /** A policy that selects a pod of this node; `undefined` for all others. */
  used(kind: Subject['kind'], name: string): (Outcome & { readonly subject: Subject }) | undefined {
    const subject = this.#of(kind).get(name);
    const use = subject && this.#used.get(subject);
    return use && { subject, ...use };
  }

  usedPolicies(): Iterable<Subject> {
    return this.#used.keys();
  }

  /** What is wrong with a policy, whether it selects a pod of this node or not. */
  problems(kind: Subject['kind'], name: string): readonly string[] {
    return this.used(kind, name)?.problems ?? this.#of(kind).get(name)?.policy.problems ?? [];
  }

  /** Units of the policies with problems. */
  faultyPolicies(): Iterable<string> {
    return this.#faulty;
  }

  /** Units that changes touched since the last call. */
  take(): readonly string[] {
    const units = [...this.#touched];
    this.#touched.clear();
    return units;
  }

  /** Takes in one reported change. One that is news accounts for one revision; the index is whole when it has accounted for all. */
  note(change: WorldChange): void {
    const source = FOLLOWED.find((one) => one === change.source);
    if (!source) return;
    const revision = this.#revisions.get(source) ?? 0;
    if (this.#tables[source].read(change.key)) this.#revisions.set(source, revision + 1);
  }

  /** Compares all tables that have changes not accounted for: some were not reported yet, or several of one object as one. */
  sync(): void {
    for (const source of FOLLOWED) {
      const { objects, revision } = this.#world[source];
      if (this.#revisions.get(source) === revision) continue;
      const { seen, read } = this.#tables[source];
      for (const key of [...seen()]) if (!objects.has(key)) read(key);
      for (const key of objects.keys()) read(key);
      this.#revisions.set(source, revision);
    }
  }

  #readConfig(): boolean {
    const after = this.#world.config.objects.get('config');
    const before = this.#config;
    if (before === after) return false;
    this.#config = after;
    if (!equal(before?.policy, after?.policy)) {
      for (const key of this.#pods.keys('pods')) this.#judge(key);
    }
    return true;
  }

  #namespace(name: string): boolean {
    const before = this.#namespaces.get(name);
    const after = this.#world.namespaces.objects.get(name);
    if (before === after) return false;
    if (after) this.#namespaces.set(name, after);
    else this.#namespaces.delete(name);
    this.#labelled.set(name, after?.labels);
    const [old, now] = [before?.labels ?? NO_LABELS, after?.labels ?? NO_LABELS];
    const audit = (before?.audit ?? false) !== (after?.audit ?? false);
    const concerns = this.#clusterSubjects.relabel(name, old, now);
    this.sets.relabel(name, old, now);
    for (const key of [...this.#pods.inNamespace('pods', name, (labels) => audit || concerns(labels))]) {
      this.#judge(key, audit ? undefined : 'cluster');
    }
    return true;
  }

  #policy(kind: Subject['kind'], key: string): boolean {
    const after = this.#subjectOf(kind, key);
    const subjects = this.#of(kind);
    const before = subjects.get(key);
    if (before?.policy === after?.policy) return false;
    this.#tell(unitOf(kind, key), before?.policy.problems, after?.policy.problems);
    if (before && after && samePlace(before, after)) {
      this.#revise(before, after);
      return true;
    }
    const pods = new Set([...this.#selectedBy(before), ...this.#selectedBy(after)]);
    if (before) this.#file(before, 'remove');
    if (after) this.#file(after, 'add');
    if (after) subjects.set(key, after);
    else subjects.delete(key);
    if (kind === 'network' && this.#count(namespaceOf(key), before, after))
      for (const pod of this.#pods.inNamespace('pods', namespaceOf(key), () => true)) pods.add(pod);
    for (const pod of pods) this.#judge(pod, kind);
    return true;
  }

  #tell(unit: string, before: readonly string[] = [], after: readonly string[] = []): void {
    if (after.length > 0) this.#faulty.add(unit);
    else this.#faulty.delete(unit);
    if (before.length + after.length > 0) this.#touched.add(unit);
  }

  #file(subject: Subject, how: 'add' | 'remove'): void {
    if (subject.kind === 'network') this.#networkSubjects[how](subject);
    else this.#clusterSubjects[how](subject);
  }

  #subjectOf(kind: Subject['kind'], key: string): Subject | undefined {
    if (kind === 'network') {
      const policy = this.#world.networkPolicies.objects.get(key);
      return policy && networkSubject(policy);
    }
    const policy = this.#world.clusterNetworkPolicies.objects.get(key);
    return policy && clusterSubject(policy);
  }

  /** Only its rules are others. */
  #revise(subject: Subject, after: Subject): void {
    subject.policy = after.policy;
    const before = this.#used.get(subject);
    if (!before) return;
    this.#use(subject, before.pods);
    for (const set of before.compiled.sets) this.sets.release(set);
  }

  /** Counts NetworkPolicies; true when a namespace now has its first or has lost its last, and that matters. */
  #count(namespace: string, before: Subject | undefined, after: Subject | undefined): boolean {
    const old = this.#policiesIn.get(namespace) ?? 0;
    const now = old + (after ? 1 : 0) - (before ? 1 : 0);
    if (now > 0) this.#policiesIn.set(namespace, now);
    else this.#policiesIn.delete(namespace);
    return (old === 0) !== (now === 0) && this.#config?.policy.defaultDeny !== 'none';
  }

  #selectedBy(subject: Subject | undefined): Iterable<string> {
    if (!subject) return [];
    return this.#pods.selected('pods', subject, this.#labelled);
  }

  #birth(containerId: string): boolean {
    const before = this.#births.get(containerId);
    const after = this.#world.births.objects.get(containerId);
    if (before === after) return false;
    this.#births.set(containerId, after);
    for (const key of new Set([before?.pod, after?.pod])) if (key !== undefined) this.#judge(key);
    return true;
  }

  #pod(table: PodTable, key: string): boolean {
    const before = this.#pods.get(table, key);
    const after = this.#world[table].objects.get(key);
    if (before === after) return false;
    this.#pods.set(table, key, after);
    this.#touched.add(`pod/${key}`);
    if (table === 'pods') this.#judge(key);
    return true;
  }

  /** Finds out what policies say of a pod of this node. `changed`: it was judged already, and since then only these have changed. */
  #judge(key: string, changed?: Subject['kind']): void {
    const pod = this.#pods.get('pods', key);
    const before = this.locals.get(key);
    const after = pod && takesPart(pod) ? this.#judged(pod, before, changed) : undefined;
    if (after && after.network !== before?.network) for (const one of after.network) this.#retain(one);
    if (after && after.cluster !== before?.cluster) for (const one of after.cluster) this.#retain(one);
    this.locals.set(key, after);
    if (before && after?.network !== before.network) for (const one of before.network) this.#release(one);
    if (before && after?.cluster !== before.cluster) for (const one of before.cluster) this.#release(one);
  }

  #judged(pod: Pod, before: Local | undefined, changed: Subject['kind'] | undefined): Local {
    const { namespace, labels } = pod;
    const born = this.#births.of(pod);
    const ips = born.length === 0 ? pod.ips : [...new Set([...pod.ips, ...born])];
    const keeps = changed === 'cluster' ? before : undefined;
    const network = keeps?.network ?? this.#networkSubjects.find(namespace, labels).sort(byName);
    const cluster = this.#clusterSubjects.find(namespace, labels).sort(byPriority);
    const around = this.#circumstances(namespace);
    const judges = (direction: Direction): Judges => {
      const decision = keeps
        ? decisionIn(keeps[direction])
        : decisionOf(direction, namespace, network, around);
      return judgesOf(direction, cluster, decision);
    };
    return { pod, ips, born, network, cluster, ingress: judges('ingress'), egress: judges('egress') };
  }

  #circumstances(namespace: string): Circumstances {
    const audit = this.#namespaces.get(namespace)?.audit === true;
    return { audit, policies: this.#policiesIn.has(namespace), settings: this.#config?.policy };
  }

  #retain(subject: Subject): void {
    const use = this.#used.get(subject);
    if (use) use.pods++;
    else this.#use(subject, 1);
  }

  #use(subject: Subject, pods: number): void {
    const use = { ...compile(subject), pods };
    this.#used.set(subject, use);
    for (const set of use.compiled.sets) this.sets.want(set);
    this.#touchPolicy(subject);
  }

  #release(subject: Subject): void {
    const use = this.#used.get(subject);
    if (!use || --use.pods > 0) return;
    this.#used.delete(subject);
    for (const set of use.compiled.sets) this.sets.release(set);
    this.#touchPolicy(subject);
  }

  #touchPolicy({ kind, name }: Subject): void {
    this.#touched.add(unitOf(kind, name));
    if (kind === 'cluster') this.locals.touchTiersOf(name);
  }

  #of(kind: Subject['kind']): Map<string, Subject> {
    return kind === 'network' ? this.#network : this.#cluster;
  }
}

export function unitOf(kind: Subject['kind'], name: string): string {
  return kind === 'network' ? `policy/${name}` : `cluster-policy/${name}`;
}

/** The index of this World, whole. */
export function policyIndex(world: World): PolicyIndex {
  const index = known(world);
  index.sync();
  return index;
}

/** Tells the index of a change. */
export function notePolicy(change: WorldChange, world: World): PolicyIndex {
  const index = known(world);
  index.note(change);
  return index;
}

function known(world: World): PolicyIndex {
  let index = INDEXES.get(world);
  if (!index) {
    index = new PolicyIndex(world);
    INDEXES.set(world, index);
  }
  return index;
}

function decisionIn({ selection }: Judges): Selection | undefined {
  return selection && decides(selection) ? selection : undefined;
}

const INDEXES = new ObjectMemo<World, PolicyIndex>();
const NO_LABELS: Labels = {};
