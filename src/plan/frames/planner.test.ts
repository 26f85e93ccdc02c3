import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertStepwise, CONFIG, link, node, type Step, store } from '../../../test/support/plan-worlds.ts';
import { podLink } from '../../../test/support/policy-histories.ts';
import { fc, runs } from '../../../test/support/property.ts';
import type { Birth } from '../../model/cluster/birth.ts';
import type { Config } from '../../model/cluster/config.ts';
import { ip } from '../../model/net/ip.ts';
import { mac } from '../../model/net/mac.ts';
import type { World, WorldTables } from '../../model/world.ts';
import { planOnce } from '../engine.ts';
import { framesPlanner, otherFramesPlanner } from './planner.ts';

const A: Birth = {
  pod: 'x/a',
  uid: 'u',
  containerId: 'c1',
  ips: [ip('10.244.1.2'), ip('fd00:244:1::2')],
  attached: { bridge: 'fairlead0', port: 'veth1', mac: mac('02:00:00:00:00:01') },
};

interface Machine {
  readonly config?: Partial<Config>;
  readonly missing?: WorldTables['kernel']['missing'];
  readonly ports?: Readonly<Record<string, string>>;
  readonly births?: readonly Birth[];
  /** Bridges with an address of the pods' range. */
  readonly gateways?: readonly string[];
}

const PLANNERS = [framesPlanner, otherFramesPlanner];

function world({ config, missing, ports = {}, births = [], gateways = [] }: Machine): World {
  const links = gateways.map((name) => link(name, ['10.244.1.1/24'], { kind: 'bridge' }));
  const filled = store({
    nodes: [node(1)],
    links,
    ...(config && { config }),
    ...(missing && { missing }),
  });
  for (const [name, bridge] of Object.entries(ports)) filled.put('ports', name, { name, bridge, mtu: 1500 });
  for (const birth of births) filled.put('births', birth.containerId, birth);
  return filled.world;
}

const keys = (machine: Machine): string[] =>
  [...planOnce(PLANNERS, world(machine)).rows()].map(({ target, key }) => `${target} ${key}`).sort();
const elements = (machine: Machine) =>
  keys(machine).flatMap((key) => (/^nft-bridge element /.test(key) ? [key.replace('nft-bridge ', '')] : []));

test('ports of our bridge are looked at, whoever told of them, and none of another bridge', () => {
  const ports = { veth0: 'fairlead0', veth1: 'fairlead0', vethd: 'docker0' };
  assert.deepEqual(elements({ ports, births: [A] }), [
    'element addresses-v4 veth1 . 02:00:00:00:00:01 . 10.244.1.2',
    'element addresses-v6 veth1 . 02:00:00:00:00:01 . fd00:244:1::2',
    'element bound-ports veth1',
    'element macs veth1 . 02:00:00:00:00:01',
    'element ports veth0',
    'element ports veth1',
  ]);
  const elsewhere = { ...A, attached: { ...A.attached!, bridge: 'cni0' } };
  const { attached: _, ...before } = A;
  assert.deepEqual(elements({ births: [elsewhere, { ...before, containerId: 'c2' }] }), []);
});

test('pods that are still on a bridge of before are looked at beside ours, and all the same', () => {
  const attached = { bridge: 'kube-bridge', port: 'vethk', mac: mac('02:00:00:00:00:02') };
  const born: Birth = { ...A, containerId: 'c2', ips: [ip('10.244.1.3')], attached };
  const ports = { veth1: 'fairlead0', vethk: 'kube-bridge', vethl: 'kube-bridge', vethd: 'docker0' };
  const both: Machine = { ports, births: [A, born], gateways: ['kube-bridge', 'fairlead0'] };
  const found = elements(both);
  assert.deepEqual(
    found.filter((key) => key.startsWith('element ports')),
    ['element ports veth1', 'element ports vethk', 'element ports vethl'],
  );
  assert.ok(found.includes('element addresses-v4 vethk . 02:00:00:00:00:02 . 10.244.1.3'));
  assert.equal(planOnce(PLANNERS, world(both)).problems().length, 0, 'one table for both');
  const ptp = { cni: { ...CONFIG.cni, plugin: 'ptp' } } as const;
  const left = elements({ config: ptp, ports, gateways: ['kube-bridge'] });
  assert.deepEqual(left.sort(), ['element ports veth1', 'element ports vethk', 'element ports vethl']);
  const theirs = { config: { cni: { ...CONFIG.cni, write: false } }, ports, gateways: ['kube-bridge'] };
  assert.deepEqual(
    elements(theirs),
    ['element ports vethk', 'element ports vethl'],
    'who attaches pods is no matter',
  );
  assert.deepEqual(elements({ ...theirs, config: { router: { enabled: false } } }), []);
});

