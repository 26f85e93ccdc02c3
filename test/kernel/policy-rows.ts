/** Policies of the node in policy-net.ts, rendered without a planner, and what the walker says of a packet there. */
import type { Config } from '../../src/model/cluster/config.ts';
import { cidr } from '../../src/model/net/cidr.ts';
import { FAMILIES, type Family } from '../../src/model/net/ip.ts';
import type { Row } from '../../src/model/rows/row.ts';
import type { PacketHook } from '../../src/plan/nft/walk/packet.ts';
import { type NftTableView, type Passage, walkPacket } from '../../src/plan/nft/walk/packets.ts';
import { blocksOf } from '../../src/plan/policy/compile/blocks.ts';
import type { BlockSet, CompiledPolicy, LocalPod, Selection, Tier } from '../../src/plan/policy/compiled.ts';
import {
  addressElement,
  addressSetRows,
  baseRows,
  blockSetRows,
  dispatchRows,
  policyRows,
  portElement,
  portSetRows,
  selectionRows,
  tierRows,
} from '../../src/plan/policy/render/render.ts';
import { CONFIG } from '../support/plan-worlds.ts';
import { ADDRESS, BRIDGE, LOCAL, type Party, PODS } from './policy-net.ts';

const ON_BRIDGE = { bridges: [BRIDGE], pairs: false };

const CLIENTS = { id: 'x: app=client', text: 'pods app=client of namespace x' };
const REMOTE = { id: '{team=far}:', text: 'all pods of namespaces team=far' };
const WEB = { id: 'web/TCP of x: app=web', text: 'port web/TCP of pods app=web of namespace x' };

const block = (prefix: string, ...except: string[]) => ({ cidr: cidr(prefix), except: except.map(cidr) });
const BLOCKS = blocksOf([
  block('192.0.2.0/28', '192.0.2.8/29'),
  block('198.51.100.7/32'),
  block('2001:db8::/125'),
]);

const allowWeb: CompiledPolicy = {
  tier: 'network-policy',
  name: 'x/allow-web',
  direction: 'ingress',
  audit: false,
  rules: [
    {
      action: 'accept',
      index: 0,
      name: '',
      peers: [{ kind: 'set', set: CLIENTS.id }],
      ports: [{ protocol: 'TCP', from: 8080, to: 8080 }],
    },
    {
      action: 'accept',
      index: 1,
      name: '',
      peers: [
        { kind: 'set', set: REMOTE.id },
        ...BLOCKS.map((blocks) => ({ kind: 'blocks', blocks }) as const),
      ],
      ports: [
        { protocol: 'TCP', from: 8080, to: 8081 },
        { protocol: 'UDP', from: 8000, to: 8080 },
        { protocol: 'UDP', from: 53, to: 53 },
      ],
    },
  ],
};
const denyAll: CompiledPolicy = {
  tier: 'network-policy',
  name: 'x/deny-all',
  direction: 'ingress',
  audit: false,
  rules: [],
};
const toWeb: CompiledPolicy = {
  tier: 'network-policy',
  name: 'x/to-web',
  direction: 'egress',
  audit: false,
  rules: [
    { action: 'accept', index: 0, name: '', peers: 'any', ports: [{ protocol: 'TCP', set: WEB.id }] },
    { action: 'accept', index: 1, name: '', peers: 'any', ports: [{ protocol: 'UDP' }] },
  ],
};
const noRemote: CompiledPolicy = {
  tier: 'admin',
  name: 'no-remote',
  direction: 'egress',
  audit: false,
  rules: [
    {
      action: 'pass',
      index: 0,
      name: 'tcp is for others to judge',
      peers: [{ kind: 'set', set: REMOTE.id }],
      ports: [{ protocol: 'TCP' }],
    },
    { action: 'deny', index: 1, name: '', peers: [{ kind: 'set', set: REMOTE.id }], ports: 'any' },
  ],
};
const nosy: CompiledPolicy = {
  tier: 'baseline',
  name: 'nosy',
  direction: 'egress',
  audit: true,
  rules: [{ action: 'deny', index: 0, name: 'tell', peers: 'any', ports: 'any' }],
};

const chosen = (direction: 'ingress' | 'egress', more: Partial<Selection>): Selection => ({
  direction,
  policies: [],
  defaultDeny: false,
  enforced: true,
  baseline: [],
  ...more,
});

/** `a` may send to web ports and by UDP and receives nothing; `b` serves; `c` is unknown, or known and free. */
export function policyTable(settings: Partial<Config['policy']>): readonly Row[] {
  const config = { ...CONFIG, policy: { ...CONFIG.policy, ...settings } };
  const podCidrs = [cidr('10.244.1.0/24'), cidr('fd00:244:1::/64')];
  const admin: Tier = { direction: 'egress', tier: 'admin', policies: ['no-remote'] };
  const aOut = chosen('egress', { policies: ['x/to-web'] });
  const aIn = chosen('ingress', { policies: ['x/deny-all'] });
  const bIn = chosen('ingress', { policies: ['x/allow-web', 'x/deny-all'] });
  const bOut = chosen('egress', { baseline: ['nosy'] });
  const judges = (ingress: Selection, egress: Selection) => ({
    ingress: { admin: undefined, selection: ingress },
    egress: { admin, selection: egress },
  });
  const addresses = (party: Party) => FAMILIES.map((family) => ADDRESS[party][family]);
  const pods: LocalPod[] = [
    { pod: 'x/a', ips: addresses('a'), ...judges(aIn, aOut) },
    { pod: 'x/b', ips: addresses('b'), ...judges(bIn, bOut) },
  ];
  const all = [
    ...baseRows({ config, podCidrs, addresses: [], pods: ON_BRIDGE, missing: {} }).rows,
    ...addressSetRows(CLIENTS),
    ...addresses('a').flatMap((ip) => addressElement(CLIENTS, ip, 'pod x/a')),
    ...addressSetRows(REMOTE),
    ...addresses('remote').flatMap((ip) => addressElement(REMOTE, ip, 'pod y/remote')),
    ...portSetRows(WEB),
    ...addresses('b').flatMap((ip) => portElement(WEB, ip, 'TCP', 8080, 'pod x/b')),
    ...severalOf(BLOCKS),
    ...[allowWeb, denyAll, toWeb].flatMap((policy) => policyRows(policy, config.policy)),
    ...[aIn, aOut, bIn, bOut].flatMap(selectionRows),
    ...tierRows('egress', 'admin', [noRemote], config.policy),
    ...tierRows('egress', 'baseline', [nosy], config.policy),
    ...pods.flatMap(dispatchRows),
  ];
  return all;
}

