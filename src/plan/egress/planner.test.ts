import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CONFIG,
  type Content,
  eth0,
  link,
  node,
  type Planned,
  PREDECESSOR,
  plan,
  rowsOf,
} from '../../../test/support/plan-worlds.ts';
import type { BridgePort, HostLink } from '../../model/cluster/host.ts';
import { cidr } from '../../model/net/cidr.ts';
import { ip } from '../../model/net/ip.ts';
import { egressPlanner } from './planner.ts';

const planners = [egressPlanner];
const n1 = node(1);

/** Elements by set, sorted. */
function sets(planned: Planned): Record<string, string[]> {
  const all: Record<string, string[]> = {};
  for (const { body } of rowsOf(planned, 'nft')) {
    if (body.kind === 'set') all[body.name] ??= [];
    if (body.kind === 'element') all[body.set] = [...(all[body.set] ?? []), ...body.key].sort();
  }
  return all;
}

function chain(planned: Planned, name: string) {
  return rowsOf(planned, 'nft').find((row) => row.key === `chain ${name}`)?.body;
}

test('sets hold the pods and addresses of all nodes, both families', () => {
  const n2 = node(2, { externalAddresses: [ip('203.0.113.2')] });
  const exclude = ['192.0.2.0/24', '192.0.2.0/25', '198.51.100.7/32', '2001:db8:f::/48'].map(cidr);
  const planned = plan(planners, { config: { masquerade: { enabled: true, exclude } }, nodes: [n1, n2] });
  assert.deepEqual(sets(planned), {
    'pod-cidrs-v4-24': ['10.244.1.0', '10.244.2.0'],
    'pod-cidrs-v6-64': ['fd00:244:1::', 'fd00:244:2::'],
    'node-ips-v4': ['10.0.0.1', '10.0.0.2', '203.0.113.2'],
    'node-ips-v6': ['2001:db8::1', '2001:db8::2'],
    'no-masquerade-v4': ['192.0.2.0/24', '198.51.100.7'],
    'no-masquerade-v6': ['2001:db8:f::/48'],
  });
});

test('each prefix length has its set and its rule, and prefixes that meet do no harm, whatever Nodes claim', () => {
  const inside = node(2, { podCidrs: [cidr('10.244.1.0/25'), cidr('10.9.9.9/32')] });
  const twice = node(3, { podCidrs: [...n1.podCidrs] });
  const planned = plan(planners, { nodes: [n1, inside, twice] });
  const pods = Object.entries(sets(planned)).filter(([name]) => name.startsWith('pod-cidrs'));
  assert.deepEqual(Object.fromEntries(pods), {
    'pod-cidrs-v4-24': ['10.244.1.0'],
    'pod-cidrs-v4-25': ['10.244.1.0'],
    'pod-cidrs-v4-32': ['10.9.9.9'],
    'pod-cidrs-v6-64': ['fd00:244:1::'],
  });
  const body = chain(planned, 'masquerade-pods');
  assert.ok(body?.kind === 'chain');
  const rules = body.rules.filter((rule) => rule.comment === 'pod to pod keeps its source');
  const tests = rules.map(({ exprs }) =>
    exprs.map((e) => ('mask' in e ? e.mask : 'set' in e ? e.set : '')).filter(Boolean),
  );
  assert.deepEqual(tests, [
    ['ffffff00', 'pod-cidrs-v4-24'],
    ['ffffff80', 'pod-cidrs-v4-25'],
    ['pod-cidrs-v4-32'],
    [`${'ff'.repeat(8)}${'00'.repeat(8)}`, 'pod-cidrs-v6-64'],
  ]);
});

test('only packets of our own pods are looked at, and the last rule masquerades', () => {
  const planned = plan(planners, { nodes: [n1, node(2)] });
  const entry = chain(planned, 'from-pods');
  assert.ok(entry?.kind === 'chain');
  assert.deepEqual(entry.hook, { type: 'nat', hook: 'postrouting', priority: 100, policy: 'accept' });
  assert.deepEqual(entry.rules[0]?.exprs, [
    { expr: 'meta', key: 'nfproto', dreg: 8 },
    { expr: 'cmp', op: 'eq', sreg: 8, data: '02' },
    { expr: 'payload', base: 'network', offset: 12, length: 3, dreg: 8 },
    { expr: 'cmp', op: 'eq', sreg: 8, data: '0af401' },
    { expr: 'verdict', verdict: { verdict: 'jump', chain: 'masquerade-pods' } },
  ]);
  assert.equal(entry.rules.length, 2);
  const pods = chain(planned, 'masquerade-pods');
  assert.ok(pods?.kind === 'chain');
  assert.deepEqual(
    pods.rules.map((rule) => rule.comment),
    ['ipv4', 'ipv6']
      .flatMap(() => [
        'pod to pod keeps its source',
        'pod to node keeps its source',
        'setting masquerade.exclude',
        'stays on the link',
        'stays on the link',
      ])
      .concat('to the outside'),
  );
  assert.deepEqual(pods.rules.at(-1)?.exprs, [{ expr: 'masquerade', flags: 16 }]);
});

