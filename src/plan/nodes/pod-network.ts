/** What the pods of this node hang on: what the CNI configuration says of it, here. Where rules look for pods: pod-links.ts. */
import type { Config } from '../../model/cluster/config.ts';
import type { ForeignCni, KernelFacts } from '../../model/cluster/host.ts';

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

/** How new pods are attached: where rules cannot see into a bridge, each by a pair of links of its own, so that all its packets are routed. */
export function podPlugin({ policy, cni }: Config, missing: KernelFacts['missing']): Config['cni']['plugin'] {
  return policy.enabled && missing.br_netfilter !== undefined ? 'ptp' : cni.plugin;
}
