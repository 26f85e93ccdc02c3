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
  routeLines,
  rowsOf,
} from '../../../test/support/plan-worlds.ts';
import type { Config } from '../../model/cluster/config.ts';
import { cidr } from '../../model/net/cidr.ts';
import { ip } from '../../model/net/ip.ts';
import type { Packet } from '../nft/walk/packet.ts';
import { tableView, walkPacket } from '../nft/walk/packets.ts';
import { transportsPlanner } from './planner.ts';

const planners = [transportsPlanner];
const n1 = node(1);
const n2 = node(2);
const far = node(3, { segment: 9 });
/** Next hops on tunnel devices: functions of the names n2 and n3 that must never change. */
const HOP2 = 'fe80::b04e:acff:fe0b:db5';
const HOP3 = 'fe80::f81c:7dff:fe4f:9056';

test('auto: a peer on the link by layer2, one behind a router by vxlan, both families', () => {
  const planned = plan(planners, { nodes: [n1, n2, far] });
  assert.deepEqual(routeLines(planned), [
    '10.244.2.0/24 via 10.0.0.2 dev eth0',
    `10.244.3.0/24 via ${HOP3} dev fl-vxlan onlink`,
    'fd00:244:2::/64 via 2001:db8::2 dev eth0',
    `fd00:244:3::/64 via ${HOP3} dev fl-vxlan onlink`,
  ]);
  assert.deepEqual(
    rowsOf(planned, 'neighbor').map(({ body }) => body),
    [{ dev: 'fl-vxlan', ip: HOP3, mac: 'fa:1c:7d:4f:90:56' }],
  );
  assert.deepEqual(
    rowsOf(planned, 'fdb').map(({ body }) => body),
    [{ dev: 'fl-vxlan', mac: 'fa:1c:7d:4f:90:56', dst: '10.0.9.3' }],
  );
  const [device] = rowsOf(planned, 'link');
  assert.equal(device?.body.mtu, 1450);
  assert.deepEqual(device?.body.type, {
    kind: 'vxlan',
    vni: 1,
    port: 8472,
    local: '10.0.0.1',
    underlay: 'eth0',
  });
  assert.deepEqual(planned.problems, []);
});

test('layer2 has no device, touches no reverse path filter, and refuses a peer that is not on the link', () => {
  const planned = plan(planners, { config: { transport: 'layer2' }, nodes: [n1, n2, far] });
  assert.deepEqual(rowsOf(planned, 'link'), []);
  assert.deepEqual(rowsOf(planned, 'sysctl'), []);
  assert.deepEqual(routeLines(planned), [
    '10.244.2.0/24 via 10.0.0.2 dev eth0',
    'fd00:244:2::/64 via 2001:db8::2 dev eth0',
  ]);
  assert.match(
    planned.problems.join(),
    /Node n3: .*10\.0\.9\.3 is outside 10\.0\.0\.0\/24 of eth0.*setting transport is layer2/,
  );
});

test('both prefixes decide what is on-link: a peer whose own link is narrower gets the tunnel', () => {
  const narrow = { ...n2, facts: facts(n2, { underlay: ['10.0.0.2/31', '2001:db8::2/127'] }) };
  const planned = plan(planners, { nodes: [{ ...n1, facts: facts(n1) }, narrow] });
  assert.ok(routeLines(planned).every((line) => line.includes(`via ${HOP2} dev fl-vxlan`)));
});

test('underlay of one family carries pods of both', () => {
  const v6 = { addresses: [ip('2001:db8::1')] };
  const six = plan(planners, {
    config: { transport: 'layer2' },
    nodes: [node(1, v6), node(2, { addresses: [ip('2001:db8::2')] })],
  });
  assert.deepEqual(routeLines(six), [
    '10.244.2.0/24 via 2001:db8::2 dev eth0',
    'fd00:244:2::/64 via 2001:db8::2 dev eth0',
  ]);
  const four = [node(1, { addresses: [ip('10.0.0.1')] }), node(2, { addresses: [ip('10.0.0.2')] })];
  const refused = plan(planners, { config: { transport: 'layer2' }, nodes: four });
  assert.deepEqual(routeLines(refused), ['10.244.2.0/24 via 10.0.0.2 dev eth0']);
  assert.match(refused.problems.join(), /fd00:244:2::\/64 cannot be reached by layer2/);
  const auto = plan(planners, { nodes: four });
  assert.ok(routeLines(auto).every((line) => line.includes(`via ${HOP2} dev fl-vxlan`)));
});

