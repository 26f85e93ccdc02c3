/** Base chains and dispatch: from a packet to the chain of the pod that sent it, and of the pod that gets it. See ../README.md. */
import type { Config } from '../../../model/cluster/config.ts';
import { DIRECTIONS, type Direction } from '../../../model/cluster/policy.ts';
import type { Cidr } from '../../../model/net/cidr.ts';
import { FAMILIES, familyOf, type Ip } from '../../../model/net/ip.ts';
import { ENDED_SETS, ENDED_TIMEOUT, endedSet } from '../../../model/rows/ended.ts';
import { addressType, type NftChain, type NftRule, nftSetKey } from '../../../model/rows/nft.ts';
import { clampPodsChain, TO_CLAMP } from '../../nft/clamp.ts';
import { daddr, dport, iifname, l4proto, oifname, saddr, sport } from '../../nft/field.ts';
import {
  ctState,
  fibType,
  icmpv6Types,
  inSet,
  is,
  isNot,
  tcpFlags,
  unrouted,
  vmap,
} from '../../nft/match.ts';
import { has, type Part, rule } from '../../nft/rule.ts';
import { accept, counter, drop, goBack, goTo, jump, refresh } from '../../nft/statement.ts';
import { linkNames, PAIRS, type PodLinks } from '../../nodes/pod-links.ts';
import { tunnelNodeSets, tunnelNodes } from '../../nodes/tunnel.ts';
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
  const tracked = rule([FIRST_OR_STRAY, jump(ENDED_CHAIN)], 'connections that policy has ended');
  const own = [
    // Asking the routing tables costs as much as all else here, and tunnel packets come this way for ever.
    ...here.addresses.map((ip) => rule([is(saddr(familyOf(ip)), ip), accept], "the node's own traffic")),
    rule([fibType('saddr', 'local'), accept], "the node's own traffic, from other addresses"),
  ];
  const loopback = rule([is(iifname, 'lo'), accept], "the node's own traffic");
  const clamps = here.config.clampMss && here.podCidrs.length > 0;
  return [
    ...(clamps ? [clampPodsChain(here.podCidrs)] : []),
    ...hooked('forward', 'egress', [ended], clamps ? [TO_CLAMP] : []),
    ...hooked('forward', 'ingress', []),
    ...hooked('output', 'egress', [tracked, ...own]),
    ...hooked('output', 'ingress', own),
    ...tunnelSets(here.config),
    ...hooked('input', 'egress', [...fromTunnel(here), ended, loopback]),
  ];
}

/** All states but `established` and `related`. */
const UNKNOWN = ctState('invalid', 'new', 'untracked');
const FIRST_OR_STRAY = ctState('invalid', 'new');

function hooked(
  hook: 'forward' | 'output' | 'input',
  direction: Direction,
  rules: readonly NftRule[],
  before: readonly NftRule[] = [],
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
  const ifRefused = judgesAll(before.length + 1, rule([jump(first)]));
  const base = chainRow(why, baseChain(hook, direction), [...before, entry], { hook: where, ifRefused });
  if (rules.length === 0) return [base];
  const last = rule([goTo(dispatchChain(direction))]);
  const more = { ifRefused: judgesAll(rules.length + 1, last) };
  return [chainRow(why, first, [...rules, last], more), base];
}

/**
 * What other nodes send to the tunnel is judged when it is unpacked. `untracked` alone does not tell it (IPVS hides packets of pods so), nor does its
 * source, which a pod can forge: it must not come from a pod's link.
 */
function fromTunnel({ config, pods }: Here): NftRule[] {
  if (!mayTunnel(config)) return [];
  const notFromPods = linkNames(pods).map((link) => isNot(iifname, link));
  return FAMILIES.map((family) =>
    rule(
      [
        ctState('untracked'),
        is(dport('th'), `${config.vxlan.port}`),
        has('udp'),
        ...notFromPods,
        inSet(saddr(family), tunnelNodes(family)),
        accept,
      ],
      'from node to node: judged when it is unpacked',
    ),
  );
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
    const rules = [
      rule([has('icmpv6'), jump(NEIGHBOURS_CHAIN)]),
      // A family's maps together: what the first family's decide never asks the other's.
      ...FAMILIES.flatMap((family) =>
        [adminMap, dispatchMap].map((map) => rule([vmap(end(family), map(direction, family))])),
      ),
      ...behind,
    ];
    // Without its maps it knows no pod.
    const ifRefused = { rules: behind, parts: [0, 1] };
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
