import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { given, pod, rig } from '../../test/support/births.ts';
import { ip } from '../model/net/ip.ts';
import { mac } from '../model/net/mac.ts';

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

test('a birth whose port is gone for a minute is dropped, and none because a listing was late', async (t) => {
  const { clock, start } = rig(t);
  const { store, births, ids } = start();
  store.put('pods', 'x/a', pod('a'));
  const attached = { bridge: 'fairlead0', port: 'veth1', mac: mac('02:00:00:00:00:01') };
  births.put('a', { pod: 'x/a', uid: 'uid-a', containerId: 'a', ips: [ip('10.244.1.7')], attached });
  await clock.advance(50_000);
  store.put('ports', 'veth1', { name: 'veth1', bridge: 'fairlead0', mtu: 1500 });
  await clock.advance(200_000);
  assert.deepEqual(ids(), ['a']);
  store.remove('ports', 'veth1');
  store.notReady('ports', 'ENOBUFS');
  await clock.advance(200_000);
  assert.deepEqual(ids(), ['a'], 'nothing is known of ports');
  store.ready('ports');
  store.put('ports', 'veth2', { name: 'veth2', bridge: 'fairlead0', mtu: 1500 });
  await clock.advance(130_000);
  assert.deepEqual(ids(), []);
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

test('a state folder that cannot be written is a problem and stops no pod', async (t) => {
  const { file, problems, start } = rig(t);
  const { births, ids } = start();
  rmSync(join(file, '..'), { recursive: true });
  births.put('a', { pod: 'x/a', uid: '', containerId: 'a', ips: [ip('10.244.1.7')] });
  assert.deepEqual(ids(), ['a']);
  assert.match(problems[0]?.[0]?.message ?? '', /cannot be written: .*ENOENT/);
});
