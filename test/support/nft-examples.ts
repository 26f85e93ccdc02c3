/**
 * Rules as one writes them for `nft`, and as we build them. `nft-examples.json` holds what nft 1.0.6 makes of each text;
 * test/kernel/nft-golden.test.ts asks the nft of this machine again.
 */
import type { NftSet } from '../../src/model/rows/nft.ts';
import {
  ctAddress,
  ctMark,
  ctPort,
  daddr,
  dport,
  etherSaddr,
  iifname,
  l4proto,
  metaMark,
  nfproto,
  oifname,
  saddr,
  sport,
} from '../../src/plan/nft/field.ts';
import {
  ctDirection,
  ctState,
  ctStatus,
  fibType,
  inSet,
  is,
  isNot,
  markBits,
  notInSet,
  tcpFlags,
  vmap,
} from '../../src/plan/nft/match.ts';
import { has, type Part } from '../../src/plan/nft/rule.ts';
import {
  accept,
  addMark,
  clampMss,
  counter,
  dnat,
  drop,
  goBack,
  goTo,
  jump,
  limit,
  log,
  masquerade,
  notrack,
  reject,
  rejectProhibited,
  rejectReset,
  saveMark,
  setMark,
  snat,
} from '../../src/plan/nft/statement.ts';

/** What the rules refer to. */
export const EXAMPLE_SETS: readonly NftSet[] = [
  { kind: 'set', name: 'pods', key: ['ipv4_addr'], interval: false },
  { kind: 'set', name: 'nets', key: ['ipv4_addr'], interval: true },
  { kind: 'set', name: 'nets6', key: ['ipv6_addr'], interval: true },
  { kind: 'set', name: 'ports', key: ['ipv4_addr', 'inet_proto', 'inet_service'], interval: false },
  { kind: 'set', name: 'ranges', key: ['ipv4_addr', 'inet_service'], interval: true },
  { kind: 'set', name: 'links', key: ['ifname', 'ipv6_addr'], interval: false },
  { kind: 'set', name: 'macs', key: ['ether_addr'], interval: false },
  { kind: 'set', name: 'byPod', key: ['ipv4_addr'], value: 'verdict', interval: false },
  {
    kind: 'set',
    name: 'services',
    key: ['ipv6_addr', 'inet_proto', 'inet_service'],
    value: 'verdict',
    interval: false,
  },
];

/** A chain that the rules jump to. */
export const EXAMPLE_CHAIN = 'other';

