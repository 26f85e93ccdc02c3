import type { Config } from '../../model/cluster/config.ts';
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
  if (router.enabled && !cni.write && bridgeOfOthers(world) === undefined) return [];
  // Another network's pods may have addresses from elsewhere.
  const families = new Set(self.podCidrs.length === 0 ? FAMILIES : self.podCidrs.map(familyOf));
  if (self.missing.ipv6 !== undefined) families.delete('ipv6');
  return FAMILIES.filter((family) => families.has(family)).map((family) =>
    sysctlRow(CALLS[family], '1', 'policies see packets between pods of one bridge'),
  );
}

/** How pods are attached: where rules cannot see into a bridge, each by a link of its own, so that all its packets are routed. */
export function podPlugin({ config, missing }: Self): Config['cni']['plugin'] {
  return config.policy.enabled && missing.br_netfilter !== undefined ? 'ptp' : config.cni.plugin;
}

export function bridgeNetfilterProblems(self: Self, world: World): Problem[] {
  const { config, missing, name } = self;
  if (!config.policy.enabled || missing.br_netfilter === undefined) return [];
  const bridge = config.cni.write ? ownBridge(self, world) : bridgeOfOthers(world);
  if (bridge === undefined && config.router.enabled) return [];
  const where = bridge === undefined ? 'a bridge, if the network plugin has one' : `the bridge ${bridge}`;
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

/** With ptp chosen there is none, unless pods are still on it from before. */
function ownBridge({ config, network: { bridge } }: Self, world: World): string | undefined {
  return config.cni.plugin === 'bridge' || world.links.objects.has(bridge) ? bridge : undefined;
}

const bridgeOfOthers = (world: World): string | undefined =>
  [...world.cni.objects.values()].find(({ bridge }) => bridge !== undefined)?.bridge;
