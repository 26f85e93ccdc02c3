/** The machine on which network policy is measured, in this process's own network namespace and two more. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { LINK, underlay } from './agent-run.ts';
import { nodeAddresses } from './cluster.ts';
import { Namespace } from './packet-verdict.ts';
import { CROWD, localIps, NAMESPACES, OUTSIDER, podPrefixes } from './policy-cluster.ts';
import { ip } from './tools.ts';

/** The node, its pods behind one link, and the outside behind the node's own link. Forwards from the beginning, as a node does. */
export async function policyMachine(): Promise<{ outside: Namespace; pods: Namespace }> {
  const [outside, pods] = [new Namespace(), new Namespace()];
  await Promise.all([outside.ready(), pods.ready()]);
  underlay();
  for (const name of ['net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding'])
    writeFileSync(`/proc/sys/${name}`, '1');
  ip(
    `link set wire netns ${outside.pid}`,
    `link add pods type veth peer name eth0 netns ${pods.pid}`,
    'link set pods up',
  );
  const [v4, v6] = podPrefixes(0).map((prefix) => prefix.split('/')[0]);
  ip(`addr add ${v4?.replace(/0$/, '1')}/24 dev pods`, `-6 addr add ${v6}1/64 dev pods nodad`);
  pods.ip('link set lo up', 'link set eth0 up');
  for (let i = 0; i < NAMESPACES; i++) {
    const [ip4, ip6] = localIps(i);
    pods.ip(`addr add ${ip4}/24 dev eth0`, `-6 addr add ${ip6}/64 dev eth0 nodad`);
  }
  pods.ip(`route add default via ${v4?.replace(/0$/, '1')}`, `-6 route add default via ${v6}1`);
  const [outer4, outer6] = nodeAddresses(OUTSIDER.node);
  outside.ip(
    'link set lo up',
    'link set wire up',
    `addr add ${outer4}/15 dev wire`,
    `-6 addr add ${outer6}/48 dev wire nodad`,
  );
  for (const address of [...OUTSIDER.ips, ...CROWD.ips])
    outside.ip(
      address.includes(':') ? `-6 addr add ${address}/128 dev lo nodad` : `addr add ${address}/32 dev lo`,
    );
  const [own4, own6] = nodeAddresses(0);
  outside.ip(`route add 10.0.0.0/24 via ${own4}`, `-6 route add fd00:10::/64 via ${own6}`);
  // For agents that route nothing: the way back.
  ip(`route add 10.0.0.0/8 via ${outer4} dev ${LINK}`, `-6 route add fd00:10::/32 via ${outer6} dev ${LINK}`);
  return { outside, pods };
}

/** Takes away what an agent left, so that the next one starts clean. */
export function sweep(): void {
  for (const family of ['-4', '-6']) ip(`${family} route flush proto 201`);
  spawnSync('nft', ['flush', 'ruleset']);
}
