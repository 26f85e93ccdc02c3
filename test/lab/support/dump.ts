import type { Lab } from '../../../src/lab/client.ts';

/** Everything of a node's networking that somebody could have changed, as text. Learned neighbours and counters are left out. */
export async function dump(lab: Lab, node: string): Promise<string> {
  return lab.run(node, 'sh', '-c', SCRIPT);
}

/** What the agent programs, in the words of the tools that operators use. */
export const ours = (lab: Lab, node: string): Promise<string> => lab.run(node, 'sh', '-c', OURS);

const OURS = `
ip route show proto 201 table all | sort
ip -6 route show proto 201 table all | sort
ip nexthop show proto 201 | sort
ip -o -d link show type vxlan | sed 's/^[0-9]*: //; s/ qlen .*//'
ip -o addr show dev fl-vxlan 2>/dev/null | sed 's/^[0-9]*: //'
ip neigh show dev fl-vxlan nud permanent 2>/dev/null | sort
ip -6 neigh show dev fl-vxlan nud permanent 2>/dev/null | sort
bridge fdb show dev fl-vxlan 2>/dev/null | grep dst | sort
for family in inet bridge; do nft list table $family fairlead 2>/dev/null | sed "s/ packets [0-9]* bytes [0-9]*//"; done
cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding
cat /run/cni/net.d/*fairlead* 2>/dev/null
true
`;

const SCRIPT = `
ip -o -d link | sed 's/^[0-9]*: //' | sort
ip -o addr | sed 's/^[0-9]*: //' | sort
ip route show table all | sort
ip -6 route show table all | sed 's/ expires [0-9]*sec//' | sort
ip nexthop
ip rule; ip -6 rule
ip neigh show nud permanent; ip -6 neigh show nud permanent
nft list ruleset | sed "s/ packets [0-9]* bytes [0-9]*//"
for f in $(find /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf /proc/sys/net/ipv4/ip_forward /proc/sys/net/bridge -type f -perm -400 2>/dev/null | grep -v stable_secret | sort); do
  echo "$f $(cat $f 2>/dev/null)"
done
ls /run/cni/net.d
`;
