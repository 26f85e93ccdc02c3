import type { WorldTables } from '../../model/world.ts';
import type { Interner } from './interner.ts';
import type { Raw } from './raw.ts';
import type { Resource } from './resource.ts';

/** Tables of the World that the API server fills. */
export type KubeSource =
  | 'nodes'
  | 'pods'
  | 'peers'
  | 'namespaces'
  | 'networkPolicies'
  | 'clusterNetworkPolicies';

/** One Kubernetes kind as a source: where it lies, and what of it we keep. Adding a kind is one such value in its own file. */
export interface Kind<S extends KubeSource> {
  readonly source: S;
  readonly resource: Resource;
  /** `spec.nodeName=n1`: the server sends only objects that match. */
  readonly fieldSelector?: string;
  /** Its resource may be missing from the API (a CRD that is not installed): the table is then empty and ready. */
  readonly optional?: true;
  /** The key in the World's table; empty when the object has no name. */
  key(raw: Raw): string;
  /** The same of a trimmed object, as the very string that is in it. */
  keyOf(object: WorldTables[S]): string;
  /** The trimmed, frozen object. Never throws: fields that cannot be used are left out, or told in its `problems`. */
  project(raw: Raw, shared: Interner): WorldTables[S];
}

export type AnyKind = { [S in KubeSource]: Kind<S> }[KubeSource];
