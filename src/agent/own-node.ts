import type { Node } from '../model/cluster/node.ts';
import type { World, WorldSink } from '../model/world.ts';

/**
 * Passes everything on, and watches over our own Node on the way.
 *
 * `changed` hears of each change of it: that is how foreign hands on it are noticed. And while it does not exist, Nodes are not ready: nothing is
 * planned and nothing removed. Who deletes a Node that lives (a mistake, an API server that was restored empty) must not take the
 * network from its pods; what is left of a node that really goes is for `fairlead cleanup`.
 */
export function watchOwnNode(
  sink: WorldSink,
  world: World,
  node: string,
  changed: (node: Node | undefined) => void,
): WorldSink {
  /** Whether the source itself says that its table is the whole truth. */
  let whole = false;
  const tell = () => {
    if (!whole) return;
    if (world.nodes.objects.has(node)) sink.ready('nodes');
    else
      sink.notReady(
        'nodes',
        `Node ${node} does not exist in the API; everything stays as it is until it does`,
      );
  };
  const moved = () => {
    changed(world.nodes.objects.get(node));
    tell();
  };
  return {
    put(source, key, object) {
      sink.put(source, key, object);
      if (source === 'nodes' && key === node) moved();
    },
    remove(source, key) {
      sink.remove(source, key);
      if (source === 'nodes' && key === node) moved();
    },
    replace(source, objects) {
      sink.replace(source, objects);
      if (source === 'nodes') moved();
    },
    ready(source) {
      if (source !== 'nodes') return sink.ready(source);
      whole = true;
      tell();
    },
    notReady(source, reason) {
      if (source === 'nodes') whole = false;
      sink.notReady(source, reason);
    },
  };
}
