/** The table `bridge fairlead`: chains that look at frames, sets of ports and of what belongs to each; and one chain of `inet fairlead`. See README.md. */
import type { Birth } from '../../model/cluster/birth.ts';
import { type Family, familyOf } from '../../model/net/ip.ts';
import {
  type NftBody,
  type NftChain,
  type NftRule,
  type NftType,
  nftChainKey,
  nftElementKey,
  nftSetKey,
} from '../../model/rows/nft.ts';
import type { RowOf } from '../../model/rows/row.ts';
import { arpSaddr, etherSaddr, type Field, iifname, l4proto, ndTarget, saddr } from '../nft/field.ts';
import { etherType, icmpv6Types, inSet, is, isNot, notInSet } from '../nft/match.ts';
import { type Part, rule } from '../nft/rule.ts';
import { accept, counter, drop, goBack, goTo, jump } from '../nft/statement.ts';

/** NF_BR_PRI_FILTER_BRIDGED of linux/netfilter_bridge.h, nft's `filter`: before br_netfilter shows a frame's packet to other rules (NF_BR_PRI_BRNF). */
const FILTER = -200;
const PORTS = 'ports';
/** In `inet fairlead`. */
const BRIDGE_PORTS = 'bridge-ports';
const PAST_BRIDGE = 'past-bridge';
const BOUND = 'bound-ports';
const MACS = 'macs';
const addressSet = (family: Family): string => (family === 'ipv4' ? 'addresses-v4' : 'addresses-v6');
const PREROUTING = 'prerouting';
const FRAMES = 'frames';
const SOURCES = 'sources';
const WHY = 'what pods may put on their bridge';

type Table = 'nft' | 'nft-bridge';
type FrameRow = RowOf<Table>;

/** `binds`: a pod may send under its own addresses only. */
export function tableRows(binds: boolean): FrameRow[] {
  const pod = "ports of pods' bridges";
  return [
    set('nft-bridge', PORTS, ['ifname'], pod),
    set('nft', BRIDGE_PORTS, ['ifname'], pod),
    ...(binds ? boundSets() : []),
    chain(FRAMES, frameRules(binds)),
    ...(binds ? [chain(SOURCES, sourceRules())] : []),
    chain(PREROUTING, [...(binds ? plainly() : []), rule([inSet(iifname, PORTS), jump(FRAMES)], pod)], {
      type: 'filter',
      hook: 'prerouting',
      priority: FILTER,
      policy: 'accept',
    }),
    pastBridge(),
  ];
}

export function portRows(port: string): FrameRow[] {
  // Whoever waits for an element waits for the chain that it is good for.
  return [
    element('nft-bridge', PORTS, [port], 'a pod is on it', PREROUTING),
    element('nft', BRIDGE_PORTS, [port], 'a pod is on it', PAST_BRIDGE),
  ];
}

/** The port, and what may be sent there. */
export function birthRows({ pod, ips, attached }: Birth, binds: boolean): FrameRow[] {
  if (attached === undefined) return [];
  const { port, mac } = attached;
  if (!binds) return portRows(port);
  const why = `pod ${pod}`;
  return [
    ...portRows(port),
    element('nft-bridge', BOUND, [port], why, SOURCES, pod),
    element('nft-bridge', MACS, [port, mac], why),
    ...ips.map((ip) => element('nft-bridge', addressSet(familyOf(ip)), [port, mac, ip], why)),
  ];
}

/**
 * A frame to 01:80:c2:00:00:0X (IEEE 802.1Q table 8-1) is not the bridge's: the kernel takes its packet as come in on the port, and no hook of the
 * bridge has seen it (br_handle_frame of net/bridge/br_input.c). All others come in on the bridge.
 */
