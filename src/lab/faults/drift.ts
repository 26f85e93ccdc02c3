import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FairleadError } from '../../model/errors.ts';
import { didYouMean } from '../../sources/config/nearest.ts';
import type { LabNode } from '../kubelet/node.ts';
import { run } from '../run.ts';

/** Sets `d` to a prefix of ours. By prefix alone: how the next hop is written differs between kernels and tools. */
const firstRoute = (family: '-4' | '-6'): string =>
  `d=$(ip ${family} route show proto 201 | head -n1 | cut -d' ' -f1); test -n "$d"`;

const firstNexthop = `n=$(ip nexthop show proto 201 | head -n1 | cut -d' ' -f2); test -n "$n"`;

/**
 * What an operator, a script or another program may do to a node behind the agent's back. Each is a shell script run on the node; it
 * fails when there was nothing to do it to, so that a drill never passes by missing its mark.
 */
const DRIFTS: Readonly<Record<string, string>> = {
  'route-delete': `${firstRoute('-4')}; ip -4 route del "$d" proto 201`,
  'route6-delete': `${firstRoute('-6')}; ip -6 route del "$d" proto 201`,
  'route-flush': `${firstRoute('-4')}; for f in -4 -6; do for d in $(ip $f route show proto 201 | cut -d' ' -f1); do ip $f route del "$d" proto 201; done; done`,
  'route-alter': `${firstRoute('-4')}; ip route replace "$d" via inet6 fe80::dead dev eth0 onlink proto 201`,
  'nexthop-delete': `${firstNexthop}; ip nexthop del id "$n"`,
  'nexthop-alter': `${firstNexthop}; ip nexthop replace id "$n" via fe80::dead dev fl-vxlan onlink proto 201`,
  'nexthop-flush': `${firstNexthop}; ip nexthop flush proto 201`,
  'nexthop-ours-foreign': `ip nexthop add id 98 blackhole proto 201`,
  'route-foreign': `ip route add 10.99.0.0/16 dev eth0 proto static`,
  'route-ours-foreign': `ip route add blackhole 10.98.0.0/16 proto 201`,
  'neighbour-delete': `n=$(ip neigh show dev fl-vxlan nud permanent | head -n1 | cut -d' ' -f1); test -n "$n" || n=$(ip -6 neigh show dev fl-vxlan nud permanent | head -n1 | cut -d' ' -f1); test -n "$n"; ip neigh del "$n" dev fl-vxlan`,
  'neighbour-alter': `n=$(ip -6 neigh show dev fl-vxlan nud permanent | head -n1 | cut -d' ' -f1); test -n "$n"; ip neigh replace "$n" dev fl-vxlan lladdr 02:00:00:00:00:99 nud permanent`,
  'fdb-delete': `m=$(bridge fdb show dev fl-vxlan | grep dst | head -n1 | cut -d' ' -f1); test -n "$m"; bridge fdb del "$m" dev fl-vxlan`,
  'fdb-alter': `m=$(bridge fdb show dev fl-vxlan | grep dst | head -n1 | cut -d' ' -f1); test -n "$m"; bridge fdb replace "$m" dev fl-vxlan dst 192.0.2.250`,
  'link-delete': `ip link del fl-vxlan`,
  'link-down': `ip link set fl-vxlan down`,
  'link-mtu': `ip link set fl-vxlan mtu 1300`,
  'link-foreign': `ip link add foreign0 type bridge`,
  'nft-delete': `nft delete table inet fairlead`,
  'nft-flush': `nft flush table inet fairlead`,
  'nft-element': `s=$(nft -a list sets table inet fairlead | sed -n 's/.*set \\([^ ]*\\) {.*/\\1/p' | head -n1); test -n "$s"; nft flush set inet fairlead "$s"`,
  'nft-bridge-delete': `nft delete table bridge fairlead`,
  'nft-bridge-element': `nft flush set bridge fairlead ports`,
  'nft-foreign': `nft 'add table inet foreign; add chain inet foreign c { type filter hook forward priority 10; }; add rule inet foreign c counter'`,
  'nft-ours-foreign': `nft 'add chain inet fairlead intruder; add rule inet fairlead intruder counter drop'`,
  sysctl: `echo 0 >/proc/sys/net/ipv4/ip_forward`,
  sysctl6: `echo 0 >/proc/sys/net/ipv6/conf/all/forwarding`,
};

const FILES: Readonly<Record<string, (path: string) => void>> = {
  'conflist-delete': (path) => rmSync(path),
  'conflist-alter': (path) => writeFileSync(path, '{"cniVersion":"1.0.0","name":"x","plugins":[]}'),
};

export const DRIFT_KINDS: readonly string[] = [...Object.keys(DRIFTS), ...Object.keys(FILES)];

/** Does it. Throws `usage` for an unknown kind, `lab-fault` when there was nothing to do it to. */
export async function drift(node: LabNode, kind: string): Promise<void> {
  const file = FILES[kind];
  if (file) {
    const name = readdirSync(node.cniConfDir).find((n) => n.includes('fairlead'));
    if (name === undefined) throw new FairleadError('lab-fault', `node ${node.name} has no conflist of ours`);
    file(join(node.cniConfDir, name));
    return;
  }
  const script = DRIFTS[kind];
  if (script === undefined) {
    const hint = didYouMean(kind, DRIFT_KINDS) ?? '"fault list" shows all kinds';
    throw new FairleadError('usage', `there is no drift "${kind}"`, { hint });
  }
  const { code, stderr } = await run([...node.enter, 'sh', '-ec', script]);
  if (code === 0) return;
  const words = stderr.trim() || 'there is nothing of ours to do it to';
  throw new FairleadError('lab-fault', `drift ${kind} on node ${node.name}: ${words}`);
}
