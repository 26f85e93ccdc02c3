/** The laws of the planners (docs/design/testing.md) for Worlds full of conflicts, moves and changes of settings. */
import { test } from 'node:test';
import {
  assertStepwise,
  CONFIG,
  eth0,
  facts,
  link,
  node,
  PREDECESSOR,
  type Step,
} from '../../test/support/plan-worlds.ts';
import { fc, runs } from '../../test/support/property.ts';
import type { Config } from '../model/cluster/config.ts';
import type { Node } from '../model/cluster/node.ts';
import { cidr } from '../model/net/cidr.ts';
import { ip } from '../model/net/ip.ts';
import { egressPlanner } from './egress/planner.ts';
import { nodePlanner } from './node/planner.ts';
import { transportsPlanner } from './transports/planner.ts';

const CIDRS = [
  '10.244.1.0/24',
  '10.244.2.0/24',
  '10.244.2.0/25',
  '10.244.0.0/16',
  '10.0.0.0/25',
  'fd00:244:1::/64',
  'fd00:244::/32',
];
const ADDRESSES = [
  '10.0.0.1',
  '10.0.0.2',
  '10.0.1.2',
  '2001:db8::1',
  '2001:db8::2',
  '10.244.1.1',
  '10.244.2.7',
];
const CARRIERS = ['layer2', 'vxlan/ipv4/1/8472', 'vxlan/ipv6/1/8472', 'vxlan/ipv4/2/8472', 'nonsense/7'];
const NAMES = ['n1', 'n2', 'n3', 'n4'];
const KINDS: Readonly<Record<string, string>> = {
  veth9: 'veth',
  fairlead0: 'bridge',
  'kube-bridge': 'bridge',
};

const anyNode: fc.Arbitrary<Node> = fc
  .record({
    name: fc.constantFrom(...NAMES),
    created: fc.constantFrom('2026-01-01', '2026-01-02'),
    addresses: fc.uniqueArray(fc.constantFrom(...ADDRESSES).map(ip), { maxLength: 3 }),
    podCidrs: fc.uniqueArray(fc.constantFrom(...CIDRS).map(cidr), { maxLength: 3 }),
    told: fc.boolean(),
    accepts: fc.subarray(CARRIERS),
    uses: fc.subarray(CARRIERS),
    mtu: fc.constantFrom(1500, 1400),
  })
  .map(({ told, accepts, uses, mtu, ...rest }) => {
    const plain = node(1, { ...rest, uid: rest.name });
    return told ? { ...plain, facts: facts(plain, { accepts, uses, mtu }) } : plain;
  });

const anyConfig: fc.Arbitrary<Config> = fc
  .record({
    nodeName: fc.constantFrom('n1', 'n1', 'n1', 'n2'),
    transport: fc.constantFrom('auto', 'layer2', 'vxlan', 'gre'),
    underlayLink: fc.constantFrom(undefined, undefined, 'eth1'),
    underlayFamily: fc.constantFrom('ipv4', 'ipv6'),
    vxlan: fc.constantFrom({ vni: 1, port: 8472 }, { vni: 2, port: 8472 }),
    router: fc.record({ enabled: fc.oneof({ arbitrary: fc.constant(true), weight: 5 }, fc.constant(false)) }),
    clampMss: fc.boolean(),
    cni: fc.constantFrom('bridge', 'bridge', 'ptp').map((plugin) => ({ ...CONFIG.cni, plugin })),
    masquerade: fc.record({ enabled: fc.boolean(), exclude: fc.subarray(CIDRS).map((all) => all.map(cidr)) }),
  })
  .map((changes) => ({ ...CONFIG, ...changes }) as Config);

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: anyNode.map((object) => ({ source: 'nodes', key: object.name, object }) as const) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(...NAMES).map((key) => ({ source: 'nodes', key, object: undefined }) as const),
  },
  { weight: 2, arbitrary: anyConfig.map((object) => ({ source: 'config', key: 'config', object }) as const) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(
        fc.constantFrom('eth0', 'eth1', 'veth9', 'fairlead0', 'kube-bridge'),
        fc.subarray(ADDRESSES),
        fc.constantFrom(1500, 1300),
      )
      .map(([name, addresses, mtu]) => {
        const texts = addresses.map((address) => `${address}/${address.includes(':') ? 64 : 24}`);
        return {
          source: 'links',
          key: name,
          object: link(name, texts, { mtu, index: name.length, kind: KINDS[name] ?? '' }),
        } as const;
      }),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom('eth0', 'eth1', 'veth9', 'fairlead0', 'kube-bridge')
      .map((key) => ({ source: 'links', key, object: undefined }) as const),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('fairlead0', 'kube-bridge', 'docker0'), fc.constantFrom(1500, 1450, undefined))
      .map(([bridge, mtu]) => {
        const object = mtu === undefined ? undefined : { name: 'veth1', bridge, mtu };
        return { source: 'ports', key: 'veth1', object } as const;
      }),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(
        {},
        { ipv6: 'no IPv6' },
        { vxlan: 'no vxlan' },
        { nftables: 'no nftables' },
        { nexthop: 'no nexthop' },
        { br_netfilter: 'no br_netfilter' },
      )
      .map((missing) => ({ source: 'kernel', key: 'kernel', object: { release: '6.1', missing } }) as const),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(PREDECESSOR, { ...PREDECESSOR, bridge: undefined }, undefined)
      .map((object) => ({ source: 'cni', key: PREDECESSOR.path, object }) as const),
  },
);

