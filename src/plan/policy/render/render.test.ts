import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONFIG } from '../../../../test/support/plan-worlds.ts';
import { fc, runs } from '../../../../test/support/property.ts';
import type { Direction, PolicyProtocol } from '../../../model/cluster/policy.ts';
import { cidr, contains } from '../../../model/net/cidr.ts';
import type { Ip } from '../../../model/net/ip.ts';
import type { Row } from '../../../model/rows/row.ts';
import type { Packet } from '../../nft/walk/packet.ts';
import { tableView, walkPacket } from '../../nft/walk/packets.ts';
import { blocksOf } from '../compile/blocks.ts';
import type {
  CompiledPeer,
  CompiledPolicy,
  CompiledPort,
  CompiledRule,
  Judges,
  Selection,
} from '../compiled.ts';
import { disjoint } from './ports.ts';
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
} from './render.ts';
import { comment, logPrefix } from './words.ts';

const settings = CONFIG.policy;
const PODS = { bridges: ['fairlead0'], pairs: false };
const OURS = ['10.244.1.2', 'fd00:244:1::2'] as Ip[];
const OTHERS = ['10.0.0.1', '10.0.0.2', '10.9.0.1', 'fd00::1', 'fd00::2', 'fd00:9::1'] as Ip[];
const ADDRESSES: Readonly<Record<string, readonly Ip[]>> = {
  'x: app=a': ['10.0.0.1', 'fd00::1'] as Ip[],
  'x:': ['10.0.0.1', '10.0.0.2', 'fd00::2'] as Ip[],
  'nodes{}': ['10.9.0.1', 'fd00:9::1'] as Ip[],
};
/** Who has a port of which number: pods on both ends, so that the set serves both directions. */
const PORTS: Readonly<Record<string, readonly (readonly [Ip, PolicyProtocol, number])[]>> = {
  'web/TCP here': [...OURS, '10.0.0.1' as Ip, 'fd00::2' as Ip].map((ip) => [ip, 'TCP', 80] as const),
  'dns/UDP here': [...OURS, '10.0.0.2' as Ip].map((ip) => [ip, 'UDP', 53] as const),
};
const PREFIXES = ['10.0.0.2/32', '10.8.0.0/15', 'fd00::/124', 'fd00:9::/32', '192.0.2.0/24'].map(cidr);

interface Case {
  readonly direction: Direction;
  readonly admin: readonly CompiledPolicy[];
  readonly policies: readonly CompiledPolicy[];
  readonly baseline: readonly CompiledPolicy[];
  readonly enforced: boolean;
}

/** The tables' words, evaluated one by one, without any of what rendering makes of them. */
function judge(
  one: Case,
  far: Ip,
  near: Ip,
  protocol: PolicyProtocol | undefined,
  port: number,
): 'accepted' | 'dropped' {
  const target = one.direction === 'ingress' ? near : far;
  const hits = (rule: CompiledRule) => {
    const peer =
      rule.peers === 'any' ||
      rule.peers.some((each) =>
        each.kind === 'set'
          ? ADDRESSES[each.set]?.includes(far)
          : each.blocks.prefixes.some((prefix) => contains(prefix, far)),
      );
    const match = (each: CompiledPort) =>
      'set' in each
        ? PORTS[each.set]?.some(([ip, p, n]) => ip === target && p === protocol && n === port)
        : each.protocol === protocol && (!('from' in each) || (port >= each.from && port <= each.to));
    return peer && (rule.ports === 'any' || rule.ports.some(match));
  };
  const tier = (policies: readonly CompiledPolicy[]) => {
    for (const policy of policies) {
      const rule = policy.rules.find((each) => hits(each) && !(policy.audit && each.action === 'deny'));
      if (rule) return rule.action;
    }
    return 'pass';
  };
  const first = tier(one.admin);
  if (first !== 'pass') return first === 'accept' ? 'accepted' : 'dropped';
  if (one.policies.length > 0) {
    const allowed = one.policies.some((policy) => policy.rules.some(hits));
    return allowed || !one.enforced ? 'accepted' : 'dropped';
  }
  return tier(one.baseline) === 'deny' ? 'dropped' : 'accepted';
}