export const EXAMPLES: readonly (readonly [nft: string, parts: readonly Part[]])[] = [
  ['accept', [accept]],
  ['counter drop', [counter, drop]],
  ['return', [goBack]],
  ['jump other', [jump('other')]],
  ['goto other', [goTo('other')]],
  ['ip saddr 10.0.0.1 accept', [is(saddr('ipv4'), '10.0.0.1'), accept]],
  ['ip saddr != 10.0.0.0/8 accept', [isNot(saddr('ipv4'), '10.0.0.0/8'), accept]],
  ['ip daddr 10.1.2.0/23 accept', [is(daddr('ipv4'), '10.1.2.0/23'), accept]],
  ['ip daddr 10.1.2.3-10.1.2.9 accept', [is(daddr('ipv4'), '10.1.2.3-10.1.2.9'), accept]],
  ['ip daddr != 10.1.2.3-10.1.2.9 accept', [isNot(daddr('ipv4'), '10.1.2.3-10.1.2.9'), accept]],
  ['ip6 saddr fd00:1::/64 accept', [is(saddr('ipv6'), 'fd00:1::/64'), accept]],
  ['ip6 saddr fe80::/10 accept', [is(saddr('ipv6'), 'fe80::/10'), accept]],
  ['ip6 daddr fd00::1 drop', [is(daddr('ipv6'), 'fd00::1'), drop]],
  [
    'ip saddr 10.0.0.0/24 ip daddr 10.0.1.0/24 tcp dport 443 accept',
    [is(saddr('ipv4'), '10.0.0.0/24'), is(daddr('ipv4'), '10.0.1.0/24'), is(dport('tcp'), '443'), accept],
  ],
  [
    'udp sport 53 udp dport 1024-65535 accept',
    [is(sport('udp'), '53'), is(dport('udp'), '1024-65535'), accept],
  ],
  ['meta l4proto tcp accept', [has('tcp'), accept]],
  ['meta l4proto sctp sctp dport 7 accept', [has('sctp'), is(dport('sctp'), '7'), accept]],
  ['meta l4proto icmp accept', [is(l4proto, 'icmp'), accept]],
  ['meta nfproto ipv6 accept', [is(nfproto, 'ipv6'), accept]],
  ['iifname "eth0" accept', [is(iifname, 'eth0'), accept]],
  ['iifname "fl-*" accept', [is(iifname, 'fl-*'), accept]],
  ['oifname != "fairlead0" accept', [isNot(oifname, 'fairlead0'), accept]],
  ['oifname != "veth*" accept', [isNot(oifname, 'veth*'), accept]],
  ['meta mark 0x00004000 accept', [is(metaMark, '0x00004000'), accept]],
  ['meta mark & 0x00004000 == 0x00004000 accept', [markBits(0x4000, 0x4000), accept]],
  ['ct mark 0x00000001 accept', [is(ctMark, '0x00000001'), accept]],
  ['meta mark set 0x00004000', [setMark(0x4000)]],
  ['meta mark set meta mark | 0x00004000', [addMark(0x4000)]],
  ['ct mark set meta mark', [saveMark]],
  ['ct state established,related accept', [ctState('established', 'related'), accept]],
  ['ct state invalid drop', [ctState('invalid'), drop]],
  ['ct status dnat accept', [ctStatus('dnat'), accept]],
  ['ct direction reply accept', [ctDirection('reply'), accept]],
  ['ct original ip daddr 10.96.0.1 accept', [is(ctAddress('original', 'dst', 'ipv4'), '10.96.0.1'), accept]],
  [
    'ct reply ip6 saddr fd00::5 meta l4proto tcp ct original proto-dst 80 accept',
    [
      is(ctAddress('reply', 'src', 'ipv6'), 'fd00::5'),
      has('tcp'),
      is(ctPort('original', 'dst'), '80'),
      accept,
    ],
  ],
  ['fib daddr type local accept', [fibType('daddr', 'local'), accept]],
  ['fib saddr type != unicast drop', [fibType('saddr', 'unicast', 'neq'), drop]],
  ['ip daddr @pods accept', [inSet(daddr('ipv4'), 'pods'), accept]],
  [
    'ip saddr @nets ip daddr != @nets masquerade',
    [inSet(saddr('ipv4'), 'nets'), notInSet(daddr('ipv4'), 'nets'), masquerade()],
  ],
  ['ip6 daddr != @nets6 accept', [notInSet(daddr('ipv6'), 'nets6'), accept]],
  [
    'ip daddr . meta l4proto . th dport @ports accept',
    [inSet([daddr('ipv4'), l4proto, dport('th')], 'ports'), accept],
  ],
  ['ip daddr . th dport @ranges accept', [inSet([daddr('ipv4'), dport('th')], 'ranges'), accept]],
  ['oifname . ip6 saddr @links accept', [inSet([oifname, saddr('ipv6')], 'links'), accept]],
  ['ip saddr vmap @byPod', [vmap(saddr('ipv4'), 'byPod')]],
  [
    'ip6 daddr . meta l4proto . th dport vmap @services',
    [vmap([daddr('ipv6'), l4proto, dport('th')], 'services')],
  ],
  [
    'iiftype ether ether saddr @macs accept',
    [
      {
        exprs: [
          { expr: 'meta', key: 'iiftype', dreg: 8 },
          { expr: 'cmp', op: 'eq', sreg: 8, data: '0100' },
        ],
      },
      inSet(etherSaddr, 'macs'),
      accept,
    ],
  ],
  [
    'tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu',
    [tcpFlags(['syn'], ['syn', 'rst']), clampMss],
  ],
  ['log group 100', [log(100)]],
  ['log prefix "dropped: " group 100', [log(100, 'dropped: ')]],
  ['limit rate 10/minute burst 5 packets log group 100', [limit(10, 'minute'), log(100)]],
  ['masquerade', [masquerade()]],
  ['masquerade fully-random', [masquerade('fully-random')]],
  ['snat ip to 192.0.2.1', [snat('ipv4', '192.0.2.1')]],
  ['snat ip6 to 2001:db8::1', [snat('ipv6', '2001:db8::1')]],
  ['dnat ip to 10.0.0.1', [dnat('ipv4', '10.0.0.1')]],
  ['meta l4proto tcp dnat ip to 10.0.0.1:8080', [has('tcp'), dnat('ipv4', '10.0.0.1', 8080)]],
  ['meta l4proto udp dnat ip6 to [fd00::1]:53', [has('udp'), dnat('ipv6', 'fd00::1', 53)]],
  ['reject', [reject]],
  ['reject with icmpx admin-prohibited', [rejectProhibited]],
  ['meta l4proto tcp reject with tcp reset', [rejectReset]],
  ['notrack', [notrack]],
];
