import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../../../test/support/fake-clock.ts';
import type { LinkBody } from '../../model/rows/link.ts';
import type { RouteBody } from '../../model/rows/route.ts';
import type { TargetName } from '../../model/rows/row.ts';
import type { Change } from '../../reconcile/target.ts';
import { dump } from './dump.ts';
import { FakeMachine } from './machine.ts';
import { fakeTargets } from './targets.ts';

const machine = () => new FakeMachine({ eth0: { up: true, addresses: ['10.0.0.1/24'] } });

const vxlan = (changes: Partial<LinkBody> = {}): LinkBody =>
  ({
    name: 'fl-vxlan',
    mtu: 1450,
    up: true,
    alias: 'fairlead',
    type: { kind: 'vxlan', vni: 1, port: 8472, local: '10.0.0.1', underlay: 'eth0' },
    ...changes,
  }) as LinkBody;

const route = (dst: string, dev: string, via?: string, onlink = false): RouteBody =>
  ({ dst, table: 254, type: 'unicast', nextHops: [{ dev, via, onlink, weight: 1 }] }) as unknown as RouteBody;

const add = (key: string, wanted: unknown): Change<unknown> => ({ key, wanted, found: undefined });

function refused(on: FakeMachine, target: TargetName, key: string, body: unknown): string {
  const [outcome] = on.apply(target, [add(key, body)]) ?? [];
  return outcome?.ok ? 'done' : (outcome?.error.message ?? 'nothing');
}

test('refuses what a kernel refuses, in its words', () => {
  const m = machine();
  const tries: [TargetName, string, unknown, RegExp][] = [
    ['route', 'a', route('10.1.0.0/24', 'eth7'), /^ENODEV/],
    ['route', 'a', route('10.1.0.0/24', 'eth0', '10.9.0.1'), /^ENETUNREACH/],
    ['route', 'a', { ...route('10.1.0.0/24', 'eth0', '10.0.0.2'), source: '10.3.0.1' }, /^EINVAL/],
    ['address', 'a', { dev: 'fl-vxlan', address: 'fe80::1/64' }, /^ENODEV/],
    ['neighbor', 'a', { dev: 'fl-vxlan', ip: 'fe80::1' }, /^ENODEV/],
    ['fdb', 'a', { dev: 'eth0', mac: '02:00:00:00:00:01' }, /^EOPNOTSUPP/],
    ['link', 'eth0', vxlan({ name: 'eth0' }), /^EEXIST/],
    ['sysctl', 'a', { path: 'net/ipv4/conf/fl-vxlan/rp_filter', value: '2' }, /^ENOENT/],
    ['route', 'a', route('10.1.0.0/24', 'eth0', '10.0.0.2'), /^done$/],
    ['route', 'b', route('10.2.0.0/24', 'eth0', '10.9.0.1', true), /^done$/],
  ];
  for (const [target, key, body, words] of tries) assert.match(refused(m, target, key, body), words);
  m.setUp('eth0', false);
  assert.match(refused(m, 'route', 'a', route('10.1.0.0/24', 'eth0')), /^ENETDOWN/);
});

test("does not take over what is somebody else's, and does not show it as ours", () => {
  const m = machine();
  m.put('route', 'a', route('10.1.0.0/24', 'eth0'), false);
  assert.match(refused(m, 'route', 'a', route('10.1.0.0/24', 'eth0')), /^EEXIST/);
  assert.deepEqual([...m.observe('route')], []);
});

test('a link takes along what stands on it; a new VNI is a new device', () => {
  const m = machine();
  const fill = () => {
    m.apply('link', [add('fl-vxlan', vxlan())]);
    m.apply('route', [add('a', route('10.1.0.0/24', 'fl-vxlan'))]);
    m.apply('address', [add('b', { dev: 'fl-vxlan', address: 'fe80::1/64' })]);
  };
  fill();
  m.apply('link', [{ key: 'fl-vxlan', wanted: vxlan({ mtu: 1400 }), found: vxlan() }]);
  assert.equal(m.things('route').size, 1);
  m.apply('link', [add('fl-vxlan', vxlan({ type: { ...vxlan().type, vni: 2 } }))]);
  assert.deepEqual([m.things('route').size, m.things('address').size], [0, 0]);
  fill();
  m.apply('link', [{ key: 'fl-vxlan', wanted: undefined, found: vxlan() }]);
  assert.deepEqual([m.things('link').size, m.things('route').size, m.things('address').size], [0, 0, 0]);
});

