import type { Clock } from '../model/clock.ts';
import type { Node } from '../model/cluster/node.ts';
import type { World, WorldSink } from '../model/world.ts';
import type { Values } from '../sources/config/settings.ts';
import { type KubeClient, kubeClient } from '../sources/kube/client.ts';
import { EventRecorder } from '../targets/kube/event-recorder.ts';
import type { Recorder } from './events.ts';
import type { Log } from './log.ts';

/** The API server's client, by kubeconfig or as the pod that we run in. Files are read at the first request. */
export function clientFor(values: Values, clock: Clock): KubeClient {
  const { kubeconfig } = values;
  return kubeClient(kubeconfig === undefined ? { inCluster: true, clock } : { kubeconfig, clock });
}

/** Events about our own Node. kubectl describe finds them by the Node's name as uid, which is what kubelet writes. */
export function nodeRecorder(client: KubeClient, node: string, clock: Clock, log: Log): Recorder {
  const recorder = new EventRecorder({ client, host: node, clock, log });
  const regarding = { apiVersion: 'v1', kind: 'Node', name: node, uid: node };
  return { record: (event) => recorder.record({ regarding, ...event }) };
}

/** Passes everything on, and tells `changed` about each change of our own Node: that is how foreign hands on it are noticed. */
export function ownNodeEar(
  sink: WorldSink,
  world: World,
  node: string,
  changed: (node: Node | undefined) => void,
): WorldSink {
  const own = () => changed(world.nodes.objects.get(node));
  return {
    put(source, key, object) {
      sink.put(source, key, object);
      if (source === 'nodes' && key === node) own();
    },
    remove(source, key) {
      sink.remove(source, key);
      if (source === 'nodes' && key === node) own();
    },
    replace(source, objects) {
      sink.replace(source, objects);
      if (source === 'nodes') own();
    },
    ready: (source) => sink.ready(source),
    notReady: (source, reason) => sink.notReady(source, reason),
  };
}
