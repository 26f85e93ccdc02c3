import type { Node } from '../../../model/cluster/node.ts';
import type { NamedPort, Pod } from '../../../model/cluster/pod.ts';
import { type Labels, matches } from '../../../model/cluster/selector.ts';
import { Matcher } from '../select/matcher.ts';
import type { Namespaces } from '../select/namespaces.ts';
import type { Pods } from '../select/pods.ts';
import { SelectorFile } from '../select/selector-file.ts';
import type { WantedAddresses, WantedNodes, WantedPorts, WantedSet } from './sets.ts';

/** Told which units of the planner something touches. */
export type Touch = (unit: string) => void;

/**
 * The sets that programmed policies need, each as often as it is needed. Who is in a set is not kept: it is asked for from the
 * pod's side, by labels.
 */
export class WantedSets {
  readonly #sets = new Map<string, { readonly wanted: WantedSet; users: number }>();
  readonly #ofPods: Matcher<WantedAddresses | WantedPorts>;
  readonly #ofNodes = new SelectorFile<WantedNodes>(({ nodes }) => nodes);
  readonly #pods: Pods;
  readonly #nodes: ReadonlyMap<string, Node>;
  readonly #namespaces: Namespaces;
  readonly #touch: Touch;

  constructor(pods: Pods, nodes: ReadonlyMap<string, Node>, namespaces: Namespaces, touch: Touch) {
    this.#pods = pods;
    this.#nodes = nodes;
    this.#namespaces = namespaces;
    this.#touch = touch;
    this.#ofPods = new Matcher(namespaces);
  }

  get(id: string): WantedSet | undefined {
    return this.#sets.get(id)?.wanted;
  }

  ids(): Iterable<string> {
    return this.#sets.keys();
  }

  want(wanted: WantedSet): void {
    const present = this.#sets.get(wanted.set.id);
    if (present) {
      present.users++;
      return;
    }
    this.#sets.set(wanted.set.id, { wanted, users: 1 });
    if (wanted.kind === 'nodes') this.#ofNodes.add(wanted);
    else if (wanted.kind !== 'blocks') this.#ofPods.add(wanted);
    this.#touchAll(wanted);
  }

  release({ set: { id } }: WantedSet): void {
    const present = this.#sets.get(id);
    if (!present || --present.users > 0) return;
    const { wanted } = present;
    this.#sets.delete(id);
    if (wanted.kind === 'nodes') this.#ofNodes.remove(wanted);
    else if (wanted.kind !== 'blocks') this.#ofPods.remove(wanted);
    this.#touchAll(wanted);
  }

  /** Sets that the pod is in, were it of this node or (`here` false) of another. */
  withPod(pod: Pod, here: boolean): readonly (WantedAddresses | WantedPorts)[] {
    return this.#ofPods
      .find(pod.namespace, pod.labels)
      .filter((set) => set.kind === 'addresses' || ((here || !set.here) && hasPort(pod, set)));
  }

  withNode(node: Node): readonly WantedNodes[] {
    const found: WantedNodes[] = [];
    this.#ofNodes.find(node.labels, found);
    return found;
  }

  /** Takes in new labels of a namespace and touches its pods that are in more or fewer sets now. */
  relabel(namespace: string, before: Labels, after: Labels): void {
    const concerns = this.#ofPods.relabel(namespace, before, after);
    for (const table of ['pods', 'peers'] as const)
      for (const key of this.#pods.inNamespace(table, namespace, concerns)) this.#touch(`pod/${key}`);
  }

  #touchAll(wanted: WantedSet): void {
    this.#touch(`set/${wanted.set.id}`);
    if (wanted.kind === 'blocks') return;
    if (wanted.kind === 'nodes') {
      for (const { name, labels } of this.#nodes.values())
        if (matches(wanted.nodes, labels)) this.#touch(`node/${name}`);
      return;
    }
    const tables =
      wanted.kind === 'ports' && wanted.here ? (['pods'] as const) : (['pods', 'peers'] as const);
    for (const table of tables)
      for (const key of this.#pods.selected(table, wanted, this.#namespaces)) this.#touch(`pod/${key}`);
  }
}

export function portNumbers(pod: Pod, { name, protocol }: WantedPorts): readonly number[] {
  return pod.ports.filter((port) => isNamed(port, name, protocol)).map(({ port }) => port);
}

function hasPort(pod: Pod, { name, protocol }: WantedPorts): boolean {
  return pod.ports.some((port) => isNamed(port, name, protocol));
}

function isNamed(port: NamedPort, name: string, protocol: NamedPort['protocol']): boolean {
  return port.name === name && port.protocol === protocol;
}
