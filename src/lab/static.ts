/** Temporary: stands in for the agents. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from './cluster/cluster.ts';
import { must } from './run.ts';

export async function staticNetwork(cluster: Cluster): Promise<void> {
  for (;;) {
    const nodes = cluster.controllers.nodes();
    if (nodes.length === cluster.nodes.size && nodes.every((n) => (n.spec?.podCIDRs?.length ?? 0) > 0)) break;
    await new Promise((r) => setTimeout(r, 10));
  }
  const nodes = cluster.controllers.nodes();
  for (const node of cluster.nodes.values()) {
    node.ns.sysctls({ 'net/ipv4/ip_forward': '1', 'net/ipv6/conf/all/forwarding': '1' });
    const me = nodes.find((n) => n.metadata.name === node.name);
    for (const peer of cluster.nodes.values()) {
      if (peer === node || peer.topology.segment !== node.topology.segment) continue;
      const cidrs = nodes.find((n) => n.metadata.name === peer.name)?.spec?.podCIDRs ?? [];
      for (const c of cidrs) {
        const via = peer.addresses.find((a) => a.includes(':') === c.includes(':'));
        await must([...node.enter, 'ip', 'route', 'add', c, 'via', via ?? '']);
      }
    }
    const conf = {
      cniVersion: '1.0.0',
      name: 'fairlead',
      plugins: [
        {
          type: 'bridge',
          bridge: 'fairlead0',
          isDefaultGateway: true,
          hairpinMode: true,
          ipMasq: false,
          ipam: { type: 'host-local', ranges: (me?.spec?.podCIDRs ?? []).map((subnet) => [{ subnet }]) },
        },
      ],
    };
    writeFileSync(join(node.cniConfDir, '05-fairlead.conflist'), JSON.stringify(conf));
  }
}
