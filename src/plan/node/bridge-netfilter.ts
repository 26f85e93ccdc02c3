import { FAMILIES, type Family, familyOf } from '../../model/net/ip.ts';
import type { Problem } from '../../model/problem.ts';
import type { RowOf } from '../../model/rows/row.ts';
import type { World } from '../../model/world.ts';
import type { Self } from '../transports/underlay.ts';
import { sysctlRow } from './sysctls.ts';

/** Documentation/networking/ip-sysctl.rst, "/proc/sys/net/bridge/*": per network namespace, for all its bridges. */
const CALLS: Readonly<Record<Family, string>> = {
  ipv4: 'net/bridge/bridge-nf-call-iptables',
  ipv6: 'net/bridge/bridge-nf-call-ip6tables',
};

/**
 * Packets between two pods of one bridge are not routed, and rules see them only when the bridge calls netfilter. The kernel's default is
 * that it does, but other software switches it off.
 */
export function bridgeNetfilterRows(self: Self, world: World): RowOf<'sysctl'>[] {
  if (!self.config.policy.enabled || self.missing.br_netfilter !== undefined) return [];
  // Beside another network there may be a bridge that its configuration does not name (flannel's).
  const { router, cni } = self.config;
  if (router.enabled && !cni.write && bridgesOfPods(self, world).length === 0) return [];
  // Another network's pods may have addresses from elsewhere.
  const families = new Set(self.podCidrs.length === 0 ? FAMILIES : self.podCidrs.map(familyOf));
  if (self.missing.ipv6 !== undefined) families.delete('ipv6');
  return FAMILIES.filter((family) => families.has(family)).map((family) =>
    sysctlRow(CALLS[family], '1', 'policies see packets between pods of one bridge'),
  );
}

export function bridgeNetfilterProblems(self: Self, world: World): Problem[] {
  const { config, missing, name } = self;
  if (!config.policy.enabled || missing.br_netfilter === undefined) return [];
  const bridges = bridgesOfPods(self, world);
  if (bridges.length === 0 && config.router.enabled) return [];
  const where =
    bridges.length === 0 ? 'a bridge, if the network plugin has one' : `the bridge ${bridges.join(' or ')}`;
  const instead = config.cni.write
    ? 'new pods are attached by the plugin ptp; those on the bridge reach each other, and the new ones not, until they are started anew'
    : 'pods of this node reach each other whatever policies say';
  return [
    {
      object: `Node ${name}`,
      message: `policies do not see packets between pods on ${where}: ${missing.br_netfilter}; ${instead}`,
      hint: 'load the module (and list it in /etc/modules-load.d), then start the agent again; or set cni.plugin to ptp',
    },
  ];
}

/** Those that pods are on; ours also where `bridge` is chosen and the kernel lets no pod onto it; of others, the one that a file names. */
function bridgesOfPods({ config, network, pods }: Self, world: World): readonly string[] {
  const { write, plugin } = config.cni;
  const named = write ? plugin === 'bridge' && network.bridge : bridgeOfOthers(world);
  return named ? [...new Set([named, ...pods.bridges])].sort() : pods.bridges;
}

const bridgeOfOthers = (world: World): string | undefined =>
  [...world.cni.objects.values()].find(({ bridge }) => bridge !== undefined)?.bridge;
