import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CONFIG,
  type Content,
  eth0,
  facts,
  link,
  node,
  PREDECESSOR,
  plan,
  rowsOf,
} from '../../../test/support/plan-worlds.ts';
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
      { type: 'fairlead', socket: '/run/fairlead/agent.sock' },
    ],
  });
});

test('ptp, one family, layer2, a fixed MTU, no portmap, no policies', () => {
  const own = node(1, { podCidrs: [cidr('fd00:244:1::/64')] });
  const { cni } = { cni: { write: true, dir: '/etc/cni/net.d/', file: '05-fairlead.conflist' } };
  const config = {
    transport: 'layer2' as const,
    podMtu: 1400,
    cni: {
      ...cni,
      plugin: 'ptp' as const,
      bridge: 'fairlead0',
      hairpin: true,
      portmap: false,
      socket: '/run/fairlead/agent.sock',
    },
    policy: { ...CONFIG.policy, enabled: false },
  };
  const { plugins } = conflist({ config, nodes: [own] });
  const ipam = { type: 'host-local', ranges: [[{ subnet: 'fd00:244:1::/64' }]], routes: [{ dst: '::/0' }] };
  assert.deepEqual(plugins, [{ type: 'ptp', mtu: 1400, ipMasq: false, ipam }, { type: 'fairlead' }]);
});

const sysctls = (content: Content): string[] =>
  rowsOf(plan(planners, content), 'sysctl').map(({ body }) => `${body.path}=${body.value}`);
const bridgeCalls = (content: Content): string[] =>
  sysctls(content).filter((text) => text.includes('/bridge/'));
const BOTH = ['net/bridge/bridge-nf-call-iptables=1', 'net/bridge/bridge-nf-call-ip6tables=1'];
const OFF = { policy: { ...CONFIG.policy, enabled: false } };
const FOREIGN = { cni: { ...CONFIG.cni, write: false } };
const NO_BRIDGE_NETFILTER = { missing: { br_netfilter: 'the module is not loaded' } };

test('rules are shown the packets of bridges, of those families that pods have, while policies are enforced', () => {
  assert.deepEqual(bridgeCalls({ nodes: [n1] }), BOTH);
  assert.deepEqual(
    bridgeCalls({ nodes: [node(1, { podCidrs: [cidr('10.244.1.0/24')] })] }),
    BOTH.slice(0, 1),
  );
  assert.deepEqual(bridgeCalls({ nodes: [n1], missing: { ipv6: 'no IPv6' } }), BOTH.slice(0, 1));
  assert.deepEqual(bridgeCalls({ nodes: [n1], config: OFF }), []);
  assert.deepEqual(bridgeCalls({ nodes: [n1], config: FOREIGN }), [], 'pods of others, and no bridge');
  const cni = [{ path: '/etc/cni/net.d/10-x.conflist', name: 'x', bridge: 'cni0', software: undefined }];
  assert.deepEqual(bridgeCalls({ nodes: [n1], config: FOREIGN, cni }), BOTH);
});

test('a kernel whose rules cannot see into bridges: pods are routed, and it is said', () => {
  const problems = (content: Content) =>
    plan(planners, { nodes: [n1], ...content, ...NO_BRIDGE_NETFILTER }).problems;
  const { plugins } = conflist({ nodes: [n1], ...NO_BRIDGE_NETFILTER }) as { plugins: { type: string }[] };
  assert.deepEqual(
    plugins.map(({ type }) => type),
    ['ptp', 'portmap', 'fairlead'],
  );
  assert.deepEqual(bridgeCalls({ nodes: [n1], ...NO_BRIDGE_NETFILTER }), []);
  assert.match(
    problems({})[0] ?? '',
    /between pods on the bridge fairlead0: the module is not loaded; new pods .* ptp/,
  );
  assert.deepEqual(problems({ config: OFF }), []);
  const ptp = { config: { cni: { ...CONFIG.cni, plugin: 'ptp' as const } } };
  assert.deepEqual(problems(ptp), []);
  assert.equal(
    problems({ ...ptp, links: [eth0(n1), link('fairlead0', [], { kind: 'bridge' })] }).length,
    1,
    'pods from before',
  );
  const left = { ...ptp, links: [eth0(n1), link('kube-bridge', [], { kind: 'bridge' })], cni: [PREDECESSOR] };
  assert.match(problems(left)[0] ?? '', /between pods on the bridge kube-bridge:/, 'of a predecessor');
  const cni = [{ path: '/etc/cni/net.d/10-x.conflist', name: 'x', bridge: 'cni0', software: undefined }];
  assert.match(problems({ config: FOREIGN, cni })[0] ?? '', /bridge cni0: .* whatever policies say/);
  const off = conflist({ nodes: [n1], config: OFF, ...NO_BRIDGE_NETFILTER }) as {
    plugins: { type: string }[];
  };
  assert.equal(off.plugins[0]?.type, 'bridge');
});

test('kube-router and kopeio are taken over with bridge and network name, others are not', () => {
  const cni = [
    { path: '/etc/cni/net.d/87-podman.conflist', name: 'podman', bridge: 'cni-podman0', software: undefined },
    PREDECESSOR,
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
    'sysctl net/bridge/bridge-nf-call-iptables',
    'sysctl net/bridge/bridge-nf-call-ip6tables',
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
    rowsOf(plan([nodePlanner], { config: OFF, ...content }), 'sysctl').map(
      ({ body }) => `${body.path}=${body.value}`,
    );
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
