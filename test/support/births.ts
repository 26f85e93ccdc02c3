import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Births } from '../../src/agent/births.ts';
import { cniRoutes } from '../../src/agent/births-cni.ts';
import type { Reply } from '../../src/agent/http.ts';
import { Loop } from '../../src/agent/loop.ts';
import type { Pod } from '../../src/model/cluster/pod.ts';
import type { Problem } from '../../src/model/problem.ts';
import { nftElementKey } from '../../src/model/rows/nft.ts';
import type { RowOf } from '../../src/model/rows/row.ts';
import { WorldStore } from '../../src/model/world-store.ts';
import { framesPlanner } from '../../src/plan/frames/planner.ts';
import type { Planner } from '../../src/plan/planner.ts';
import { FakeMachine } from '../../src/targets/fake/machine.ts';
import { fakeTargets } from '../../src/targets/fake/targets.ts';
import { FakeClock, seeded } from './fake-clock.ts';
import { CONFIG } from './plan-worlds.ts';

const SET = 'pods';
export const element = (address: string) => nftElementKey(SET, [address]);

/** Stands in for the policies: one element an address of a pod that is known and was born. */
const planner: Planner = {
  name: 'stand-in',
  reads: ['births', 'pods'],
  writes: ['nft'],
  units: (world) => ['set', ...world.births.objects.keys()],
  affected: ({ source, key }, world) =>
    source === 'births' ? [key] : ['set', ...world.births.objects.keys()],
  plan(unit, world) {
    if (unit === 'set') {
      const body = { kind: 'set', name: SET, key: ['ipv4_addr'], interval: false } as const;
      return { rows: [{ target: 'nft', key: `set ${SET}`, body, why: 'a set' }] };
    }
    const birth = world.births.objects.get(unit);
    if (!birth || !world.pods.objects.has(birth.pod)) return { rows: [] };
    const rows = birth.ips.map(
      (address): RowOf<'nft'> => ({
        target: 'nft',
        key: element(address),
        body: { kind: 'element', set: SET, key: [address] },
        why: birth.pod,
        needs: [{ target: 'nft', key: `set ${SET}` }],
      }),
    );
    return { rows };
  },
};

export const pod = (name: string, uid = `uid-${name}`): Pod => ({
  key: `x/${name}`,
  namespace: 'x',
  name,
  uid,
  node: 'n1',
  ips: [],
  hostNetwork: false,
  phase: 'Pending',
  labels: {},
  ports: [],
});

interface Words {
  readonly code: number;
  readonly msg: string;
  readonly details: string;
}

export function wordsOf(reply: { json: unknown; status?: number } | undefined): Words {
  assert.equal(reply?.status, 422);
  return reply.json as Words;
}

/** An agent's births with a fake machine and clock; `start` again is the next agent on that machine. */
export function rig(t: TestContext) {
  const dir = mkdtempSync(join(tmpdir(), 'fairlead-births-'));
  const file = join(dir, 'births.json');
  const clock = new FakeClock();
  const machine = new FakeMachine();
  const problems: (readonly Problem[])[] = [];
  const forgotten: string[] = [];
  t.after(() => rmSync(dir, { recursive: true, force: true }));

  const start = (boot = 'boot-1') => {
    const store = new WorldStore(clock);
    const { world } = store;
    store.put('config', 'config', CONFIG);
    for (const source of ['config', 'kernel', 'cni', 'ports'] as const) store.ready(source);
    store.put('namespaces', 'x', { name: 'x', uid: '', labels: {}, audit: false });
    const births = new Births({ sink: store, world, clock, file, boot, tell: (p) => problems.push(p) });
    births.load();
    const targets = fakeTargets(machine);
    const loop = new Loop({ store, planners: [planner, framesPlanner], targets, clock, random: seeded(1) });
    const forget = async (ips: readonly string[]) => {
      forgotten.push(ips.join(' '));
      if (ips.includes('10.244.1.66')) throw new Error('ENOBUFS');
      await new Promise<void>((resolve) => void clock.after(5, resolve));
    };
    const route = cniRoutes({ births, world, loop, forget })['POST /v1/cni'];
    assert.ok(route);
    loop.onChange(() => births.review());
    store.ready('pods');
    loop.start();
    t.after(() => {
      births.close();
      loop.close();
    });
    const call = async (command: string, id: string, conf: object = {}, args = argsOf(id)) => {
      const query = new URLSearchParams({ command, containerId: id, ifname: 'eth0', args });
      const reply: Reply = await route({ query, body: async () => ({ cniVersion: '1.0.0', ...conf }) });
      assert.ok('json' in reply);
      return reply as { json: unknown; status?: number };
    };
    /** Calls, and says at each look whether the answer has come. */
    const begin = (command: string, id: string, conf?: object) => {
      const seen: { reply: { json: unknown; status?: number } | undefined } = { reply: undefined };
      void call(command, id, conf).then((reply) => (seen.reply = reply));
      return seen;
    };
    const ids = () => [...world.births.objects.keys()];
    return { store, world, births, loop, call, begin, ids };
  };
  return { clock, machine, file, problems, forgotten, start };
}

const argsOf = (id: string) => `IgnoreUnknown=1;K8S_POD_NAMESPACE=x;K8S_POD_NAME=${id};K8S_POD_UID=uid-${id}`;
export const given = (...addresses: readonly string[]) => ({
  prevResult: { cniVersion: '1.0.0', ips: addresses.map((a) => ({ address: `${a}/24` })), dns: {} },
});
