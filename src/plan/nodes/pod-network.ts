/** What the pods of this node hang on: what rules of several rooms, and the CNI configuration, must say alike. */
import type { Config } from '../../model/cluster/config.ts';
import type { ForeignCni } from '../../model/cluster/host.ts';

const NETWORK = 'fairlead';
/** Software whose pods we carry on: its bridge and its network's name, under which host-local keeps the leases. */
const PREDECESSORS: readonly string[] = ['kube-router', 'kopeio'];

/** Names that running pods depend on. */
export interface PodNetwork {
  readonly name: string;
  readonly bridge: string;
  /** The file that they were taken from. */
  readonly from: string | undefined;
}

/** `foreign`: the World's table `cni`. Of several files the first by path counts, as for the container runtime. */
export function podNetwork(config: Config, foreign: Iterable<ForeignCni>): PodNetwork {
  const [before] = [...foreign]
    .filter((file) => file.bridge !== undefined && PREDECESSORS.includes(file.software ?? ''))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  if (before?.bridge === undefined) return { name: NETWORK, bridge: config.cni.bridge, from: undefined };
  return { name: before.name, bridge: before.bridge, from: before.path };
}

/** The bridge that we attach this node's pods to; `undefined` with `ptp`, and where others attach them. */
export function podBridge({ cni }: Config, { bridge }: PodNetwork): string | undefined {
  return cni.write && cni.plugin === 'bridge' ? bridge : undefined;
}

/** The link, or the beginning of the names of the links, by which packets of our own pods come to this node's IP stack. */
export function podLinks(config: Config, network: PodNetwork): string | undefined {
  // The plugin `ptp` names its links so.
  return config.cni.write ? (podBridge(config, network) ?? 'veth*') : undefined;
}
