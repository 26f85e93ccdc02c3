import type { Node } from '../../../model/cluster/node.ts';
import type { Cidr } from '../../../model/net/cidr.ts';
import { FAMILIES, type Family, familyOf, type Ip } from '../../../model/net/ip.ts';
import type { Problem } from '../../../model/problem.ts';
import { MAIN_TABLE, routeKey } from '../../../model/rows/route.ts';
import type { Row } from '../../../model/rows/row.ts';
import { familyName, onLink, pathMtu } from '../peer.ts';
import type { Carrier, Choice, PeerPlan, Transport } from '../transport.ts';
import { type Self, underlayFamilies } from '../underlay.ts';

const CARRIER: Carrier = 'layer2';

/**
 * Plain routes: the other node is on the same link and is itself the next hop for its pods. See README.md.
 *
 * IPv4 pods may go over an IPv6 next hop (RFC 5549); IPv6 pods need an IPv6 next hop, because IPv4 cannot be a gateway for IPv6.
 */
export const layer2: Transport = {
  name: 'layer2',
  auto: true,
  receivesAlways: true,
  overhead: () => 0,
  enabled: (self) => (underlayFamilies(self).length > 0 ? [CARRIER] : []),
  choose(self, peer): Choice {
    const reached = reach(self, peer);
    if (reached.families.length === 0) return { refused: reached.refused };
    const links = reached.families.map((hop) => `${self.underlay[hop]?.dev} (${self.underlay[hop]?.prefix})`);
    return { carrier: CARRIER, because: `${peer.name} is on-link on ${[...new Set(links)].join(' and ')}` };
  },
  refuses(carrier, self, peer) {
    if (carrier !== CARRIER) return `${carrier} is not known`;
    const choice = layer2.choose(self, peer);
    return 'refused' in choice ? choice.refused : undefined;
  },
  gaps(self, peer) {
    const lost = peer.podCidrs.filter((cidr) => nextHop(self, peer, familyOf(cidr)) === undefined);
    return lost.length === 0
      ? undefined
      : `${lost.join(' and ')} needs an on-link ${familyName(familyOf(lost[0] ?? ''))} next hop, which ${peer.name} does not have`;
  },
  device: (carrier) => (carrier === CARRIER ? { rows: [], ready: [] } : undefined),
  peer(_carrier, self, peer, prefixes): PeerPlan {
    const rows: Row[] = [];
    const problems: Problem[] = [];
    for (const dst of prefixes) {
      const hop = nextHop(self, peer, familyOf(dst));
      if (hop) rows.push(route(self, peer, dst, hop));
      else
        problems.push({
          object: `Node ${peer.name}`,
          message: `its pods in ${dst} cannot be reached by layer2: there is no on-link ${familyName(familyOf(dst))} next hop`,
          hint: 'give the nodes addresses of that family on the underlay link, or set transport to vxlan or auto',
        });
    }
    return { rows, problems };
  },
};

interface Hop {
  readonly via: Ip;
  readonly family: Family;
}

function reach(self: Self, peer: Node): { families: Family[]; refused: string } {
  const families: Family[] = [];
  const refusals: string[] = [];
  for (const family of FAMILIES) {
    const found = onLink(self, peer, family);
    if ('ip' in found) families.push(family);
    else refusals.push(found.refused);
  }
  return { families, refused: `${peer.name} is not on-link: ${refusals.join('; ')}` };
}

function nextHop(self: Self, peer: Node, pods: Family): Hop | undefined {
  const families: readonly Family[] = pods === 'ipv4' ? ['ipv4', 'ipv6'] : ['ipv6'];
  for (const family of families) {
    const found = onLink(self, peer, family);
    if ('ip' in found) return { via: found.ip, family };
  }
  return undefined;
}

function route(self: Self, peer: Node, dst: Cidr, hop: Hop): Row {
  const underlay = self.underlay[hop.family];
  const dev = underlay?.dev ?? '';
  const own = underlay?.mtu ?? 0;
  const path = pathMtu(own, peer);
  return {
    target: 'route',
    key: routeKey(dst),
    why: `Node ${peer.name} ${dst} by layer2`,
    body: {
      dst,
      table: MAIN_TABLE,
      type: 'unicast',
      nextHops: [{ dev, via: hop.via, onlink: false, weight: 1 }],
      source: undefined,
      mtu: path < own ? path : undefined,
    },
  };
}
