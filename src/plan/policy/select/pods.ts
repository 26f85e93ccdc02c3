import type { Pod } from '../../../model/cluster/pod.ts';
import { type Labels, matches } from '../../../model/cluster/selector.ts';
import { Holders } from './holders.ts';
import type { Selecting } from './matcher.ts';
import type { Namespaces } from './namespaces.ts';

export type PodTable = 'pods' | 'peers';

/** Pods by namespace: this node's own (`pods`) and all others' (`peers`). */
export class Pods {
  readonly #tables = {
    pods: new Map<string, Map<string, Pod>>(),
    peers: new Map<string, Map<string, Pod>>(),
  };

  /** Who of the others' pods has an address. */
  readonly peersAt = new Holders();

  get(table: PodTable, key: string): Pod | undefined {
    return this.#tables[table].get(namespaceOf(key))?.get(key);
  }

  set(table: PodTable, key: string, pod: Pod | undefined): void {
    const name = namespaceOf(key);
    const pods = this.#tables[table].get(name);
    if (table === 'peers') {
      for (const ip of pods?.get(key)?.ips ?? []) this.peersAt.remove(ip, key);
      for (const ip of pod?.ips ?? []) this.peersAt.add(ip, key);
    }
    if (pod) {
      if (pods) pods.set(key, pod);
      else this.#tables[table].set(name, new Map([[key, pod]]));
    } else if (pods?.delete(key) && pods.size === 0) this.#tables[table].delete(name);
  }

  *keys(table: PodTable): Iterable<string> {
    for (const pods of this.#tables[table].values()) yield* pods.keys();
  }

  /** Keys of the pods of a namespace whose labels please. */
  *inNamespace(table: PodTable, name: string, wanted: (labels: Labels) => boolean): Iterable<string> {
    for (const pod of this.#tables[table].get(name)?.values() ?? []) if (wanted(pod.labels)) yield pod.key;
  }

  /** Keys of the pods that are selected. */
  *selected(table: PodTable, { scope, pods }: Selecting, namespaces: Namespaces): Iterable<string> {
    const wanted = (labels: Labels) => matches(pods, labels);
    const names =
      typeof scope === 'string' ? [scope] : namespaces.matching(scope, this.#tables[table].keys());
    for (const name of names) yield* this.inNamespace(table, name, wanted);
  }
}

/** Pods of the host's network are nobody to policies (they have its addresses), and so are pods that have finished: theirs may be others' by now. */
export function takesPart(pod: Pod): boolean {
  return !pod.hostNetwork && pod.phase !== 'Succeeded' && pod.phase !== 'Failed';
}

export function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf('/'));
}
