import type { Clock } from './clock.ts';
import { equal } from './equal.ts';
import type { SourceName, Table, World, WorldChange, WorldSink, WorldTables } from './world.ts';

/** Every table of the World. A new source is one more word here; the compiler says so when it is forgotten. */
const SOURCES: { readonly [S in SourceName]: true } = {
  config: true,
  kernel: true,
  links: true,
  ports: true,
  cni: true,
  nodes: true,
  pods: true,
  namespaces: true,
  peers: true,
  births: true,
  lostRules: true,
  networkPolicies: true,
  clusterNetworkPolicies: true,
};

/** So many changes of a table, at least, are known by their keys. */
const RECENT = 1_000;

export const SOURCE_NAMES = Object.keys(SOURCES) as readonly SourceName[];

type LiveTable<T> = { -readonly [K in keyof Table<T>]: Table<T>[K] } & { readonly objects: Map<string, T> };

/**
 * The World as sources fill it, and what changed since it was last asked.
 *
 * Per object only its state before the first change is kept; the state after is the World itself. So a change costs the same
 * however many there are, several changes of one object are one, and what came and went in between leaves no trace.
 */
export class WorldStore implements WorldSink {
  readonly world: World;
  readonly #tables: Record<SourceName, LiveTable<unknown>>;
  readonly #before = new Map<SourceName, Map<string, unknown>>();
  /** Keys of the last changes of each table, one a revision. */
  readonly #recent = new Map<SourceName, string[]>();
  readonly #clock: Clock;
  #dirtySince: number | undefined;
  #listener: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    const since = clock.wall();
    const empty = (name: SourceName): LiveTable<unknown> => ({
      objects: new Map(),
      revision: 0,
      changedSince: (revision) => this.#changedSince(name, revision),
      ready: false,
      since,
      reason: 'not started',
    });
    const tables = Object.fromEntries(SOURCE_NAMES.map((name) => [name, empty(name)]));
    this.#tables = tables as Record<SourceName, LiveTable<unknown>>;
    this.world = tables as unknown as World;
  }

  /** Called once when something changed after a `take`; not again before the next one. */
  onDirty(listener: () => void): void {
    this.#listener = listener;
    if (this.#dirtySince !== undefined) listener();
  }

  /** When the oldest change not yet taken came in, in monotonic milliseconds. */
  get dirtySince(): number | undefined {
    return this.#dirtySince;
  }

  /** What changed since the last call: one change an object, the first `before` and the last `after`. */
  take(): readonly WorldChange[] {
    const changes: WorldChange[] = [];
    for (const [source, befores] of this.#before) {
      const { objects } = this.#tables[source];
      for (const [key, before] of befores) {
        const after = objects.get(key);
        if (!equal(before, after)) changes.push({ source, key, before, after } as WorldChange);
      }
    }
    this.#before.clear();
    this.#dirtySince = undefined;
    return changes;
  }

  put<S extends SourceName>(source: S, key: string, object: WorldTables[S]): void {
    const table = this.#tables[source];
    const before = table.objects.get(key);
    if (equal(before, object)) return;
    table.objects.set(key, object);
    this.#changed(source, key, before);
  }

  remove<S extends SourceName>(source: S, key: string): void {
    const table = this.#tables[source];
    const before = table.objects.get(key);
    if (before === undefined) return;
    table.objects.delete(key);
    this.#changed(source, key, before);
  }

  replace<S extends SourceName>(source: S, objects: ReadonlyMap<string, WorldTables[S]>): void {
    for (const key of this.#tables[source].objects.keys()) {
      if (!objects.has(key)) this.remove(source, key);
    }
    for (const [key, object] of objects) this.put(source, key, object);
  }

  ready(source: SourceName): void {
    this.#readiness(source, true, undefined);
  }

  notReady(source: SourceName, reason: string): void {
    this.#readiness(source, false, reason);
  }

  #readiness(source: SourceName, ready: boolean, reason: string | undefined): void {
    const table = this.#tables[source];
    if (table.ready === ready && table.reason === reason) return;
    if (table.ready !== ready) table.since = this.#clock.wall();
    table.ready = ready;
    table.reason = reason;
    this.#dirty();
  }

  #changed(source: SourceName, key: string, before: unknown): void {
    this.#tables[source].revision++;
    const recent = this.#recent.get(source) ?? [];
    if (recent.length === 0) this.#recent.set(source, recent);
    recent.push(key);
    if (recent.length >= 2 * RECENT) recent.splice(0, RECENT);
    const befores = this.#before.get(source) ?? new Map<string, unknown>();
    if (befores.size === 0) this.#before.set(source, befores);
    if (!befores.has(key)) befores.set(key, before);
    this.#dirty();
  }

  #changedSince(source: SourceName, revision: number): readonly string[] | undefined {
    const recent = this.#recent.get(source) ?? [];
    const count = this.#tables[source].revision - revision;
    return count > recent.length ? undefined : recent.slice(recent.length - count);
  }

  #dirty(): void {
    if (this.#dirtySince !== undefined) return;
    this.#dirtySince = this.#clock.monotonic();
    this.#listener?.();
  }
}
