import type { Node } from '../model/cluster/node.ts';
import type { World, WorldSink } from '../model/world.ts';
import type { OwnFacts } from './own-facts.ts';

/**
 * Passes everything on, and watches over our own Node on the way.
 *
 * `changed` hears of each change of it: that is how foreign hands on it are noticed. And while it does not exist, Nodes are not ready: nothing is
 * planned and nothing removed. Who deletes a Node that lives (a mistake, an API server that was restored empty) must not take the
 * network from its pods; what is left of a node that really goes is for `fairlead cleanup`. What `facts` has to say about it is
 * marked on it.
 */
export function watchOwnNode(
  sink: WorldSink,
  world: World,
  node: string,
  changed: (node: Node | undefined) => void,
  facts?: Pick<OwnFacts, 'shown' | 'mark'>,
): WorldSink {
  const marked = (object: Node): Node => {
    facts?.shown(object);
    return facts?.mark(object) ?? object;
  };
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
      const own = source === 'nodes' && key === node;
      if (!own) return sink.put(source, key, object);
      sink.put('nodes', key, marked(object as Node));
      moved();
    },
    remove(source, key) {
      sink.remove(source, key);
      if (source === 'nodes' && key === node) moved();
    },
    replace(source, objects) {
      if (source !== 'nodes') return sink.replace(source, objects);
      const nodes = new Map(objects as ReadonlyMap<string, Node>);
      const own = nodes.get(node);
      if (own) nodes.set(node, marked(own));
      sink.replace('nodes', nodes);
      moved();
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
