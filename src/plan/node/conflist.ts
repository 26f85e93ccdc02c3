import type { Config } from '../../model/cluster/config.ts';
import type { ForeignCni } from '../../model/cluster/host.ts';
import type { Cidr } from '../../model/net/cidr.ts';
import { FAMILIES, type Family, familyOf } from '../../model/net/ip.ts';

/** Understood by libcni since 0.8 and by every plugin since 1.0; later versions add nothing that we use. */
const CNI_VERSION = '1.0.0';
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

/** Of several files the first by path counts, as for the container runtime. */
export function podNetwork(config: Config, foreign: Iterable<ForeignCni>): PodNetwork {
  const [before] = [...foreign]
    .filter((file) => file.bridge !== undefined && PREDECESSORS.includes(file.software ?? ''))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  if (before?.bridge === undefined) return { name: NETWORK, bridge: config.cni.bridge, from: undefined };
  return { name: before.name, bridge: before.bridge, from: before.path };
}

/** What a conflist is made of. */
export interface PodAttachment {
  readonly network: PodNetwork;
  readonly plugin: Config['cni']['plugin'];
  readonly podCidrs: readonly Cidr[];
  readonly mtu: number;
}

/**
 * The configuration that the container runtime gives to the CNI plugins `bridge` or `ptp`, `host-local` and `portmap`
 * (containernetworking/plugins), and to our own, which comes last: when it returns the pod's containers start. Where policies are enforced it asks
 * the agent first. Never `ipMasq`: it would hide the sources of packets between nodes.
 */
export function conflist(config: Config, { network, plugin, podCidrs, mtu }: PodAttachment): string {
  const { cni, policy } = config;
  const main =
    plugin === 'ptp'
      ? { type: 'ptp', mtu, ipMasq: false }
      : {
          type: 'bridge',
          bridge: network.bridge,
          isGateway: true,
          hairpinMode: cni.hairpin,
          mtu,
          ipMasq: false,
        };
  const portmap = { type: 'portmap', snat: true, capabilities: { portMappings: true } };
  const birth = { type: 'fairlead', ...(policy.enabled ? { socket: cni.socket } : {}) };
  const list = {
    cniVersion: CNI_VERSION,
    name: network.name,
    plugins: [{ ...main, ipam: ipam(podCidrs) }, ...(cni.portmap ? [portmap] : []), birth],
  };
  return `${JSON.stringify(list, undefined, 2)}\n`;
}

const EVERYWHERE: Readonly<Record<Family, string>> = { ipv4: '0.0.0.0/0', ipv6: '::/0' };

/** One set of ranges a family: host-local gives an address out of each set. */
function ipam(podCidrs: readonly Cidr[]): unknown {
  const sets = FAMILIES.map((family) => ({
    family,
    cidrs: podCidrs.filter((cidr) => familyOf(cidr) === family),
  })).filter(({ cidrs }) => cidrs.length > 0);
  return {
    type: 'host-local',
    ranges: sets.map(({ cidrs }) => cidrs.map((subnet) => ({ subnet }))),
    routes: sets.map(({ family }) => ({ dst: EVERYWHERE[family] })),
  };
}
