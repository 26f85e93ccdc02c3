import type { Config } from '../../model/cluster/config.ts';
import type { Cidr } from '../../model/net/cidr.ts';
import { FAMILIES, type Family, familyOf } from '../../model/net/ip.ts';
import type { PodNetwork } from '../nodes/pod-network.ts';

/** Understood by libcni since 0.8 and by every plugin since 1.0; later versions add nothing that we use. */
const CNI_VERSION = '1.0.0';

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
