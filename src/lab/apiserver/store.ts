import { Collection } from './collection.ts';
import { at, type JsonObject, meta, sub, text } from './json.ts';
import type { Resource } from './resources.ts';

/**
 * One revision of one object. The text is written once, when the revision is made, and every list and watch sends that same text;
 * beside it stands only what selectors ask for, so that 150,000 pods fit.
 */
export interface Entry {
  /** `namespace/name`, or `name` for cluster-scoped objects: also the order of lists, as in etcd. */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly revision: number;
  readonly json: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Values of the resource's `hot` fields. */
  readonly hot: readonly string[];
}

/** One write: what was there before, what is there after. */
export interface Change {
  readonly revision: number;
  readonly storage: string;
  readonly before: Entry | undefined;
  readonly after: Entry | undefined;
}

const none: Readonly<Record<string, string>> = Object.freeze({});
const noHot: readonly string[] = Object.freeze([]);

/** The objects, their revisions, and the last changes. Synchronous: a write is seen by every watcher before it returns. */
export class Store {
  readonly #collections = new Map<string, Collection<Entry>>();
  readonly #listeners = new Map<string, Set<(change: Change) => void>>();
  readonly #historyLimit: number;
  #log: Change[] = [];
  #revision = 1;
  #compacted = 0;

  /** `historyLimit`: how many changes stay available for resuming watches and for continue tokens. */
  constructor(historyLimit: number) {
    this.#historyLimit = historyLimit;
  }

  get revision(): number {
    return this.#revision;
  }

  /** Watches from, and lists at, an older revision than this are answered with 410. */
  get compacted(): number {
    return this.#compacted;
  }

  get(storage: string, key: string): Entry | undefined {
    return this.#collections.get(storage)?.get(key);
  }

  count(storage: string): number {
    return this.#collections.get(storage)?.size ?? 0;
  }

  /** Writes an object, giving it its resourceVersion. The caller has checked everything. */
  put(r: Resource, object: JsonObject): Entry {
    const metadata = meta(object);
    const namespace = text(metadata.namespace);
    const name = text(metadata.name);
    const key = namespace === '' ? name : `${namespace}/${name}`;
    const revision = this.#revision + 1;
    metadata.resourceVersion = String(revision);
    const { kind, apiVersion, ...rest } = object;
    const labels = sub(metadata, 'labels');
    const after: Entry = {
      key,
      namespace,
      name,
      uid: text(metadata.uid),
      revision,
      json: JSON.stringify({ kind, apiVersion, ...rest }),
      labels: Object.keys(labels).length === 0 ? none : (labels as Record<string, string>),
      hot: r.hot.length === 0 ? noHot : r.hot.map((field) => text(at(object, field))),
    };
    const before = this.#collection(r.storage).put(after);
    this.#record({ revision, storage: r.storage, before, after });
    return after;
  }

  /** Removes an object. The removal has a revision of its own. */
  remove(r: Resource, entry: Entry): number {
    this.#collection(r.storage).remove(entry.key);
    const revision = this.#revision + 1;
    this.#record({ revision, storage: r.storage, before: entry, after: undefined });
    return revision;
  }

  /** Calls back for each change of a storage, synchronously. */
  subscribe(storage: string, listener: (change: Change) => void): () => void {
    const listeners = this.#listeners.get(storage) ?? new Set();
    this.#listeners.set(storage, listeners);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** The changes of one storage after a revision; undefined when that is compacted away. */
  since(storage: string, revision: number): Change[] | undefined {
    if (revision < this.#compacted) return undefined;
    return this.#tail(revision).filter((change) => change.storage === storage);
  }

  /** Entries in key order, of one namespace or all, now or as they were at a revision that is not compacted. */
  list(storage: string, namespace: string, revision = this.#revision): Entry[] {
    const now = this.#collection(storage).list(namespace);
    if (revision >= this.#revision) return now;
    const then = new Map(now.map((entry) => [entry.key, entry]));
    for (const change of this.#tail(revision).reverse()) {
      if (change.storage !== storage) continue;
      const { before, after } = change;
      if (after && !before) then.delete(after.key);
      if (before && (namespace === '' || before.namespace === namespace)) then.set(before.key, before);
    }
    return [...then.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** Forgets history, as etcd's compaction does. */
  compact(revision = this.#revision): void {
    this.#compacted = Math.max(this.#compacted, Math.min(revision, this.#revision));
    this.#log = this.#tail(this.#compacted);
  }

  #collection(storage: string): Collection<Entry> {
    let collection = this.#collections.get(storage);
    if (!collection) {
      collection = new Collection<Entry>();
      this.#collections.set(storage, collection);
    }
    return collection;
  }

  #record(change: Change): void {
    this.#revision = change.revision;
    this.#log.push(change);
    // Trimmed in big steps, so that the cost per write stays constant.
    if (this.#log.length > 2 * this.#historyLimit) this.compact(this.#revision - this.#historyLimit);
    for (const listener of this.#listeners.get(change.storage) ?? []) listener(change);
  }

  /** Every write takes exactly one revision, so the position in the log follows from the revision. */
  #tail(revision: number): Change[] {
    const first = this.#log[0]?.revision ?? this.#revision + 1;
    return this.#log.slice(Math.max(0, revision + 1 - first));
  }
}
