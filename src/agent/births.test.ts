import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { FakeClock, seeded } from '../../test/support/fake-clock.ts';
import { CONFIG } from '../../test/support/plan-worlds.ts';
import type { Pod } from '../model/cluster/pod.ts';
import { ip } from '../model/net/ip.ts';
import type { Problem } from '../model/problem.ts';
import { nftElementKey } from '../model/rows/nft.ts';
import type { RowOf } from '../model/rows/row.ts';
import { WorldStore } from '../model/world-store.ts';
import { framesPlanner } from '../plan/frames/planner.ts';
import type { Planner } from '../plan/planner.ts';
import { FakeMachine } from '../targets/fake/machine.ts';
import { fakeTargets } from '../targets/fake/targets.ts';
import { Births } from './births.ts';
import { cniRoutes } from './births-cni.ts';
import type { Reply } from './http.ts';
import { Loop } from './loop.ts';

const SET = 'pods';
const element = (address: string) => nftElementKey(SET, [address]);

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

const pod = (name: string, uid = `uid-${name}`): Pod => ({
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

function wordsOf(reply: { json: unknown; status?: number } | undefined): Words {
  assert.equal(reply?.status, 422);
  return reply.json as Words;
}

function rig(t: TestContext) {
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
const given = (...addresses: readonly string[]) => ({
  prevResult: { cniVersion: '1.0.0', ips: addresses.map((a) => ({ address: `${a}/24` })), dns: {} },
});

test('ADD answers with the result before it once the rows of the pod are in the kernel, not before', async (t) => {
  const { clock, machine, forgotten, start } = rig(t);
  const { store, begin } = start();
  await clock.advance(100);
  machine.faults.arm({ kind: 'refuse', target: 'nft', key: element('10.244.1.7') });
  const add = begin('ADD', 'a', given('10.244.1.7'));
  await clock.advance(10);
  assert.equal(add.reply, undefined, 'its pod is not known');
  store.put('pods', 'x/a', pod('a'));
  await clock.advance(10);
  assert.equal(machine.things('nft').has(element('10.244.1.7')), false, 'the kernel refused it once');
  assert.equal(add.reply, undefined, 'it is not in the kernel');
  assert.deepEqual(forgotten, []);
  await clock.advance(5_000);
  assert.ok(machine.things('nft').has(element('10.244.1.7')));
  assert.deepEqual(add.reply, { json: given('10.244.1.7').prevResult });
  assert.deepEqual(forgotten, ['10.244.1.7']);
  assert.deepEqual(machine.faults.unconsumed(), []);
});

/** As the CNI plugin `bridge` says it. */
const bridged = (address: string) => ({
  prevResult: {
    ...given(address).prevResult,
    interfaces: [
      { name: 'fairlead0', mac: '02:00:00:00:00:01' },
      { name: 'veth7', mac: '02:00:00:00:00:02' },
      { name: 'eth0', mac: '02:00:00:00:00:03', sandbox: '/run/netns/a' },
    ],
  },
});

test('ADD of a pod on a bridge waits for what is looked at there, too; the next agent knows its port', async (t) => {
  const { clock, machine, start } = rig(t);
  const first = start();
  first.store.put('pods', 'x/a', pod('a'));
  await clock.advance(100);
  machine.faults.arm({ kind: 'refuse', target: 'nft-bridge', key: 'element ports veth7' });
  const add = first.begin('ADD', 'a', bridged('10.244.1.7'));
  await clock.advance(20);
  assert.ok(machine.things('nft').has(element('10.244.1.7')));
  assert.equal(add.reply, undefined, 'its port is not in the kernel');
  await clock.advance(5_000);
  assert.deepEqual(add.reply, { json: bridged('10.244.1.7').prevResult });
  assert.ok(machine.things('nft-bridge').has('element macs veth7 . 02:00:00:00:00:03'));
  assert.deepEqual(machine.faults.unconsumed(), []);
  const attached = { bridge: 'fairlead0', port: 'veth7', mac: '02:00:00:00:00:03' };
  assert.deepEqual(start().births.get('a')?.attached, attached);
});

test('a pod without a bridge has no port', async (t) => {
  const { clock, start } = rig(t);
  const { births, begin } = start();
  const [, ...ptp] = bridged('10.244.1.7').prevResult.interfaces;
  for (const [i, interfaces] of [ptp, [], ['x', null], undefined].entries()) {
    begin('ADD', `${i}`, { prevResult: { ...given(`10.244.1.${i}`).prevResult, interfaces } });
    await clock.advance(10);
    assert.deepEqual(Object.keys(births.get(`${i}`) ?? {}), ['pod', 'uid', 'containerId', 'ips']);
  }
});

test('births at the same time share what looks through all connections; it failing is told to each of them', async (t) => {
  const { clock, forgotten, start } = rig(t);
  const { store, begin } = start();
  await clock.advance(100);
  const names = ['a', 'b', 'c', 'd'];
  for (const name of names) store.put('pods', `x/${name}`, pod(name));
  await clock.advance(100);
  const adds = names.map((name, i) => begin('ADD', name, given(`10.244.1.${i + 2}`)));
  await clock.advance(200);
  assert.deepEqual(
    adds.map(({ reply }) => reply?.status ?? (reply && 200)),
    [200, 200, 200, 200],
  );
  assert.ok(forgotten.length <= 2, forgotten.join());
  assert.deepEqual(forgotten.join(' ').split(' ').sort(), [
    '10.244.1.2',
    '10.244.1.3',
    '10.244.1.4',
    '10.244.1.5',
  ]);
  store.put('pods', 'x/e', pod('e'));
  const add = begin('ADD', 'e', given('10.244.1.66'));
  await clock.advance(100);
  assert.match(wordsOf(add.reply).details, /ENOBUFS/);
});

test("another row's failure holds up nobody else", async (t) => {
  const { clock, machine, start } = rig(t);
  const { store, begin } = start();
  for (const name of ['bad', 'good']) store.put('pods', `x/${name}`, pod(name));
  machine.faults.arm({ kind: 'refuse', target: 'nft', key: element('10.244.1.8'), times: 1000 });
  const bad = begin('ADD', 'bad', given('10.244.1.8'));
  await clock.advance(1_000);
  const good = begin('ADD', 'good', given('10.244.1.9'));
  await clock.advance(100);
  assert.equal(good.reply?.status, undefined);
  assert.ok(good.reply);
  await clock.advance(30_000);
  const { code, msg, details } = wordsOf(bad.reply);
  assert.equal(code, 11);
  assert.match(`${msg}: ${details}`, /Pod x\/bad .* after 30 s: nft element pods 10\.244\.1\.8: .*refused/);
});

test('ADD gives up on a pod or a namespace that nobody told of, and leaves nothing behind', async (t) => {
  const { clock, start } = rig(t);
  const { store, begin, ids } = start();
  const add = begin('ADD', 'a', given('10.244.1.7'));
  await clock.advance(29_000);
  assert.deepEqual([add.reply, ids()], [undefined, ['a']]);
  await clock.advance(2_000);
  assert.match(wordsOf(add.reply).details, /not told of Pod x\/a with uid uid-a/);
  assert.deepEqual(ids(), []);

  store.put('pods', 'x/a', pod('a', 'another'));
  store.put('pods', 'x/b', pod('b'));
  store.remove('namespaces', 'x');
  const [stranger, homeless] = [
    begin('ADD', 'a', given('10.244.1.7')),
    begin('ADD', 'b', given('10.244.1.8')),
  ];
  await clock.advance(31_000);
  assert.match(wordsOf(stranger.reply).details, /Pod x\/a with uid uid-a/);
  assert.match(wordsOf(homeless.reply).details, /Namespace x/);
});

test('while policies cannot be planned no pod is born', async (t) => {
  const { clock, start } = rig(t);
  const { store, begin } = start();
  store.put('pods', 'x/a', pod('a'));
  store.notReady('pods', 'the API server is away');
  await clock.advance(100);
  const add = begin('ADD', 'a', given('10.244.1.7'));
  await clock.advance(5_000);
  assert.equal(add.reply, undefined);
  store.ready('pods');
  await clock.advance(100);
  assert.deepEqual(add.reply, { json: given('10.244.1.7').prevResult });
});

test('policies switched off: at once, and yet known when they are switched on', async (t) => {
  const { start } = rig(t);
  const { store, call, ids } = start();
  store.put('config', 'config', { ...CONFIG, policy: { ...CONFIG.policy, enabled: false } });
  assert.equal((await call('ADD', 'a', given('10.244.1.7'))).status, undefined);
  assert.deepEqual(ids(), ['a']);
});

test('DEL ends a birth at once, also one that is waited for', async (t) => {
  const { clock, start } = rig(t);
  const { begin, call, ids } = start();
  const add = begin('ADD', 'a', given('10.244.1.7'));
  await clock.advance(10);
  assert.deepEqual(await call('DEL', 'a'), { json: {} });
  assert.deepEqual(ids(), []);
  await clock.advance(10);
  assert.match(wordsOf(add.reply).msg, /taken away/);
  assert.deepEqual(await call('DEL', 'a'), { json: {} }, 'twice is fine');
});

test('an agent that starts again knows its births before anybody tells it; after a reboot there are none', async (t) => {
  const { clock, file, start } = rig(t);
  const first = start();
  first.store.put('pods', 'x/a', pod('a'));
  const add = first.begin('ADD', 'a', given('10.244.1.7', 'fd00:244:1::7'));
  await clock.advance(100);
  assert.equal(add.reply?.status, undefined);
  first.loop.close();
  const second = start();
  assert.equal(second.world.births.ready, true);
  assert.deepEqual(second.births.get('a'), {
    pod: 'x/a',
    uid: 'uid-a',
    containerId: 'a',
    ips: ['10.244.1.7', 'fd00:244:1::7'],
  });
  assert.deepEqual(start('boot-2').ids(), []);
  const half = readFileSync(file, 'utf8').slice(0, -9);
  for (const text of ['', '{', half, '[]', '{"boot":"boot-1","births":{"a":{"pod":1},"b":null}}']) {
    writeFileSync(file, text);
    assert.deepEqual(start().ids(), [], text);
  }
});

test('an address has one owner: a newer pod takes it from one whose DEL was lost', async (t) => {
  const { start } = rig(t);
  const { births, ids } = start();
  const born = (name: string, ...ips: string[]) =>
    births.put(name, { pod: `x/${name}`, uid: '', containerId: name, ips: ips.map(ip) });
  born('a', '10.244.1.7', 'fd00:244:1::7');
  born('b', '10.244.1.8');
  born('c', '10.244.1.7');
  assert.deepEqual(births.get('a')?.ips, ['fd00:244:1::7']);
  born('d', 'fd00:244:1::7');
  assert.deepEqual(ids(), ['b', 'c', 'd']);
});

test('births whose pods are gone from a complete table are dropped after a minute', async (t) => {
  const { clock, start } = rig(t);
  const { store, births, ids } = start();
  for (const name of ['a', 'b', 'c']) {
    store.put('pods', `x/${name}`, pod(name));
    births.put(name, {
      pod: `x/${name}`,
      uid: `uid-${name}`,
      containerId: name,
      ips: [ip(`10.244.1.${name.charCodeAt(0)}`)],
    });
  }
  await clock.advance(100_000);
  assert.deepEqual(ids(), ['a', 'b', 'c']);
  store.notReady('pods', 'away');
  store.remove('pods', 'x/a');
  await clock.advance(200_000);
  assert.deepEqual(ids(), ['a', 'b', 'c'], 'an API server that is away deletes nothing');
  store.ready('pods');
  store.put('pods', 'x/b', pod('b', 'made anew'));
  await clock.advance(50_000);
  assert.deepEqual(ids(), ['a', 'b', 'c']);
  await clock.advance(30_000);
  assert.deepEqual(ids(), ['c']);
});

test("GC drops what is not in the runtime's list, and nothing without a list", async (t) => {
  const { start } = rig(t);
  const { births, call, ids } = start();
  for (const name of ['a', 'b'])
    births.put(name, {
      pod: `x/${name}`,
      uid: '',
      containerId: name,
      ips: [ip(`10.244.1.${name.charCodeAt(0)}`)],
    });
  await call('GC', 'any');
  assert.deepEqual(ids(), ['a', 'b']);
  await call('GC', 'any', { 'cni.dev/valid-attachments': [{ containerID: 'b', ifname: 'eth0' }] });
  assert.deepEqual(ids(), ['b']);
});

test('CHECK says what is not as it was made', async (t) => {
  const { clock, machine, start } = rig(t);
  const { store, begin, call } = start();
  store.put('pods', 'x/a', pod('a'));
  assert.match(wordsOf(await call('CHECK', 'a', given('10.244.1.7'))).details, /not told/);
  begin('ADD', 'a', given('10.244.1.7'));
  await clock.advance(100);
  assert.deepEqual(await call('CHECK', 'a', given('10.244.1.7')), { json: {} });
  machine.faults.arm({ kind: 'observe', target: 'nft' });
  assert.equal((await call('CHECK', 'a', given('10.244.1.9'))).status, 422);
});

test('what a runtime must not send is refused in the words of CNI', async (t) => {
  const { start } = rig(t);
  const { call } = start();
  const code = async (...args: Parameters<typeof call>) => wordsOf(await call(...args)).code;
  assert.equal(await code('ADD', '', given()), 4);
  assert.equal(await code('ADD', 'a', given(), 'K8S_POD_NAME=a'), 4);
  assert.equal(await code('ADD', 'a', {}), 7);
  assert.equal(await code('ADD', 'a', given('no address')), 7);
  assert.equal(await code('ADD', 'a', { prevResult: { ips: [7, null] } }), 7);
  assert.equal(await code('REBOOT', 'a'), 4);
});

test('a state folder that cannot be written is a problem and stops no pod', async (t) => {
  const { file, problems, start } = rig(t);
  const { births, ids } = start();
  rmSync(join(file, '..'), { recursive: true });
  births.put('a', { pod: 'x/a', uid: '', containerId: 'a', ips: [ip('10.244.1.7')] });
  assert.deepEqual(ids(), ['a']);
  assert.match(problems[0]?.[0]?.message ?? '', /cannot be written: .*ENOENT/);
});
