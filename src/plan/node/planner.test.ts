import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Content, eth0, facts, node, plan, rowsOf } from '../../../test/support/plan-worlds.ts';
import { cidr } from '../../model/net/cidr.ts';
import { egressPlanner } from '../egress/planner.ts';
import { transportsPlanner } from '../transports/planner.ts';
import { nodePlanner } from './planner.ts';

const planners = [transportsPlanner, egressPlanner, nodePlanner];
const n1 = node(1);
const FILE = '/etc/cni/net.d/05-fairlead.conflist';

function conflist(content: Content): Record<string, unknown> {
  const [file] = rowsOf(plan(planners, content), 'file');
  assert.equal(file?.key, FILE);
  return JSON.parse(file?.body.content ?? '') as Record<string, unknown>;
}

test('the conflist of a dual stack node', () => {
  assert.deepEqual(conflist({ nodes: [n1, node(2)] }), {
    cniVersion: '1.0.0',
    name: 'fairlead',
    plugins: [
      {
        type: 'bridge',
        bridge: 'fairlead0',
        isGateway: true,
        hairpinMode: true,
        mtu: 1450,
        ipMasq: false,
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet: '10.244.1.0/24' }], [{ subnet: 'fd00:244:1::/64' }]],
          routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
        },
      },
      { type: 'portmap', snat: true, capabilities: { portMappings: true } },
    ],
  });
});

test('ptp, one family, layer2, a fixed MTU, no portmap', () => {
  const own = node(1, { podCidrs: [cidr('fd00:244:1::/64')] });
  const { cni } = { cni: { write: true, dir: '/etc/cni/net.d/', file: '05-fairlead.conflist' } };
  const config = {
    transport: 'layer2' as const,
    podMtu: 1400,
    cni: { ...cni, plugin: 'ptp' as const, bridge: 'fairlead0', hairpin: true, portmap: false },
  };
  const { plugins } = conflist({ config, nodes: [own] });
  const ipam = { type: 'host-local', ranges: [[{ subnet: 'fd00:244:1::/64' }]], routes: [{ dst: '::/0' }] };
  assert.deepEqual(plugins, [{ type: 'ptp', mtu: 1400, ipMasq: false, ipam }]);
});

test('kube-router and kopeio are taken over with bridge and network name, others are not', () => {
  const cni = [
    { path: '/etc/cni/net.d/87-podman.conflist', name: 'podman', bridge: 'cni-podman0', software: undefined },
    {
      path: '/etc/cni/net.d/10-kuberouter.conflist',
      name: 'mynet',
      bridge: 'kube-bridge',
      software: 'kube-router',
    },
  ];
  const taken = conflist({ nodes: [n1], cni }) as { name: string; plugins: { bridge?: string }[] };
  assert.deepEqual([taken.name, taken.plugins[0]?.bridge], ['mynet', 'kube-bridge']);
  const other = conflist({ nodes: [n1], cni: cni.slice(0, 1) });
  assert.equal(other.name, 'fairlead');
});

test('the conflist waits for devices, forwarding and masquerade, and the condition for the conflist too', () => {
  const planned = plan(planners, { config: { transport: 'vxlan' }, nodes: [n1, node(2)] });
  const present = new Set(planned.rows.map((row) => `${row.target} ${row.key}`));
  const needs = (rows: readonly { needs?: readonly { target: string; key: string }[] }[]) =>
    rows[0]?.needs?.map(({ target, key }) => `${target} ${key}`) ?? [];
  const file = needs(rowsOf(planned, 'file'));
  assert.deepEqual(file, [
    'sysctl net/ipv4/ip_forward',
    'sysctl net/ipv6/conf/all/forwarding',
    'link fl-vxlan',
    'address fl-vxlan 10.244.1.0/32',
    'address fl-vxlan fe80::d4:1eff:fec0:bb92/64',
    'nft chain from-pods',
  ]);
  const condition = rowsOf(planned, 'node-status').filter(({ key }) => key.startsWith('condition'));
  assert.deepEqual(needs(condition), [...file, `file ${FILE}`]);
  for (const row of planned.rows) {
    for (const { target, key } of row.needs ?? [])
      assert.ok(present.has(`${target} ${key}`), `${row.key} needs ${key}`);
  }
});

test('what this node tells the others', () => {
  const planned = plan(planners, { nodes: [n1, node(2), node(3, { segment: 5 })] });
  const [annotation] = rowsOf(planned, 'node-status').filter(({ key }) => key.startsWith('annotation'));
  assert.ok(annotation?.body.item.kind === 'annotation');
  assert.deepEqual(JSON.parse(annotation.body.item.value), {
    version: 1,
    accepts: ['layer2', 'vxlan/ipv4/1/8472'],
    uses: ['layer2', 'vxlan/ipv4/1/8472'],
    underlay: ['10.0.0.1/24', '2001:db8::1/64'],
    mtu: 1500,
    vxlan: { mac: '02:d4:1e:c0:bb:92', vni: 1, port: 8472 },
  });
});

test('a peer that still sends by vxlan is received, although our setting is layer2', () => {
  const old = node(2);
  const peer = { ...old, facts: facts(old, { uses: ['vxlan/ipv4/1/8472'] }) };
  const planned = plan(planners, { config: { transport: 'layer2' }, nodes: [n1, peer] });
  assert.deepEqual(
    rowsOf(planned, 'link').map((row) => row.key),
    ['fl-vxlan'],
  );
  assert.match(JSON.stringify(rowsOf(planned, 'node-status')), /accepts.*vxlan\/ipv4\/1\/8472.*uses/);
});

test('annotations of other nodes cannot make devices without end', () => {
  const peers = Array.from({ length: 40 }, (_, i) => {
    const peer = node(i + 2);
    return {
      ...peer,
      facts: facts(peer, { uses: [`vxlan/ipv4/${i + 9}/8472`, 'vxlan/ipv4/0/1', '../../etc'] }),
    };
  });
  const planned = plan(planners, { nodes: [n1, ...peers] });
  assert.ok(rowsOf(planned, 'link').length <= 8);
  assert.match(planned.problems.join('\n'), /already receives by 8 carriers/);
});

test('forwarding for the families of our pods; a link that listens to routers goes on', () => {
  const sysctls = (content: Content) =>
    rowsOf(plan([nodePlanner], content), 'sysctl').map(({ body }) => `${body.path}=${body.value}`);
  assert.deepEqual(sysctls({ nodes: [n1], links: [eth0(n1, { acceptRa: 1 })] }), [
    'net/ipv4/ip_forward=1',
    'net/ipv6/conf/all/forwarding=1',
    'net/ipv6/conf/eth0/accept_ra=2',
  ]);
  assert.deepEqual(sysctls({ nodes: [n1], missing: { ipv6: 'no IPv6' } }), ['net/ipv4/ip_forward=1']);
  assert.deepEqual(sysctls({ nodes: [node(1, { podCidrs: [cidr('10.244.1.0/24')] })] }), [
    'net/ipv4/ip_forward=1',
  ]);
});

test('without a pod CIDR there is no conflist and no condition, and it says what to do', () => {
  const planned = plan(planners, { nodes: [node(1, { podCidrs: [] })] });
  assert.deepEqual(rowsOf(planned, 'file'), []);
  assert.ok(!rowsOf(planned, 'node-status').some(({ key }) => key.startsWith('condition')));
  assert.match(planned.problems.join(), /Node n1: has no pod CIDR \(spec.podCIDRs\)/);
});