test('vxlan over IPv6: its own device, 70 bytes', () => {
  const planned = plan(planners, { config: { transport: 'vxlan', underlayFamily: 'ipv6' }, nodes: [n1, n2] });
  const [device] = rowsOf(planned, 'link');
  assert.deepEqual(
    [device?.key, device?.body.mtu, device?.body.type.local],
    ['fl-vxlan6', 1430, '2001:db8::1'],
  );
  assert.equal(rowsOf(planned, 'fdb')[0]?.body.dst, '2001:db8::2');
});

test('a peer with a smaller underlay MTU narrows the route only', () => {
  const small = { ...n2, facts: facts(n2, { mtu: 1400 }) };
  const own = { ...n1, facts: facts(n1) };
  const vxlan = plan(planners, { config: { transport: 'vxlan' }, nodes: [own, small] });
  assert.equal(rowsOf(vxlan, 'route')[0]?.body.mtu, 1350);
  assert.equal(rowsOf(vxlan, 'link')[0]?.body.mtu, 1450);
  const layer2 = plan(planners, { config: { transport: 'layer2' }, nodes: [own, small] });
  assert.equal(rowsOf(layer2, 'route')[0]?.body.mtu, 1400);
});

test('another VNI or port gets another device, and names fit the kernel', () => {
  const planned = plan(planners, {
    config: { transport: 'vxlan', vxlan: { vni: 16777215, port: 65535 } },
    nodes: [n1, n2],
  });
  const [device] = rowsOf(planned, 'link');
  assert.equal(device?.key, 'fl-v49zldr-1ekf');
  assert.ok((device?.key.length ?? 99) <= 15);
});

test('two Nodes with one pod CIDR: the older has it, the other is told, and gets it when the older goes', () => {
  const thief = node(4, { podCidrs: [...n2.podCidrs] });
  const both = plan(planners, { nodes: [n1, n2, thief] });
  assert.deepEqual(routeLines(both), routeLines(plan(planners, { nodes: [n1, n2] })));
  assert.match(
    both.problems.join('\n'),
    /Node n4: its pod CIDR 10\.244\.2\.0\/24 belongs to Node n2, which is older/,
  );
  assert.match(
    routeLines(plan(planners, { nodes: [n1, thief] })).join(),
    /10\.244\.2\.0\/24 via 10\.0\.0\.4/,
  );
});

