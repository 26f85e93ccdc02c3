import type { Clock } from '../model/clock.ts';
import type { Values } from '../sources/config/settings.ts';
import { type KubeClient, kubeClient } from '../sources/kube/client.ts';
import { clusterNetworkPolicies } from '../sources/kube/clusternetworkpolicies.ts';
import { namespaces } from '../sources/kube/namespaces.ts';
import { networkPolicies } from '../sources/kube/networkpolicies.ts';
import { nodes } from '../sources/kube/nodes.ts';
import { podsNotOn, podsOn } from '../sources/kube/pods.ts';
import { followed, type KubeSourcesOptions, startKubeSources } from '../sources/kube/sources.ts';
import { EventRecorder } from '../targets/kube/event-recorder.ts';
import type { Recorder } from './events.ts';
import type { FollowPeers } from './follow-peers.ts';
import type { Log } from './log.ts';

/** The API server's client, by kubeconfig or as the pod that we run in. Files are read at the first request. */
export function clientFor(values: Values, clock: Clock): KubeClient {
  const { kubeconfig } = values;
  return kubeClient(kubeconfig === undefined ? { inCluster: true, clock } : { kubeconfig, clock });
}

/**
 * Follows what an agent needs of the API server. Of pods its own node's; the others are for `peers` to follow while a policy may name them, because
 * 150,000 of them cost 100 MB.
 */
export function followCluster(
  node: string,
  peers: FollowPeers,
  options: Omit<KubeSourcesOptions, 'kinds'>,
): { close(): void } {
  const kinds = [nodes, podsOn(node), namespaces, networkPolicies, clusterNetworkPolicies];
  const sources = startKubeSources({ ...options, kinds });
  peers.start(() => followed(podsNotOn(node), options));
  return {
    close() {
      sources.close();
      peers.close();
    },
  };
}

/** Events about our own Node. kubectl describe finds them by the Node's name as uid, which is what kubelet writes. */
export function nodeRecorder(client: KubeClient, node: string, clock: Clock, log: Log): Recorder {
  const recorder = new EventRecorder({ client, host: node, clock, log });
  const regarding = { apiVersion: 'v1', kind: 'Node', name: node, uid: node };
  return { record: (event) => recorder.record({ regarding, ...event }) };
}