test('a route by id needs its nexthop and goes with it; a nexthop goes with its link, up or there', () => {
  const m = machine();
  const byId = { ...route('10.1.0.0/24', 'fl-vxlan', 'fe80::2', true) };
  const named = { ...byId, nextHops: byId.nextHops.map((hop) => ({ ...hop, id: 7 })) };
  const nexthop = { id: 7, dev: 'fl-vxlan', via: 'fe80::2', onlink: true };
  const there = () => [m.things('nexthop').size, m.things('route').size];
  const fill = () => {
    m.apply('nexthop', [add('7', nexthop)]);
    m.apply('route', [add('10.1.0.0/24', named)]);
    assert.deepEqual(there(), [1, 1]);
  };
  m.apply('link', [add('fl-vxlan', vxlan())]);
  assert.match(refused(m, 'route', '10.1.0.0/24', named), /^EINVAL: Nexthop id does not exist/);
  fill();
  const heard: unknown[] = [];
  m.watch('route', (keys) => heard.push(keys));
  m.take('nexthop', '7');
  assert.deepEqual([there(), heard], [[0, 0], ['unknown']]);
  fill();
  m.apply('nexthop', [{ key: '7', wanted: { ...nexthop, dev: 'eth0', via: '10.0.0.2' }, found: nexthop }]);
  m.setUp('fl-vxlan', false);
  assert.deepEqual(there(), [1, 1], 'it led elsewhere already');
  m.setUp('eth0', false);
  assert.deepEqual(there(), [0, 0]);
});

test('a transaction is all or nothing, and names the culprit', () => {
  const m = machine();
  const set = { kind: 'set', name: 's', key: ['ipv4_addr'], interval: false };
  const element = (name: string) => ({ kind: 'element', set: name, key: ['10.0.0.1'] });
  const outcomes = m.commit('nft', [add('set s', set), add('element t 1', element('t'))]) ?? [];
  assert.deepEqual(
    outcomes.map((o) => (o.ok ? 'done' : o.error.message)),
    ['rolled back: other rows of the transaction failed', 'ENOENT: no set t'],
  );
  assert.equal(m.things('nft').size, 0);
  const done = m.commit('nft', [add('element s 1', element('s')), add('set s', set)]) ?? [];
  assert.ok(
    done.every((o) => o.ok),
    'order inside does not matter',
  );
  const [busy] = m.commit('nft', [{ key: 'set s', wanted: undefined, found: set }]) ?? [];
  assert.match(busy?.ok ? '' : (busy?.error.message ?? ''), /^EBUSY: element s 1 uses it/);
});

test('sysctls get their old value back', () => {
  const m = machine();
  m.put('sysctl', 'net/ipv4/ip_forward', { path: 'net/ipv4/ip_forward', value: '0' }, false);
  const before = dump(m);
  const wanted = { path: 'net/ipv4/ip_forward', value: '1' };
  m.apply('sysctl', [add('net/ipv4/ip_forward', wanted)]);
  assert.notEqual(dump(m), before);
  m.apply('sysctl', [{ key: 'net/ipv4/ip_forward', wanted: undefined, found: wanted }]);
  assert.equal(dump(m), before);
});

test('a torn call does part of the work and throws; armed faults are counted', () => {
  const m = machine();
  m.faults.arm({ kind: 'tear', target: 'route', after: 1 });
  m.faults.arm({ kind: 'refuse', target: 'route', key: 'never', times: 2 });
  const batch = [add('a', route('10.1.0.0/24', 'eth0')), add('b', route('10.2.0.0/24', 'eth0'))];
  assert.throws(() => m.apply('route', batch), /ENOBUFS/);
  assert.deepEqual([...m.things('route').keys()], ['a']);
  assert.deepEqual(
    m.faults.unconsumed().map((fault) => fault.key),
    ['never'],
  );
});

test('bad weather strikes about as often as it should', () => {
  const m = machine();
  m.faults.weather(0.1, seeded(1));
  let failed = 0;
  for (let i = 0; i < 1000; i++) {
    try {
      m.observe('route');
    } catch {
      failed++;
    }
  }
  assert.ok(failed > 60 && failed < 140, `${failed}`);
});

test('targets notify of what others do, and not when hushed', () => {
  const m = machine();
  const target = fakeTargets(m).find((t) => t.name === 'route');
  const heard: unknown[] = [];
  target?.watch?.((keys) => heard.push(keys === 'unknown' ? keys : [...keys]));
  m.put('route', 'a', route('10.1.0.0/24', 'eth0'));
  m.faults.arm({ kind: 'hush', target: 'route' });
  m.take('route', 'a');
  m.overrun('route');
  assert.deepEqual(heard, [['a'], 'unknown']);
  assert.deepEqual(m.faults.unconsumed(), []);
});