test('no route ever for our own pods, for the underlay, or for the address of a node', () => {
  const cases = [
    {
      peer: node(2, { podCidrs: [cidr('10.244.0.0/16')], created: '2020' }),
      words: /overlaps 10\.244\.1\.0\/24 of this node/,
    },
    {
      peer: node(2, { podCidrs: [cidr('10.0.0.0/16')] }),
      words: /contains 10\.0\.0\.1, the address of Node n1/,
    },
    { peer: node(2, { podCidrs: [cidr('10.0.0.64/26')] }), words: /overlaps 10\.0\.0\.0\/24 of eth0/ },
    { peer: node(2, { addresses: [ip('10.0.0.1')] }), words: /this node's own address/ },
    { peer: node(2, { addresses: [] }), words: /Node n2: has no InternalIP/ },
    { peer: node(2, { podCidrs: [] }), words: /Node n2: has no pod CIDR/ },
  ];
  for (const { peer, words } of cases) {
    const planned = plan(planners, { nodes: [n1, peer] });
    assert.deepEqual(routeLines(planned), []);
    assert.match(planned.problems.join('\n'), words);
  }
});

test('a Node object left over with the address of another gets nothing', () => {
  const ghost = node(7, { addresses: n2.addresses });
  const planned = plan(planners, { nodes: [n1, n2, ghost] });
  assert.ok(!routeLines(planned).some((line) => line.startsWith('10.244.7')));
  assert.match(planned.problems.join('\n'), /Node n7: its address 10\.0\.0\.2 is also that of Node n2/);
});

test('the underlay is the link with the InternalIP, or the one that is named', () => {
  const links = [link('lo', ['127.0.0.1/8']), link('eth1', ['192.0.2.1/24'], { mtu: 9000 }), eth0(n1)];
  const told = { ...n2, facts: facts(n2, { underlay: ['192.0.2.2/24'] }) };
  const named = plan(planners, { config: { underlayLink: 'eth1' }, nodes: [n1, told], links });
  assert.match(routeLines(named).join(), /10\.244\.2\.0\/24 via fe80.* dev fl-vxlan/);
  assert.deepEqual(
    rowsOf(named, 'link').map(({ body }) => [body.type.local, body.type.underlay, body.mtu]),
    [['192.0.2.1', 'eth1', 8950]],
  );
  assert.equal(rowsOf(named, 'fdb')[0]?.body.dst, '192.0.2.2');
  const wrong = plan(planners, { config: { underlayLink: 'eth7' }, nodes: [n1, n2], links });
  assert.match(wrong.problems.join('\n'), /setting underlayLink: this machine has no link "eth7"/);
  const lost = plan(planners, { nodes: [n1, n2], links: [] });
  assert.match(lost.problems.join('\n'), /no link of this machine has its InternalIP 10\.0\.0\.1/);
});

test('what the kernel or this version lacks is told, and the rest works', () => {
  const missing = { vxlan: 'the kernel has no vxlan module' };
  const planned = plan(planners, { config: { transport: 'auto' }, nodes: [n1, n2, far], missing });
  assert.equal(routeLines(planned).length, 2);
  assert.match(planned.problems.join('\n'), /Node n3: .*the kernel has no vxlan module/);
  const later = plan(planners, { config: { transport: 'gre' }, nodes: [n1, n2] });
  assert.match(later.problems.join(), /setting transport: "gre" is not built/);
  assert.equal(routeLines(later).length, 2);
});

test('a kernel without IPv6: next hops are the network addresses of the peers’ IPv4 pods', () => {
  const missing = { ipv6: 'the kernel has no IPv6' };
  const planned = plan(planners, { config: { transport: 'vxlan' }, nodes: [n1, n2], missing });
  assert.deepEqual(routeLines(planned), ['10.244.2.0/24 via 10.244.2.0 dev fl-vxlan onlink']);
  assert.ok(!rowsOf(planned, 'sysctl').some((row) => row.key.includes('ipv6')));
  assert.deepEqual(
    rowsOf(planned, 'address').map((row) => row.key),
    ['fl-vxlan 10.244.1.0/32'],
  );
});

test('IPv4 routes through vxlan name nexthops by the number of their prefix; a kernel without them gets plain routes', () => {
  const input = { config: { transport: 'vxlan' }, nodes: [n1, n2] } as const;
  const planned = plan(planners, input);
  const [nexthop] = rowsOf(planned, 'nexthop');
  const id = 0x0af40200;
  assert.deepEqual(
    rowsOf(planned, 'nexthop').map(({ key, body }) => [key, body]),
    [[String(id), { id, dev: 'fl-vxlan', via: HOP2, onlink: true }]],
  );
  assert.deepEqual(nexthop?.needs, [
    { target: 'neighbor', key: `fl-vxlan ${HOP2}` },
    { target: 'fdb', key: rowsOf(planned, 'fdb')[0]?.key },
  ]);
  const routes = rowsOf(planned, 'route');
  assert.deepEqual(
    routes.map(({ body }) => [body.dst, body.nextHops.map((hop) => hop.id)]),
    [
      ['10.244.2.0/24', [id]],
      ['fd00:244:2::/64', [undefined]],
    ],
  );
  assert.deepEqual(routes[0]?.needs, [{ target: 'nexthop', key: String(id) }]);
  const old = plan(planners, { ...input, missing: { nexthop: 'the kernel is too old' } });
  assert.deepEqual(rowsOf(old, 'nexthop'), []);
  assert.deepEqual(routeLines(old), routeLines(planned));
  assert.ok(rowsOf(old, 'route').every(({ body }) => body.nextHops[0]?.id === undefined));
});

test('while a route may still go by an old carrier its nexthop leads where the route is to go', () => {
  const told = { ...n1, facts: facts(n1, { uses: ['vxlan/ipv4/1/8472', 'vxlan/ipv4/7/8472'] }) };
  const devs = (transport: 'vxlan' | 'layer2', vni: number) => {
    const config = { transport, vxlan: { vni, port: 8472 } };
    const planned = plan(planners, { config, nodes: [told, n2] });
    assert.deepEqual(planned.problems, [], 'nothing is wanted twice');
    return rowsOf(planned, 'nexthop').map(({ body }) => body.dev);
  };
  assert.deepEqual(devs('vxlan', 1), ['fl-vxlan']);
  assert.deepEqual(devs('vxlan', 7), ['fl-v47-6jc']);
  assert.deepEqual(devs('layer2', 1), ['fl-vxlan']);
});

test('an underlay too small for IPv6 in vxlan: IPv4 pods go on, the link and its MTU are told', () => {
  for (const [family, edge] of [
    ['ipv4', 1330],
    ['ipv6', 1350],
  ] as const) {
    const device = family === 'ipv4' ? 'fl-vxlan' : 'fl-vxlan6';
    const at = (mtu: number, self = n1) =>
      plan(planners, {
        config: { transport: 'vxlan', underlayFamily: family },
        nodes: [self, n2],
        links: [eth0(self, { mtu })],
      });
    const enough = at(edge);
    assert.deepEqual(enough.problems, []);
    assert.equal(routeLines(enough).length, 2);
    const small = at(edge - 1);
    assert.deepEqual(routeLines(small), [`10.244.2.0/24 via 10.244.2.0 dev ${device} onlink`]);
    assert.deepEqual(
      rowsOf(small, 'neighbor').map(({ body }) => body.ip),
      ['10.244.2.0'],
    );
    assert.equal(rowsOf(small, 'link')[0]?.body.mtu, 1279);
    assert.ok(!rowsOf(small, 'sysctl').some((row) => row.key.includes('ipv6')));
    assert.ok(!rowsOf(small, 'address').some((row) => row.key.includes('fe80')));
    const told = new RegExp(`link ${device}: has MTU 1279 over eth0 with ${edge - 1}, and IPv6 needs 1280`);
    assert.match(small.problems.join('\n'), told);
    const withoutV6 = { ...n1, podCidrs: n1.podCidrs.slice(0, 1) };
    assert.deepEqual(at(edge - 1, withoutV6).problems, [], 'nobody has IPv6 pods to reach');
  }
});

test('an MTU that is too small for IPv6, or a setting too large for the transports', () => {
  const links = [eth0(n1, { mtu: 1300 })];
  assert.match(plan(planners, { nodes: [n1], links }).problems.join(), /an MTU of 1250, and IPv6 needs 1280/);
  const big = plan(planners, { config: { podMtu: 1500 }, nodes: [n1] });
  assert.match(big.problems.join(), /setting podMtu: 1500 is more than the 1450/);
});

test('only nodes may send to the tunnel, from any address that they are known by; one that layer2 reaches, too', () => {
  const told = { ...far, facts: facts(far, { underlay: ['10.0.9.3/24', '10.0.9.33/24'] }) };
  const planned = plan(planners, { nodes: [n1, n2, told] });
  const rows = rowsOf(planned, 'nft').map(({ key }) => key);
  assert.deepEqual(rows.sort(), [
    'chain vxlan-from-nodes',
    'element vxlan-nodes-v4 10.0.0.2',
    'element vxlan-nodes-v4 10.0.9.3',
    'element vxlan-nodes-v4 10.0.9.33',
    'element vxlan-nodes-v6 2001:db8:9::3',
    'element vxlan-nodes-v6 2001:db8::2',
    'set vxlan-nodes-v4',
    'set vxlan-nodes-v6',
  ]);
});

test('what comes from pods, or in the name of nobody, does not get into the tunnel', () => {
  const sees = (packet: Partial<Packet>, config: Partial<Config> = {}, more: Content = {}) => {
    const content = { config: { transport: 'vxlan', ...config }, nodes: [n1, n2], ...more } as const;
    const chains = tableView(plan(planners, content).rows);
    const ends = { from: ip('10.0.0.2'), to: ip('10.0.0.1') };
    const plain = { hook: 'input', protocol: 'udp', dport: 8472, iif: 'eth0', ...ends } as const;
    return walkPacket(chains, { ...plain, ...packet }).by;
  };
  const ptp = { cni: { ...CONFIG.cni, plugin: 'ptp' } } as const;
  const strangers = 'only nodes of the cluster may send to the tunnel';
  const pods = 'no pod may, in whatever name';
  const none = 'policy of the base chain';
  assert.equal(sees({}), none, 'let in');
  const on = (name: string, kind: string) => [eth0(n1), link(name, ['10.244.1.1/24'], { kind })];
  const pair = on('veth12345678', 'veth');
  for (const [config, iif, more] of [
    [{}, 'fairlead0', {}],
    [{}, 'kube-bridge', { cni: [PREDECESSOR] }],
    [{}, 'kube-bridge', { links: on('kube-bridge', 'bridge') }],
    [{}, 'fairlead0', { links: on('kube-bridge', 'bridge') }],
    [{}, 'fairlead0', { cni: [PREDECESSOR], links: on('fairlead0', 'bridge') }],
    [{}, 'veth12345678', { missing: { br_netfilter: 'not loaded' } }],
    [{}, 'veth12345678', { links: pair }],
    [{ cni: { ...CONFIG.cni, write: false } }, 'veth12345678', { links: pair }],
    [ptp, 'veth12345678', {}],
    [ptp, 'veth12345678', { cni: [PREDECESSOR] }],
    [ptp, 'fairlead0', { links: on('fairlead0', 'bridge') }],
  ] as const) {
    assert.equal(sees({ iif }, config, more), pods, `${iif} ${JSON.stringify(more)}`);
    assert.equal(sees({}, config, more), none);
  }
  const far = { from: ip('10.0.9.9') };
  assert.equal(sees(far), strangers);
  assert.equal(sees({ ...far, to: ip('10.0.0.7') }), strangers, 'whatever address of this node');
  assert.equal(sees({ ...far, state: 'untracked' }), strangers);
  assert.equal(sees({ ...far, dport: 53 }), none);
  assert.equal(sees({ ...far, protocol: 'tcp' }), none);
  const forged = { iif: 'fairlead0', protocol: 'tcp' } as const;
  assert.equal(sees(forged), none);
  assert.equal(sees({ from: ip('10.244.1.2'), iif: 'fairlead0' }), strangers, 'a pod in its own name');
  const six = { underlayFamily: 'ipv6' } as const;
  const ends = { from: ip('2001:db8::2'), to: ip('2001:db8::1') };
  assert.equal(sees(ends, six), none);
  assert.equal(sees({ ...ends, iif: 'fairlead0' }, six), pods);
  assert.equal(sees({ ...ends, from: ip('fd00:244:1::2') }, six), strangers);
  const open = { policy: { ...CONFIG.policy, enabled: false } };
  assert.equal(sees({ iif: 'fairlead0' }, open), none, 'without policies nobody is asked');
  assert.equal(sees(far, open), strangers);
  assert.equal(
    sees({}, { cni: { ...CONFIG.cni, bridge: 'eth0' } }),
    none,
    'a link that pods and nodes share',
  );
});
