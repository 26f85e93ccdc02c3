import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertStepwise, CONFIG, type Step, store } from '../../../test/support/plan-worlds.ts';
import { fc, runs } from '../../../test/support/property.ts';
import type { Birth } from '../../model/cluster/birth.ts';
import type { Config } from '../../model/cluster/config.ts';
import { ip } from '../../model/net/ip.ts';
import { mac } from '../../model/net/mac.ts';
import type { World, WorldTables } from '../../model/world.ts';
import { planOnce } from '../engine.ts';
import { framesPlanner } from './planner.ts';

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
}

function world({ config, missing, ports = {}, births = [] }: Machine): World {
  const filled = store({ ...(config && { config }), ...(missing && { missing }) });
  for (const [name, bridge] of Object.entries(ports)) filled.put('ports', name, { name, bridge });
  for (const birth of births) filled.put('births', birth.containerId, birth);
  return filled.world;
}

const keys = (machine: Machine): string[] =>
  [...planOnce([framesPlanner], world(machine)).rows()].map(({ target, key }) => `${target} ${key}`).sort();
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
  const engine = planOnce([framesPlanner], world(machine));
  assert.deepEqual([...engine.rows()], []);
  assert.deepEqual(
    engine.problems().map(({ object }) => object),
    ['network policy'],
  );
  const bare = planOnce([framesPlanner], world({ missing: { nft_bridge: 'none', nftables: 'none' } }));
  assert.deepEqual(bare.problems(), [], 'the policy planner says it');
});

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  fc
    .tuple(
      fc.constantFrom('veth0', 'veth1', 'veth2'),
      fc.constantFrom('fairlead0', 'kube-bridge', 'docker0', undefined),
    )
    .map(([name, bridge]): Step => ({ source: 'ports', key: name, object: bridge && { name, bridge } })),
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
  fc.constantFrom({}, { nft_bridge: 'none' }).map((missing): Step => {
    return { source: 'kernel', key: 'kernel', object: { release: '6.1', missing } };
  }),
);

test('step by step, twice, backwards, in batches: always the rows of a plan from scratch', () => {
  const start: Step = { source: 'config', key: 'config', object: CONFIG };
  fc.assert(
    fc.property(
      fc.array(anyStep, { maxLength: 20 }),
      fc.integer({ min: 1, max: 5 }),
      fc.boolean(),
      fc.boolean(),
      (steps, every, twice, backwards) => {
        const playing = { runs: (i: number) => i % every === 0, twice, backwards };
        assertStepwise([framesPlanner], [start, ...steps], playing);
      },
    ),
    { numRuns: runs(500) },
  );
});
