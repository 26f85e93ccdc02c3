import assert from 'node:assert/strict';
import { test } from 'node:test';
import { element, given, pod, rig, wordsOf } from '../../test/support/births.ts';
import { CONFIG } from '../../test/support/plan-worlds.ts';
import { ip } from '../model/net/ip.ts';

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
