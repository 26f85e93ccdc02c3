import type { Pod } from '../../../model/cluster/pod.ts';
import type { ClusterNetworkPolicy, Direction, NetworkPolicy } from '../../../model/cluster/policy.ts';
import { type Labels, matches } from '../../../model/cluster/selector.ts';
import { ObjectMemo } from '../../../model/memo.ts';
import type { World } from '../../../model/world.ts';
import { type Memo, memo } from './memo.ts';

/** What has a say about a pod's traffic in one direction, in the order in which it is asked. */
export interface Selected {
  readonly admin: readonly ClusterNetworkPolicy[];
  readonly policies: readonly NetworkPolicy[];
  /** The setting stands for a NetworkPolicy that allows nothing. */
  readonly defaultDeny: boolean;
  /** Something of `policies` and `defaultDeny` is not in audit mode. */
  readonly enforced: boolean;
  readonly baseline: readonly ClusterNetworkPolicy[];
}

export type SelectedBoth = Readonly<Record<Direction, Selected>>;

/** Labels of a namespace; none while it is not known. */
export function namespaceLabels(world: World, name: string): Labels {
  return world.namespaces.objects.get(name)?.labels ?? NO_LABELS;
}

export function selectedFor(world: World, pod: Pod): SelectedBoth {
  const book = bookOf(world);
  const known = book.byPod.get(pod) ?? select(world, book, pod);
  book.byPod.set(pod, known);
  return known;
}

interface Book {
  /** In no order: after each change of a policy only a few namespaces are asked for. */
  readonly byNamespace: ReadonlyMap<string, readonly NetworkPolicy[]>;
  /** By priority, then name. */
  readonly cluster: readonly ClusterNetworkPolicy[];
  /** Answers so far. A pod whose labels change is another object. */
  readonly byPod: WeakMap<Pod, SelectedBoth>;
}

const NO_LABELS: Labels = {};
const BOOKS: Memo<Book> = new ObjectMemo();

function bookOf(world: World): Book {
  return memo(BOOKS, world, ['networkPolicies', 'clusterNetworkPolicies', 'namespaces', 'config'], () => {
    const byNamespace = new Map<string, NetworkPolicy[]>();
    for (const policy of world.networkPolicies.objects.values()) {
      const list = byNamespace.get(policy.namespace);
      if (list) list.push(policy);
      else byNamespace.set(policy.namespace, [policy]);
    }
    const cluster = [...world.clusterNetworkPolicies.objects.values()].sort(
      (a, b) => a.priority - b.priority || (a.name < b.name ? -1 : 1),
    );
    return { byNamespace, cluster, byPod: new WeakMap<Pod, SelectedBoth>() };
  });
}

function select(world: World, book: Book, pod: Pod): SelectedBoth {
  const labels = namespaceLabels(world, pod.namespace);
  const cluster = book.cluster.filter(
    ({ subject }) => matches(subject.namespaces, labels) && matches(subject.pods, pod.labels),
  );
  const ofNamespace = book.byNamespace.get(pod.namespace) ?? [];
  const policies = ofNamespace
    .filter((policy) => matches(policy.pods, pod.labels))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const audited = world.namespaces.objects.get(pod.namespace)?.audit ?? false;
  const one = (direction: Direction): Selected => {
    const saying = cluster.filter((policy) => policy[direction].length > 0);
    const isolating = policies.filter((policy) => policy[direction] !== undefined);
    const defaultDeny = ofNamespace.length === 0 && deniesByDefault(world, pod.namespace, direction);
    return {
      admin: saying.filter(({ tier }) => tier === 'Admin'),
      policies: isolating,
      defaultDeny,
      enforced: !audited && (defaultDeny || isolating.some(({ audit }) => !audit)),
      baseline: saying.filter(({ tier }) => tier === 'Baseline'),
    };
  };
  return { ingress: one('ingress'), egress: one('egress') };
}

function deniesByDefault(world: World, namespace: string, direction: Direction): boolean {
  const policy = world.config.objects.get('config')?.policy;
  if (!policy || policy.defaultDenyExcept.includes(namespace)) return false;
  return policy.defaultDeny === 'both' || policy.defaultDeny === direction;
}
