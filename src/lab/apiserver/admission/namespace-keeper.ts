import { parseObject, sub, text } from '../json.ts';
import type { Lifecycle } from '../lifecycle.ts';
import type { Resource, Resources } from '../resources.ts';
import type { Store } from '../store.ts';

/**
 * Does what the namespace controller does: a namespace in deletion loses its contents, then itself. Pods that run on a node are asked
 * to end and are waited for; finalizers of the contents hold the namespace too. Returns what ends it.
 */
export function keepNamespaces(store: Store, resources: Resources, lifecycle: Lifecycle): () => void {
  const keeper = new NamespaceKeeper(store, resources, lifecycle);
  return () => keeper.close();
}

class NamespaceKeeper {
  readonly #store: Store;
  readonly #resources: Resources;
  readonly #lifecycle: Lifecycle;
  readonly #unsubscribers: (() => void)[] = [];
  readonly #watched = new Set<string>();
  readonly #terminating = new Set<string>();
  #pending: NodeJS.Immediate | undefined;

  constructor(store: Store, resources: Resources, lifecycle: Lifecycle) {
    this.#store = store;
    this.#resources = resources;
    this.#lifecycle = lifecycle;
    this.#subscribe('namespaces', ({ after }) => {
      if (!after || text(sub(parseObject(after.json), 'status').phase) !== 'Terminating') return;
      this.#terminating.add(after.name);
      this.#soon();
    });
  }

  close(): void {
    clearImmediate(this.#pending);
    for (const unsubscribe of this.#unsubscribers) unsubscribe();
  }

  #subscribe(storage: string, listener: Parameters<Store['subscribe']>[1]): void {
    this.#unsubscribers.push(this.#store.subscribe(storage, listener));
  }

  #soon(): void {
    // Custom resources may have come since: what can hold a namespace is watched from the moment one is going.
    for (const { storage } of this.#contents()) {
      if (this.#watched.has(storage)) continue;
      this.#watched.add(storage);
      this.#subscribe(storage, ({ before, after }) => {
        if (before && !after && this.#terminating.has(before.namespace)) this.#soon();
      });
    }
    this.#pending ??= setImmediate(() => this.#sweep());
  }

  #sweep(): void {
    this.#pending = undefined;
    const namespaces = this.#resources.stored('namespaces');
    for (const name of [...this.#terminating]) {
      const entry = this.#store.get('namespaces', name);
      if (!namespaces || !entry) this.#terminating.delete(name);
      else if (this.#empty(name)) this.#lifecycle.finishNamespace(namespaces, entry);
    }
  }

  /** Asks every object of the namespace to go; true when none is left. */
  #empty(namespace: string): boolean {
    let left = 0;
    for (const resource of this.#contents()) {
      for (const entry of this.#store.list(resource.storage, namespace)) {
        if (!this.#lifecycle.remove(resource, entry, {}, false).gone) left++;
      }
    }
    return left === 0;
  }

  /** Kinds of what is in namespaces, one for each table: some are served in several versions. */
  #contents(): Iterable<Resource> {
    const stored = this.#resources.all().flatMap(({ namespaced, virtual, storage }) => {
      const resource = namespaced && !virtual ? this.#resources.stored(storage) : undefined;
      return resource ? [[storage, resource] as const] : [];
    });
    return new Map(stored).values();
  }
}