function pastBridge(): FrameRow {
  const rules = [
    rule([inSet(iifname, BRIDGE_PORTS), counter, drop], 'packets of pods come over their bridge'),
  ];
  const hook = { type: 'filter', hook: 'input', priority: 0, policy: 'accept' } as const;
  return row('nft', nftChainKey(PAST_BRIDGE), { kind: 'chain', name: PAST_BRIDGE, hook, rules }, WHY);
}

const own = (field: Field, family: Family): Part => inSet([iifname, etherSaddr, field], addressSet(family));

/** Nearly every frame is decided by one lookup; what neighbours tell each other is looked at in full. */
function plainly(): NftRule[] {
  return [
    rule([etherType('ipv4'), own(saddr('ipv4'), 'ipv4'), accept]),
    rule([etherType('ipv6'), isNot(l4proto, 'ipv6-icmp'), own(saddr('ipv6'), 'ipv6'), accept]),
  ];
}

function boundSets(): FrameRow[] {
  return [
    set('nft-bridge', BOUND, ['ifname'], 'ports whose pod is known'),
    set('nft-bridge', MACS, ['ifname', 'ether_addr'], 'their MAC addresses'),
    set('nft-bridge', addressSet('ipv4'), ['ifname', 'ether_addr', 'ipv4_addr'], 'their addresses'),
    set('nft-bridge', addressSet('ipv6'), ['ifname', 'ether_addr', 'ipv6_addr'], 'their addresses'),
  ];
}

function frameRules(binds: boolean): NftRule[] {
  const known: Part = binds ? goTo(SOURCES) : goBack;
  const v6 = etherType('ipv6');
  const routers = (type: number) => rule([v6, icmpv6Types(type), counter, drop], 'for routers to say');
  return [
    rule([etherType('ipv4'), known]),
    rule([etherType('arp'), known]),
    routers(134),
    routers(137),
    rule([v6, known]),
    rule([counter, drop], 'VLAN tags and the like: policies do not look behind them'),
  ];
}

function sourceRules(): NftRule[] {
  const [v6, arp, nd] = [etherType('ipv6'), etherType('arp'), icmpv6Types(136)];
  return [
    rule([notInSet(iifname, BOUND), goBack], 'not known whose it is'),
    rule([notInSet([iifname, etherSaddr], MACS), counter, drop], "not its pod's MAC address"),
    rule([arp, own(arpSaddr, 'ipv4'), accept]),
    rule([arp, is(arpSaddr, '0.0.0.0'), accept], 'asks whether an address is free'),
    rule([v6, nd, own(ndTarget, 'ipv6'), accept]),
    rule([v6, nd, is(ndTarget, 'fe80::/16'), accept]),
    rule([v6, nd, counter, drop], "not its pod's address"),
    rule([v6, own(saddr('ipv6'), 'ipv6'), accept]),
    rule([v6, is(saddr('ipv6'), 'fe80::/10'), accept], 'neighbours only; policies see to the rest'),
    rule([v6, is(saddr('ipv6'), '::'), accept], 'asks whether an address is free'),
    rule([counter, drop], "not its pod's address"),
  ];
}

function chain(name: string, rules: readonly NftRule[], hook?: NftChain['hook']): FrameRow {
  return row('nft-bridge', nftChainKey(name), { kind: 'chain', name, hook, rules }, WHY);
}

function set(table: Table, name: string, key: readonly NftType[], comment: string): FrameRow {
  return row(table, nftSetKey(name), { kind: 'set', name, key, interval: false, comment }, WHY);
}

function element(
  table: Table,
  set: string,
  key: readonly string[],
  why: string,
  chain?: string,
  pod?: string,
): FrameRow {
  // A comment has at most 127 bytes.
  const comment = pod === undefined ? {} : { comment: pod.slice(0, 127) };
  const made = row(table, nftElementKey(set, key), { kind: 'element', set, key, ...comment }, why);
  return chain === undefined ? made : { ...made, needs: [{ target: table, key: nftChainKey(chain) }] };
}

function row(table: Table, key: string, body: NftBody, why: string): FrameRow {
  return { target: table, key, body, why };
}
