import type { JsonObject } from '../json.ts';
import { parseObject, sub, text } from '../json.ts';
import type { Lifecycle } from '../lifecycle.ts';
import type { Resources } from '../resources.ts';
import type { Entry, Store } from '../store.ts';

/**
 * Does what the namespace controller does: a namespace in deletion loses its contents, then itself. Pods that run on a node are asked
 * to end and are waited for; finalizers of the contents hold the namespace too.
 */
export function keepNamespaces(store: Store, resources: Resources, lifecycle: Lifecycle): () => void {
  let pending: NodeJS.Immediate | undefined;
  const unsubscribers: (() => void)[] = [];
  const watched = new Set<string>();
  const terminating = new Set<string>();

  const sweep = (): void => {
    pending = undefined;
    for (const name of [...terminating]) {
      const namespaces = resources.stored('namespaces');
      const entry = store.get('namespaces', name);
      if (!namespaces || !entry) {
        terminating.delete(name);
        continue;
      }
      if (empty(name)) lifecycle.finishNamespace(namespaces, entry);
    }
  };

  /** Asks every object of the namespace to go; true when none is left. */
  const empty = (namespace: string): boolean => {
    let left = 0;
    for (const storage of contents()) {
      const r = resources.stored(storage);
      if (!r) continue;
      for (const entry of store.list(storage, namespace)) {
        const options: JsonObject = {};
        if (!lifecycle.remove(r, entry, options, false).gone) left++;
      }
    }
    return left === 0;
  };

  const contents = (): Set<string> =>
    new Set(
      resources
        .all()
        .filter((r) => r.namespaced && !r.virtual)
        .map((r) => r.storage),
    );

  const soon = (): void => {
    // Custom resources may have come since: what can hold a namespace is watched from the moment one is going.
    for (const storage of contents()) if (!watched.has(storage)) watch(storage);
    pending ??= setImmediate(sweep);
  };

  const watch = (storage: string): void => {
    watched.add(storage);
    const whenGone = (gone: Entry | undefined): void => {
      if (gone && terminating.has(gone.namespace)) soon();
    };
    unsubscribers.push(
      store.subscribe(storage, (change) => (change.after ? undefined : whenGone(change.before))),
    );
  };

  unsubscribers.push(
    store.subscribe('namespaces', ({ after }) => {
      if (!after || text(sub(parseObject(after.json), 'status').phase) !== 'Terminating') return;
      terminating.add(after.name);
      soon();
    }),
  );
  return () => {
    clearImmediate(pending);
    for (const unsubscribe of unsubscribers) unsubscribe();
  };
}
