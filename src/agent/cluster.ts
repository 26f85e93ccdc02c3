import type { Clock } from '../model/clock.ts';
import type { Values } from '../sources/config/settings.ts';
import { type KubeClient, kubeClient } from '../sources/kube/client.ts';
import type { AnyKind } from '../sources/kube/kind.ts';
import { namespaces } from '../sources/kube/namespaces.ts';
import { nodes } from '../sources/kube/nodes.ts';
import { podsOn } from '../sources/kube/pods.ts';
import { EventRecorder } from '../targets/kube/event-recorder.ts';
import type { Recorder } from './events.ts';
import type { Log } from './log.ts';

/** The API server's client, by kubeconfig or as the pod that we run in. Files are read at the first request. */
export function clientFor(values: Values, clock: Clock): KubeClient {
  const { kubeconfig } = values;
  return kubeClient(kubeconfig === undefined ? { inCluster: true, clock } : { kubeconfig, clock });
}

/** What an agent follows. Of pods only its own node's: nothing is planned about the others, and 150,000 of them would cost 100 MB. */
export const kindsFor = (node: string): readonly AnyKind[] => [nodes, podsOn(node), namespaces];

/** Events about our own Node. kubectl describe finds them by the Node's name as uid, which is what kubelet writes. */
export function nodeRecorder(client: KubeClient, node: string, clock: Clock, log: Log): Recorder {
  const recorder = new EventRecorder({ client, host: node, clock, log });
  const regarding = { apiVersion: 'v1', kind: 'Node', name: node, uid: node };
  return { record: (event) => recorder.record({ regarding, ...event }) };
}
