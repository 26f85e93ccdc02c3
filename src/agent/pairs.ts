import type { PairStatus, Status } from '../model/api.ts';
import type { World } from '../model/world.ts';
import { choosePair } from '../plan/transports/choice.ts';
import { podMtu } from '../plan/transports/mtu.ts';
import { selfOf } from '../plan/transports/underlay.ts';

type Pairs = Pick<Status, 'pairs' | 'podMtu'>;

const cache = new WeakMap<World, { mark: string; pairs: Pairs }>();

/** How this node sends to each other one, and the MTU of pods: asked of the planner's own functions, so it cannot differ from what is done. */
export function pairStatuses(world: World): Pairs {
  const mark = [world.nodes, world.links, world.config, world.kernel].map((table) => table.revision).join();
  const known = cache.get(world);
  if (known?.mark === mark) return known.pairs;
  const pairs = compute(world);
  cache.set(world, { mark, pairs });
  return pairs;
}

function compute(world: World): Pairs {
  const self = selfOf(world);
  if (!self?.config.router.enabled) return { pairs: [], podMtu: undefined };
  const pairs: PairStatus[] = [];
  for (const peer of world.nodes.objects.values()) {
    if (peer.name === self.name) continue;
    const { transport, reason } = choosePair(self, peer);
    pairs.push({ node: peer.name, transport: transport ?? 'none', reason });
  }
  pairs.sort((a, b) => (a.node < b.node ? -1 : 1));
  return { pairs, podMtu: podMtu(self) };
}