const peers: fc.Arbitrary<CompiledRule['peers']> = fc.oneof(
  fc.constant('any' as const),
  fc
    .tuple(fc.subarray(Object.keys(ADDRESSES)), fc.subarray(PREFIXES))
    .map(([sets, prefixes]) => [
      ...sets.map((set): CompiledPeer => ({ kind: 'set', set })),
      ...blocksOf(prefixes.map((cidr) => ({ cidr, except: [] }))).map(
        (blocks): CompiledPeer => ({ kind: 'blocks', blocks }),
      ),
    ]),
);
const protocol = fc.constantFrom<PolicyProtocol>('TCP', 'UDP', 'SCTP');
const NUMBERS = [53, 79, 80, 81, 90, 8080];
const port: fc.Arbitrary<CompiledPort> = fc.oneof(
  protocol.map((protocol) => ({ protocol })),
  fc.tuple(protocol, fc.constantFrom(...NUMBERS), fc.nat(20)).map(([protocol, from, more]) => ({
    protocol,
    from,
    to: from + (more > 10 ? more : 0),
  })),
  fc
    .constantFrom(...Object.keys(PORTS))
    .map((set): CompiledPort => ({ protocol: set.includes('TCP') ? 'TCP' : 'UDP', set })),
);
const ports = fc.oneof(fc.constant('any' as const), fc.array(port, { maxLength: 6 }));
const rules = (...actions: CompiledRule['action'][]) =>
  fc
    .array(fc.record({ action: fc.constantFrom(...actions), peers, ports, repeated: fc.boolean() }), {
      maxLength: 4,
    })
    .map((all) =>
      all.map(({ repeated, ...rest }, i): CompiledRule => ({ ...rest, name: '', index: repeated ? 0 : i })),
    );
const policies = (tier: CompiledPolicy['tier'], direction: Direction, ...actions: CompiledRule['action'][]) =>
  fc.array(fc.record({ rules: rules(...actions), audit: fc.boolean() }), { maxLength: 3 }).map((all) =>
    all.map(
      ({ rules, audit }, i): CompiledPolicy => ({
        tier,
        name: tier === 'network-policy' ? `x/p${i}` : `${tier}-${i}`,
        direction,
        audit,
        // Names of denial chains are those of rules: in one policy, one of each.
        rules: tier === 'network-policy' ? rules : rules.map((rule, index) => ({ ...rule, index })),
      }),
    ),
  );
const cases: fc.Arbitrary<Case> = fc.constantFrom<Direction>('ingress', 'egress').chain((direction) =>
  fc.record({
    direction: fc.constant(direction),
    admin: policies('admin', direction, 'accept', 'deny', 'pass'),
    policies: policies('network-policy', direction, 'accept'),
    baseline: policies('baseline', direction, 'accept', 'deny'),
    enforced: fc.boolean(),
  }),
);

function rowsFor(one: Case): readonly Row[] {
  const { direction, enforced } = one;
  const names = (all: readonly CompiledPolicy[]) => all.map(({ name }) => name);
  const selection: Selection = {
    direction,
    policies: names(one.policies),
    defaultDeny: false,
    enforced: enforced || one.policies.length === 0,
    baseline: one.policies.length > 0 ? [] : names(one.baseline),
  };
  const decides = one.policies.length > 0 || one.baseline.length > 0;
  const judges: Judges = {
    admin: one.admin.length > 0 ? { tier: 'admin', direction, policies: names(one.admin) } : undefined,
    selection: decides ? selection : undefined,
  };
  const none: Judges = { admin: undefined, selection: undefined };
  const pod = { pod: 'x/a', ips: OURS, ingress: none, egress: none, [direction]: judges };
  return [
    ...baseRows({ config: CONFIG, podCidrs: [], addresses: [], pods: PODS, missing: {} }).rows,
    ...Object.entries(ADDRESSES).flatMap(([id, ips]) => [
      ...addressSetRows({ id, text: id }),
      ...ips.flatMap((ip) => addressElement({ id, text: id }, ip, id)),
    ]),
    ...Object.entries(PORTS).flatMap(([id, who]) => [
      ...portSetRows({ id, text: id }),
      ...who.flatMap(([ip, protocol, port]) => portElement({ id, text: id }, ip, protocol, port, id)),
    ]),
    ...blockSetsOf([...one.admin, ...one.policies, ...one.baseline]),
    ...one.policies.flatMap((policy) => policyRows(policy, settings)),
    ...(one.admin.length > 0 ? tierRows(direction, 'admin', one.admin, settings) : []),
    ...(selection.baseline.length > 0 ? tierRows(direction, 'baseline', one.baseline, settings) : []),
    ...(decides ? selectionRows(selection) : []),
    ...dispatchRows(pod),
  ];
}

function blockSetsOf(policies: readonly CompiledPolicy[]): readonly Row[] {
  const peers = policies.flatMap(({ rules }) => rules.flatMap(({ peers }) => (peers === 'any' ? [] : peers)));
  const sets = new Map(
    peers.flatMap((peer) => (peer.kind === 'blocks' ? [[peer.blocks.id, peer.blocks]] : [])),
  );
  return [...sets.values()].filter(({ prefixes }) => prefixes.length > 1).flatMap(blockSetRows);
}