/** What strains nft's grammar and the kernel's sets: long names, odd comments, ranges that touch, whole ranges of ports. */
export function extremeTable(): readonly Row[] {
  const settings = { ...CONFIG.policy, denied: 'reject' } as const;
  const long = `${'n'.repeat(63)}/${'p.-'.repeat(84)}p`;
  const id = `{${'l'.repeat(63)}/k=${'v_'.repeat(31)}v}: a!=b,tier in (x,y),!old,z notin (p,q)`;
  const texts = [
    '0.0.0.0/5',
    '8.0.0.0/7',
    '11.0.0.0/8',
    '12.0.0.0/6',
    '16.0.0.0/4',
    '32.0.0.0/3',
    '64.0.0.0/2',
    '128.0.0.0/1',
    '::/1',
    '8000::/2',
    'c000::/3',
    'ff00::/8',
  ];
  const blocks = blocksOf(texts.map((text) => block(text)));
  const rules: CompiledPolicy['rules'] = [
    {
      action: 'accept',
      index: 0,
      name: 'a "quoted" \\ name\n\u202e',
      peers: [{ kind: 'set', set: id }, ...blocks.map((blocks) => ({ kind: 'blocks', blocks }) as const)],
      ports: [
        { protocol: 'SCTP' },
        { protocol: 'TCP', from: 1, to: 1023 },
        { protocol: 'TCP', from: 1024, to: 65_535 },
        { protocol: 'UDP', from: 53, to: 53 },
        { protocol: 'TCP', set: `${'w'.repeat(15)}/TCP of ${id}` },
      ],
    },
    {
      action: 'accept',
      index: 1,
      name: '',
      peers: blocksOf([block('0.0.0.0/0'), block('::/0')]).map(
        (blocks) => ({ kind: 'blocks', blocks }) as const,
      ),
      ports: 'any',
    },
  ];
  const base = { name: long, direction: 'egress', audit: false } as const;
  const admin: CompiledPolicy = {
    ...base,
    tier: 'admin',
    name: 'c'.repeat(253),
    rules: rules
      .flatMap((rule) => [rule, { ...rule, action: 'deny' }, { ...rule, action: 'pass' }] as const)
      .map((rule, index) => ({ ...rule, index })),
  };
  const tier: Tier = { direction: 'egress', tier: 'admin', policies: [admin.name] };
  const selection = chosen('egress', { policies: [long, `${long}2`] });
  const ports = { id: `${'w'.repeat(15)}/TCP of ${id}`, text: 'x'.repeat(300) };
  return [
    ...baseRows({
      config: { ...CONFIG, policy: settings },
      podCidrs: [cidr('10.244.1.0/24')],
      addresses: [],
      pods: ON_BRIDGE,
      missing: {},
    }).rows,
    ...addressSetRows({ id, text: id }),
    ...portSetRows(ports),
    ...severalOf(blocks),
    ...policyRows({ ...base, tier: 'network-policy', rules }, settings),
    ...policyRows({ ...base, tier: 'network-policy', name: `${long}2`, rules }, settings),
    ...tierRows('egress', 'admin', [admin], settings),
    ...selectionRows(selection),
    ...dispatchRows({
      pod: long,
      ips: [ADDRESS.a.ipv4],
      ingress: { admin: undefined, selection: undefined },
      egress: { admin: tier, selection },
    }),
  ];
}

const severalOf = (sets: readonly BlockSet[]): readonly Row[] =>
  sets.filter(({ prefixes }) => prefixes.length > 1).flatMap(blockSetRows);

const isPod = (party: Party): boolean => PODS.some((pod) => pod === party);

/** Which hook of this node a packet crosses. */
export function hookOf(from: Party, to: Party): PacketHook {
  if (from === 'node') return 'output';
  return to === 'node' ? 'input' : 'forward';
}

export function walk(
  table: NftTableView,
  from: Party,
  to: Party,
  family: Family,
  protocol: 'tcp' | 'udp' | 'icmp',
  dport: number,
): Passage {
  return walkPacket(table, {
    hook: hookOf(from, to),
    from: ADDRESS[from][family],
    to: ADDRESS[to][family],
    protocol: protocol === 'icmp' && family === 'ipv6' ? 'icmpv6' : protocol,
    ...(protocol !== 'icmp' && { dport }),
    local: LOCAL,
    iif: isPod(from) ? 'fairlead0' : 'eth0',
    oif: isPod(to) ? 'fairlead0' : 'eth0',
  });
}
