/** Base chains and dispatch: from a packet to the chain of the pod that sent it, and of the pod that gets it. See ../README.md. */
import type { Config } from '../../../model/cluster/config.ts';
import { DIRECTIONS, type Direction } from '../../../model/cluster/policy.ts';
import type { Cidr } from '../../../model/net/cidr.ts';
import { FAMILIES, familyOf, type Ip } from '../../../model/net/ip.ts';
import { ENDED_SETS, ENDED_TIMEOUT, endedSet } from '../../../model/rows/ended.ts';
import { addressType, type NftChain, type NftRule, nftSetKey } from '../../../model/rows/nft.ts';
import { daddr, dport, iifname, l4proto, oifname, saddr, sport } from '../../nft/field.ts';
import {
  ctState,
  fibType,
  icmpv6Types,
  inSet,
  is,
  opensConnection,
  tcpFlags,
  unrouted,
  vmap,
} from '../../nft/match.ts';
import { has, type Part, rule } from '../../nft/rule.ts';
import { accept, counter, drop, goBack, goTo, jump, refresh } from '../../nft/statement.ts';
import { fromNodes, toTunnel, tunnelNodeSets } from '../../nft/tunnel.ts';
import { linkNames, PAIRS, type PodLinks } from '../../nodes/pod-links.ts';
import {
  adminMap,
  baseChain,
  dispatchChain,
  dispatchMap,
  ENDED_CHAIN,
  firstChain,
  NEIGHBOURS_CHAIN,
  unknownChain,
} from './names.ts';
import { judgesAll } from './refused.ts';
import { chainRow, type NftRow, setRow } from './rows.ts';

/** nft's `filter` (NF_IP_PRI_FILTER), and behind IPVS in LOCAL_IN (NF_IP_PRI_NAT_SRC - 1: it takes away what is for Services). */
const FILTER = 0;
const BEHIND_IPVS = 101;

/** What the base chains need to know of this node. */
export interface Here {
  readonly config: Config;
  /** Of this node; empty when its Node is not known. */
  readonly podCidrs: readonly Cidr[];
  /** Of this node, as its Node says: what it sends comes from these nearly always. */
  readonly addresses: readonly Ip[];
  readonly pods: PodLinks;
}

/**
 * A base chain holds one rule: what belongs to a connection that was let through falls off its end, which costs least. All else goes to a second chain. An
 * ingress that nothing comes before goes to the dispatch at once.
 */
export function baseChains(here: Here): NftRow[] {
  const ended = rule([jump(ENDED_CHAIN)], 'connections that policy has ended');
  const begins = rule([opensConnection, goTo(dispatchChain('egress'))], 'a new connection has not ended');
  const own = [
    // Asking the routing tables costs as much as all else here, and tunnel packets come this way for ever.
    ...here.addresses.map((ip) => rule([is(saddr(familyOf(ip)), ip), accept], OWN)),
    rule([fibType('saddr', 'local'), accept], "the node's own traffic, from other addresses"),
  ];
  const loopback = rule([is(iifname, 'lo'), accept], OWN);
  return [
    ...hooked('forward', 'egress', [begins, ended]),
    ...hooked('forward', 'ingress', []),
    ...hooked('output', 'egress', [...intoTunnel(here), ended, ...own]),
    ...hooked('output', 'ingress', own),
    ...tunnelSets(here.config),
    ...hooked('input', 'egress', [...fromTunnel(here), ended, loopback]),
  ];
}

const OWN = "the node's own traffic";
/** All states but `established` and `related`. */
const UNKNOWN = ctState('invalid', 'new', 'untracked');

function hooked(
  hook: 'forward' | 'output' | 'input',
  direction: Direction,
  rules: readonly NftRule[],
): NftRow[] {
  const why = `policy on ${direction}`;
  const where: NftChain['hook'] = {
    type: 'filter',
    hook,
    priority: priorityOf(hook, direction),
    policy: 'accept',
  };
  const first = rules.length === 0 ? dispatchChain(direction) : firstChain(hook, direction);
  const entry = rule([UNKNOWN, jump(first)], 'all but replies, and errors about them');
  const ifRefused = judgesAll(1, rule([jump(first)]));
  const base = chainRow(why, baseChain(hook, direction), [entry], { hook: where, ifRefused });
  if (rules.length === 0) return [base];
  const last = rule([goTo(dispatchChain(direction))]);
  const more = { ifRefused: judgesAll(rules.length + 1, last) };
  return [chainRow(why, first, [...rules, last], more), base];
}

/**
 * What other nodes send to the tunnel is judged when it is unpacked. It has no answers, so each packet comes this far. Its source alone does not tell it, which a pod
 * can forge: it must not come from a pod's link.
 */
function fromTunnel({ config, pods }: Here): NftRule[] {
  if (!mayTunnel(config)) return [];
  return FAMILIES.map((family) =>
    rule(
      [...fromNodes({ family, port: config.vxlan.port }, linkNames(pods)), accept],
      'from node to node: judged when it is unpacked',
    ),
  );
}

/** And what this one sends there was judged before it was packed. */
function intoTunnel({ config, addresses }: Here): NftRule[] {
  if (!mayTunnel(config)) return [];
  return addresses.map((ip) => {
    const family = familyOf(ip);
    return rule([...toTunnel({ family, port: config.vxlan.port }), is(saddr(family), ip), accept], OWN);
  });
}