test('rules say what the policies say, for every peer, protocol and port', () => {
  fc.assert(
    fc.property(cases, (one) => {
      const rows = rowsFor(one);
      const keys = rows.map(({ key }) => key);
      assert.equal(new Set(keys).size, keys.length, 'no row twice');
      const table = tableView(rows);
      for (const far of OTHERS) {
        const near = OURS.find((ip) => ip.includes(':') === far.includes(':')) ?? far;
        for (const protocol of ['TCP', 'UDP', 'SCTP', undefined] as const) {
          for (const dport of protocol ? NUMBERS : [0]) {
            const [from, to] = one.direction === 'ingress' ? [far, near] : [near, far];
            const lower = { TCP: 'tcp', UDP: 'udp', SCTP: 'sctp' } as const;
            const packet: Packet = {
              hook: 'forward',
              from,
              to,
              protocol: protocol ? lower[protocol] : 47,
              dport,
            };
            const { verdict, by } = walkPacket(table, packet);
            assert.equal(
              verdict,
              judge(one, far, near, protocol, dport),
              `${from} ${to} ${protocol} ${dport}: ${by}`,
            );
          }
        }
      }
    }),
    { numRuns: runs(150) },
  );
});

const policy = (
  rules: readonly Partial<CompiledRule>[],
  more: Partial<CompiledPolicy> = {},
): CompiledPolicy => ({
  tier: 'network-policy',
  name: 'x/a',
  direction: 'ingress',
  audit: false,
  rules: rules.map((rule, index) => ({
    action: 'accept',
    index,
    name: '',
    peers: 'any',
    ports: 'any',
    ...rule,
  })),
  ...more,
});
const rulesIn = (rows: readonly Row[]): number =>
  rows.reduce((n, { body }) => n + ('kind' in body && body.kind === 'chain' ? body.rules.length : 0), 0);

test('many peers and many ports are sums and not products', () => {
  const many = Array.from({ length: 25 }, (_, i): CompiledPeer => ({ kind: 'set', set: `n${i}:` }));
  const numbers = Array.from(
    { length: 100 },
    (_, i) => ({ protocol: 'TCP', from: 10 * i, to: 10 * i + 5 }) as const,
  );
  const blocks = blocksOf(
    Array.from({ length: 200 }, (_, i) => ({ cidr: cidr(`10.${i}.0.0/24`), except: [] })),
  );
  const rows = policyRows(
    policy([
      { peers: [...many, ...blocks.map((blocks) => ({ kind: 'blocks', blocks }) as const)], ports: numbers },
    ]),
    settings,
  );
  assert.equal(rulesIn(rows), 2 * 25 + 1);
  const named = policy([{ peers: many, ports: [{ protocol: 'TCP', set: 'web/TCP here' }] }]);
  assert.equal(rulesIn(policyRows(named, settings)), 2 * 25, 'families are not mixed');
});

test('a rule without peers or ports allows nothing and leaves nothing behind', () => {
  for (const rule of [{ peers: [] }, { ports: [] }]) {
    const rows = policyRows(policy([rule]), settings);
    assert.equal(rows.length, 1);
    assert.equal(rulesIn(rows), 0);
  }
});

test('ports are merged where they overlap, and only there', () => {
  const merged = disjoint([
    { protocol: 'TCP', from: 80, to: 90 },
    { protocol: 'TCP', from: 85, to: 100 },
    { protocol: 'TCP', from: 101, to: 101 },
    { protocol: 'TCP', from: 82, to: 83 },
    { protocol: 'UDP', from: 85, to: 85 },
    { protocol: 'SCTP' },
    { protocol: 'SCTP', from: 7, to: 7 },
  ]);
  assert.deepEqual(merged, [
    { protocol: 'SCTP', from: 0, to: 65535 },
    { protocol: 'TCP', from: 80, to: 100 },
    { protocol: 'TCP', from: 101, to: 101 },
    { protocol: 'UDP', from: 85, to: 85 },
  ]);
});

test('words for people are ones that nft and the log take', () => {
  assert.equal(comment('a "quoted"\n\u202e\\ name'), 'a ?quoted???? name');
  assert.equal(comment('x'.repeat(500)).length, 127);
  assert.equal(logPrefix('deny', 'egress', 'admin/no-telnet/2'), 'fairlead deny egress admin/no-telnet/2');
  assert.equal(logPrefix('audit', 'ingress', `admin/${'n'.repeat(200)}/2`), 'fairlead audit ingress');
});
