import type { Clock, Random } from '../../model/clock.ts';
import type { WorldSink } from '../../model/world.ts';
import type { KubeClient } from './client.ts';
import { clusterNetworkPolicies } from './clusternetworkpolicies.ts';
import type { AnyKind, Kind, KubeSource } from './kind.ts';
import type { Log } from './log.ts';
import { namespaces } from './namespaces.ts';
import { networkPolicies } from './networkpolicies.ts';
import { nodes } from './nodes.ts';
import { pods } from './pods.ts';
import { Reflector, type Timing } from './reflector.ts';

export interface KubeSourcesOptions {
  readonly client: Pick<KubeClient, 'list' | 'watch'>;
  readonly sink: WorldSink;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Default: all of each. `podsOn(name)` instead of `pods` spares an agent the other nodes' pods. */
  readonly kinds?: readonly AnyKind[];
  readonly timing?: Partial<Timing>;
}

export const ALL_KINDS: readonly AnyKind[] = [
  nodes,
  pods,
  namespaces,
  networkPolicies,
  clusterNetworkPolicies,
];

/** Keeps the World's tables of the API server's objects, one reflector a kind, each ready on its own. */
export function startKubeSources(options: KubeSourcesOptions): { close(): void } {
  const { kinds = ALL_KINDS, ...shared } = options;
  const reflectors = kinds.map((kind) => started(kind, shared));
  return {
    close() {
      for (const reflector of reflectors) reflector.close();
    },
  };
}

type Shared = Omit<KubeSourcesOptions, 'kinds'>;

/** One case a source, so that the compiler sees that kind and table belong together. */
function started(kind: AnyKind, shared: Shared): { close(): void } {
  switch (kind.source) {
    case 'nodes':
      return followed(kind, shared);
    case 'pods':
      return followed(kind, shared);
    case 'peers':
      return followed(kind, shared);
    case 'namespaces':
      return followed(kind, shared);
    case 'networkPolicies':
      return followed(kind, shared);
    case 'clusterNetworkPolicies':
      return followed(kind, shared);
  }
}

/** Keeps one table, from now until it is closed. */
export function followed<S extends KubeSource>(kind: Kind<S>, shared: Shared): { close(): void } {
  const reflector = new Reflector({ ...shared, kind });
  reflector.start();
  return { close: () => void reflector.close() };
}