test('a newborn pod’s port is there before the kernel’s list of ports has it, and waits for the chains', () => {
  const rows = [...planOnce([framesPlanner], world({ births: [A] })).rows()];
  const port = rows.find(({ key }) => key === 'element ports veth1');
  assert.deepEqual(
    port?.needs?.map(({ target, key }) => `${target} ${key}`),
    ['nft-bridge chain prerouting'],
  );
});

test('where pods may send for others, only what frames are is looked at', () => {
  const policy = { ...CONFIG.policy, unknownPods: 'open' } as const;
  const open = keys({ config: { policy }, births: [A] });
  assert.deepEqual(open, [
    'nft chain past-bridge',
    'nft element bridge-ports veth1',
    'nft set bridge-ports',
    'nft-bridge chain frames',
    'nft-bridge chain prerouting',
    'nft-bridge element ports veth1',
    'nft-bridge set ports',
  ]);
});

test('no table: without policies, without routing, with another’s CNI configuration, with ptp', () => {
  const births = [A];
  for (const config of [
    { policy: { ...CONFIG.policy, enabled: false } },
    { router: { enabled: false } },
    { cni: { ...CONFIG.cni, write: false } },
    { cni: { ...CONFIG.cni, plugin: 'ptp' } },
  ] as const)
    assert.deepEqual(keys({ config, births }), []);
  const left = { config: { cni: { ...CONFIG.cni, plugin: 'ptp' as const } }, ports: { veth0: 'fairlead0' } };
  assert.ok(keys(left).includes('nft-bridge chain frames'), 'pods from before are on the bridge still');
});

test('a kernel without nft’s family bridge: said once, and nothing planned', () => {
  const machine = { missing: { nft_bridge: 'the kernel has no nftables for bridges' }, births: [A] };
  const engine = planOnce(PLANNERS, world(machine));
  assert.deepEqual([...engine.rows()], []);
  assert.match(
    engine
      .problems()
      .map(({ message }) => message)
      .join(),
    /^a pod on fairlead0 that may send/,
  );
  const bare = planOnce(PLANNERS, world({ missing: { nft_bridge: 'none', nftables: 'none' } }));
  assert.deepEqual(bare.problems(), [], 'the policy planner says it');
});

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  fc
    .tuple(
      fc.constantFrom('veth0', 'veth1', 'veth2'),
      fc.constantFrom('fairlead0', 'kube-bridge', 'docker0', undefined),
    )
    .map(
      ([name, bridge]): Step => ({
        source: 'ports',
        key: name,
        object: bridge && { name, bridge, mtu: 1500 },
      }),
    ),
  fc
    .tuple(
      fc.constantFrom('c1', 'c2'),
      fc.constantFrom('fairlead0', 'kube-bridge', undefined),
      fc.constantFrom('veth1', 'veth2'),
    )
    .map(([containerId, bridge, port]): Step => {
      const attached = { bridge: bridge ?? '', port, mac: mac('02:00:00:00:00:01') };
      const object = bridge === undefined ? undefined : { ...A, containerId, pod: 'x/a', attached };
      return { source: 'births', key: containerId, object };
    }),
  fc
    .record({ plugin: fc.constantFrom('bridge', 'ptp'), open: fc.boolean(), enabled: fc.boolean() })
    .map(({ plugin, open, enabled }): Step => {
      const policy = { ...CONFIG.policy, enabled, unknownPods: open ? 'open' : 'closed' } as const;
      const cni = { ...CONFIG.cni, plugin } as Config['cni'];
      return { source: 'config', key: 'config', object: { ...CONFIG, policy, cni } };
    }),
  fc.constantFrom('kube-bridge', undefined).map((bridge): Step => {
    const object = { path: '/etc/cni/net.d/10-k.conflist', name: 'old', bridge, software: 'kube-router' };
    return { source: 'cni', key: object.path, object };
  }),
  podLink,
  fc.constantFrom(node(1), node(1, { podCidrs: [] }), node(2), undefined).map((object): Step => {
    return { source: 'nodes', key: object?.name ?? 'n1', object };
  }),
  fc.constantFrom({}, { nft_bridge: 'none' }).map((missing): Step => {
    return { source: 'kernel', key: 'kernel', object: { release: '6.1', missing } };
  }),
);

test('step by step, twice, backwards, in batches: always the rows of a plan from scratch', () => {
  const start: readonly Step[] = [
    { source: 'config', key: 'config', object: CONFIG },
    { source: 'nodes', key: 'n1', object: node(1) },
  ];
  fc.assert(
    fc.property(
      fc.array(anyStep, { maxLength: 20 }),
      fc.integer({ min: 1, max: 5 }),
      fc.boolean(),
      fc.boolean(),
      (steps, every, twice, backwards) => {
        const playing = { runs: (i: number) => i % every === 0, twice, backwards };
        assertStepwise(PLANNERS, [...start, ...steps], playing);
      },
    ),
    { numRuns: runs(500) },
  );
});