test('one family of pods, one family of sets', () => {
  const four = plan(planners, { nodes: [node(1, { podCidrs: [cidr('10.244.1.0/24')] }), node(2)] });
  assert.deepEqual(Object.keys(sets(four)).sort(), ['no-masquerade-v4', 'node-ips-v4', 'pod-cidrs-v4-24']);
});

/** A link of a node whose pods have 1500. */
const narrow = link('wg0', ['10.7.0.1/24'], { index: 9, mtu: 1420 });
const LAYER2 = { transport: 'layer2', masquerade: { enabled: false, exclude: [] } } as const;

test('the clamp is its own setting, and has a base chain of its own', () => {
  const clamp = (clampMss: boolean, name: string) => {
    const links = [eth0(n1), narrow];
    return chain(plan(planners, { config: { ...LAYER2, clampMss }, nodes: [n1], links }), name);
  };
  assert.equal(clamp(false, 'clamp-mss'), undefined);
  assert.equal(clamp(false, 'clamp-mss-of-pods'), undefined);
  const entry = clamp(true, 'clamp-mss');
  assert.ok(entry?.kind === 'chain');
  assert.equal(entry.hook?.priority, -150);
  assert.deepEqual(entry.rules.length, 1);
  const body = clamp(true, 'clamp-mss-of-pods');
  assert.ok(body?.kind === 'chain');
  assert.equal(body.rules.length, 4);
  assert.deepEqual(body.rules[0]?.exprs.slice(-3), [
    { expr: 'rt', key: 'tcpmss', dreg: 8 },
    { expr: 'byteorder', sreg: 8, dreg: 8, op: 'hton', length: 2, size: 2 },
    { expr: 'exthdr-set', op: 'tcpopt', type: 2, offset: 2, length: 2, sreg: 8 },
  ]);
});

test('the MSS is clamped where a pod may send more than a link carries, and only there', () => {
  const tunnel = link('fl-vxlan', [], { index: 5, kind: 'vxlan', mtu: 1450 });
  const port = (bridge: string, mtu: number) => ({ name: 'veth1', bridge, mtu });
  const single = (name: string, mtu: number) => link(name, [], { index: 7, kind: 'veth', mtu });
  const clamps = (
    transport: 'layer2' | 'auto',
    links: readonly HostLink[],
    ports: readonly BridgePort[] = [],
    more: Content = {},
  ) => {
    const config = { ...LAYER2, transport, ...more.config };
    return (
      chain(
        plan(planners, { nodes: [n1], ...more, config, links: [eth0(n1), ...links], ports }),
        'clamp-mss',
      ) !== undefined
    );
  };
  const ptp = { config: { cni: { ...CONFIG.cni, plugin: 'ptp' } } } as const;
  for (const [why, expected, is] of [
    ['pods of 1500 on links of 1500', false, clamps('layer2', [])],
    ['what pods become at once fits the tunnel', false, clamps('auto', [tunnel])],
    ['and so do those that are there', false, clamps('auto', [tunnel], [port('fairlead0', 1450)])],
    ['a narrow link of somebody else', true, clamps('layer2', [narrow])],
    ['one that is down', false, clamps('layer2', [{ ...narrow, up: false }])],
    ['older pods, of the time before the tunnel', true, clamps('auto', [tunnel], [port('fairlead0', 1500)])],
    ['the tunnel of others', true, clamps('layer2', [tunnel], [port('fairlead0', 1500)])],
    ['containers that are no pods', false, clamps('auto', [tunnel], [port('docker0', 1500)])],
    [
      'pods on the bridge of a predecessor',
      true,
      clamps('auto', [tunnel], [port('kube-bridge', 1500)], { cni: [PREDECESSOR] }),
    ],
    ['pods without a bridge', true, clamps('auto', [tunnel, single('veth7', 1500)], [], ptp)],
    ['which fit', false, clamps('auto', [tunnel, single('veth7', 1450)], [], ptp)],
    ['single veths that are no pods', false, clamps('auto', [tunnel, single('veth7', 1500)])],
    ['podMtu as it cannot be', true, clamps('auto', [tunnel], [], { config: { podMtu: 1500 } })],
    ['pods of others', true, clamps('layer2', [], [], { config: { cni: { ...CONFIG.cni, write: false } } })],
  ] as const)
    assert.equal(is, expected, why);
});

test('nothing without a pod CIDR of our own; a kernel without nftables is told', () => {
  assert.deepEqual(plan(planners, { nodes: [node(1, { podCidrs: [] }), node(2)] }).rows, []);
  const planned = plan(planners, { nodes: [n1], missing: { nftables: 'the kernel has no nf_tables' } });
  assert.deepEqual(planned.rows, []);
  assert.match(planned.problems.join(), /the kernel has no nf_tables/);
});
