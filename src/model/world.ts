import type { Birth } from './cluster/birth.ts';
import type { Config } from './cluster/config.ts';
import type { BridgePort, ForeignCni, HostLink, KernelFacts } from './cluster/host.ts';
import type { LostRules } from './cluster/lost-rules.ts';
import type { Namespace } from './cluster/namespace.ts';
import type { Node } from './cluster/node.ts';
import type { Pod } from './cluster/pod.ts';
import type { ClusterNetworkPolicy, NetworkPolicy } from './cluster/policy.ts';

/**
 * Everything that we know, by source. Adding a source = one line here and one file in `sources/`.
 *
 * `config` holds one object under the key `config`, `kernel` one under `kernel`; `links` and `ports` are keyed by link name, `cni` by path,
 * `nodes`, `namespaces` and `clusterNetworkPolicies` by name, `pods`, `peers` and `networkPolicies` by `namespace/name`, `births` by container ID;
 * `lostRules` holds nothing, or one object under the key `policy`.
 *
 * `pods` are this node's own. `peers` are those of all other nodes, and those of no node yet; they are followed only while a policy exists,
 * and the table is empty and ready while none does.
 */
export interface WorldTables {
  config: Config;
  kernel: KernelFacts;
  links: HostLink;
  ports: BridgePort;
  cni: ForeignCni;
  nodes: Node;
  pods: Pod;
  namespaces: Namespace;
  peers: Pod;
  births: Birth;
  lostRules: LostRules;
  networkPolicies: NetworkPolicy;
  clusterNetworkPolicies: ClusterNetworkPolicy;
}

export type SourceName = keyof WorldTables;

/** A source's objects. While `ready` is false the objects are not the whole truth, and nothing may be concluded from what is missing. */
export interface Table<T> {
  readonly objects: ReadonlyMap<string, T>;
  /** Grows with every change. */
  readonly revision: number;
  /** Keys of what changed after that revision, oldest first, some of them more than once; `undefined` when that is too long ago to tell. */
  readonly changedSince: (revision: number) => readonly string[] | undefined;
  readonly ready: boolean;
  /** When `ready` last changed, milliseconds since the epoch. */
  readonly since: number;
  /** Why it is not ready, for people. */
  readonly reason: string | undefined;
}

export type World = { readonly [S in SourceName]: Table<WorldTables[S]> };

/** One object that came, changed (both present) or went. */
export type WorldChange = { [S in SourceName]: WorldChangeOf<S> }[SourceName];

export interface WorldChangeOf<S extends SourceName> {
  readonly source: S;
  readonly key: string;
  readonly before: WorldTables[S] | undefined;
  readonly after: WorldTables[S] | undefined;
}

/** Where a source puts what it learns. Objects are frozen and trimmed; equal content should be the same object or left out. */
export interface WorldSink {
  put<S extends SourceName>(source: S, key: string, object: WorldTables[S]): void;
  remove<S extends SourceName>(source: S, key: string): void;
  /** The whole table at once (a relist): what is missing from it is removed. */
  replace<S extends SourceName>(source: S, objects: ReadonlyMap<string, WorldTables[S]>): void;
  ready(source: SourceName): void;
  notReady(source: SourceName, reason: string): void;
}