const START: readonly Step[] = [
  { source: 'config', key: 'config', object: CONFIG },
  { source: 'kernel', key: 'kernel', object: { release: '6.1', missing: {} } },
  { source: 'links', key: 'eth0', object: eth0(node(1)) },
  { source: 'nodes', key: 'n1', object: node(1) },
];

for (const planner of [transportsPlanner, egressPlanner, nodePlanner]) {
  test(`${planner.name}: step by step, twice, backwards, in batches: always the rows of a plan from scratch`, () => {
    fc.assert(
      fc.property(
        fc.array(anyStep, { maxLength: 25 }),
        fc.integer({ min: 1, max: 7 }),
        fc.boolean(),
        fc.boolean(),
        (steps, every, twice, backwards) => {
          const runs = (i: number) => i % every === 0;
          assertStepwise([planner], [...START, ...steps], { runs, twice, backwards });
        },
      ),
      { numRuns: runs(300) },
    );
  });

  test(`${planner.name}: what was built up is torn down to nothing`, () => {
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 20 }), (steps) => {
        const gone: Step[] = NAMES.map((key) => ({ source: 'nodes', key, object: undefined }));
        const playing = { runs: () => true, twice: false, backwards: false };
        assertStepwise([planner], [...START, ...steps, ...gone], playing, 'nothing');
      }),
      { numRuns: runs(100) },
    );
  });
}

test('a predecessor’s conflist that comes and goes, and its bridge: always the rows of a plan from scratch', () => {
  const cni = { ...CONFIG.cni, plugin: 'ptp' } as const;
  const missing = { br_netfilter: 'the module is not loaded' };
  const taken: Step = { source: 'cni', key: PREDECESSOR.path, object: PREDECESSOR };
  const steps: readonly Step[] = [
    taken,
    { ...taken, object: undefined },
    taken,
    { source: 'kernel', key: 'kernel', object: { release: '6.1', missing } },
    { source: 'config', key: 'config', object: { ...CONFIG, cni } },
    { source: 'links', key: 'kube-bridge', object: link('kube-bridge', [], { kind: 'bridge' }) },
    {
      source: 'links',
      key: 'kube-bridge',
      object: link('kube-bridge', ['10.244.1.1/24'], { kind: 'bridge' }),
    },
    { ...taken, object: undefined },
    { source: 'links', key: 'kube-bridge', object: undefined },
  ];
  const playing = { runs: () => true, twice: false, backwards: false };
  for (const planner of [transportsPlanner, egressPlanner, nodePlanner])
    for (const i of steps.keys()) assertStepwise([planner], [...START, ...steps.slice(0, i + 1)], playing);
});