const mayTunnel = ({ router, transport }: Config): boolean => router.enabled && transport !== 'layer2';
const tunnelSets = (config: Config): NftRow[] => (mayTunnel(config) ? tunnelNodeSets() : []);

function priorityOf(hook: 'forward' | 'output' | 'input', direction: Direction): number {
  if (hook === 'input') return BEHIND_IPVS;
  return direction === 'egress' ? FILTER : FILTER + 1;
}

/**
 * What a link's neighbours tell each other. Such messages are never routed: discovery has a hop limit of 255 (RFC 4861 section 3.1), which this node
 * has lowered on whatever it forwards, and listeners' reports go to groups. What only looks like them is judged, or it would carry data past any policy.
 */
const GROUP_V6 = is(daddr('ipv6'), 'ff00::/8');
const NEIGHBOURS = [
  rule([icmpv6Types(133, 137), unrouted, accept], 'neighbour discovery and router messages'),
  rule([icmpv6Types(130, 132), GROUP_V6, accept], 'multicast messages'),
  rule([icmpv6Types(143), GROUP_V6, accept], 'multicast messages'),
];

export function neighbourRows(): NftRow[] {
  return [chainRow('neighbours on a link', NEIGHBOURS_CHAIN, NEIGHBOURS)];
}

export interface Closing {
  readonly unknownPods: Config['policy']['unknownPods'];
  readonly podCidrs: readonly Cidr[];
  readonly pods: PodLinks;
}

export function dispatchRows(closing: Closing): NftRow[] {
  return DIRECTIONS.flatMap((direction) => {
    const end = direction === 'egress' ? saddr : daddr;
    const maps = FAMILIES.flatMap((family) =>
      [
        [adminMap(direction, family), `${direction} of this node's pods: Admin tier`] as const,
        [dispatchMap(direction, family), `${direction} of this node's pods`] as const,
      ].map(([name, text]) => setRow(text, name, [addressType(family)], { value: 'verdict' })),
    );
    const behind = closing.unknownPods === 'closed' ? closed(direction, closing) : [];
    const neighbours = rule([has('icmpv6'), jump(NEIGHBOURS_CHAIN)]);
    // A family's maps together: what the first family's decide never asks the other's.
    const [ipv4 = [], ipv6 = []] = FAMILIES.map((family) =>
      [adminMap, dispatchMap].map((map) => rule([vmap(end(family), map(direction, family))])),
    );
    const rules = [...ipv4, neighbours, ...ipv6, ...behind];
    // Without its maps it knows no pod.
    const ifRefused = { rules: [neighbours, ...behind] };
    return [...maps, chainRow(`policy on ${direction}`, dispatchChain(direction), rules, { ifRefused })];
  });
}

/**
 * Behind the maps: what no known pod sent, or gets. On pods' bridges that is everything that comes so far: forged sources, link-local
 * addresses, and groups, which reach pods of any policy. On pairs sources are looked at before (../../frames), but for those that every link has.
 */
function closed(direction: Direction, { podCidrs, pods: { bridges, pairs } }: Closing): NftRule[] {
  const unknown = (...matches: Part[]) =>
    rule([...matches, goTo(unknownChain(direction))], "no known pod's address");
  const end = direction === 'egress' ? saddr : daddr;
  const rules = podCidrs.map((cidr) => unknown(is(end(familyOf(cidr)), cidr)));
  if (direction === 'egress') {
    rules.push(...bridges.map((bridge) => unknown(is(iifname, bridge))));
    if (pairs) rules.push(...OF_EVERY_LINK.map((source) => unknown(is(iifname, PAIRS), source)));
    return rules;
  }
  for (const bridge of bridges) {
    const towardsPods = is(oifname, bridge);
    // Without a word in the log: software calls out to its neighbours all day.
    const silent = GROUPS.map((group) =>
      rule([towardsPods, group, counter, drop], 'would reach pods of any policy'),
    );
    rules.push(...silent, unknown(towardsPods));
  }
  return rules;
}

const OF_EVERY_LINK = [is(saddr('ipv4'), '0.0.0.0'), is(saddr('ipv6'), 'fe80::/10')];

const GROUPS = [is(daddr('ipv4'), '224.0.0.0/4'), is(daddr('ipv4'), '255.255.255.255'), GROUP_V6];

/** Packets that servers still send on connections which policy has ended; each keeps its connection ended. */
export function endedRows(): NftRow[] {
  const sets = ENDED_SETS.map(
    (body): NftRow => ({ target: 'nft', key: nftSetKey(body.name), body, why: 'policy on live connections' }),
  );
  const rules = FAMILIES.map((family) => {
    const { name } = endedSet(family);
    const tuple = [l4proto, saddr(family), sport('th'), daddr(family), dport('th')];
    return rule([inSet(tuple, name), refresh(tuple, name, ENDED_TIMEOUT), counter, drop], 'ended by policy');
  });
  const opening = rule([tcpFlags(['syn'], ['fin', 'syn', 'rst', 'ack']), goBack], 'a new connection');
  return [...sets, chainRow('policy on live connections', ENDED_CHAIN, [opening, ...rules])];
}
