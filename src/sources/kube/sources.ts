import type { Clock, Random } from '../../model/clock.ts';
import type { WorldSink } from '../../model/world.ts';
import type { KubeClient } from './client.ts';
import type { AnyKind } from './kind.ts';
import type { Log } from './log.ts';
import { namespaces } from './namespaces.ts';
import { nodes } from './nodes.ts';
import { pods } from './pods.ts';
import { Reflector, type Timing } from './reflector.ts';

export interface KubeSourcesOptions {
  readonly client: Pick<KubeClient, 'list' | 'watch'>;
  readonly sink: WorldSink;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Default: all nodes, pods and namespaces. `[nodes, podsOn(name), namespaces]` spares an agent the other nodes' pods. */
  readonly kinds?: readonly AnyKind[];
  readonly timing?: Partial<Timing>;
}

export const ALL_KINDS: readonly AnyKind[] = [nodes, pods, namespaces];

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

function started(kind: AnyKind, shared: Omit<KubeSourcesOptions, 'kinds'>): { close(): void } {
  switch (kind.source) {
    case 'nodes':
      return begun(new Reflector({ ...shared, kind }));
    case 'pods':
      return begun(new Reflector({ ...shared, kind }));
    case 'namespaces':
      return begun(new Reflector({ ...shared, kind }));
  }
}

function begun(reflector: { start(): void; close(): Promise<void> }): { close(): void } {
  reflector.start();
  return { close: () => void reflector.close() };
}
