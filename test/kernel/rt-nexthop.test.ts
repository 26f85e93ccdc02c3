/** Targets `nexthop` and `route` by id on the real kernel. FAIRLEAD_RUNS multiplies the random cases. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Cidr } from '../../src/model/net/cidr.ts';
import type { Ip } from '../../src/model/net/ip.ts';
import { type NexthopBody, nexthopId, nexthopKey } from '../../src/model/rows/nexthop.ts';
import { type NextHop, type RouteBody, routeKey } from '../../src/model/rows/route.ts';
import { probeKernel } from '../../src/sources/host/kernel.ts';
import { lookUpRoute } from '../../src/targets/linux/netlink/rtnetlink/route.ts';
import { nexthopTarget } from '../../src/targets/linux/nexthop.ts';
import { routeTarget } from '../../src/targets/linux/route.ts';
import { fc } from '../support/property.ts';
import { until } from '../support/until.ts';
import {
  assertOk,
  checkTargetLaws,
  ip,
  ipBatch,
  keyed,
  pass,
  routeEvents,
  routingMachine,
  turns,
} from './rt-laws.ts';

const { nl, other } = routingMachine(['fl-a', 'fl-b']);
const nexthops = nexthopTarget(nl);
const routes = routeTarget(nl);

const IDS = [
  1,
  7,
  nexthopId('10.1.2.0/24'),
  nexthopId('10.1.3.0/24'),
  nexthopId('223.255.255.0/24'),
  2 ** 32 - 1,
];
const gateway = fc.constantFrom(
  { dev: 'fl-a', via: 'fe80::2' as Ip, onlink: true },
  { dev: 'fl-a', via: 'fe80::3' as Ip, onlink: true },
  { dev: 'fl-b', via: 'fe80::2' as Ip, onlink: true },
  { dev: 'fl-b', via: '203.0.113.7' as Ip, onlink: true },
  { dev: 'eth0', via: '192.0.2.2' as Ip, onlink: false },
  { dev: 'eth0', via: '2001:db8::2' as Ip, onlink: false },
);
const body = fc.tuple(fc.constantFrom(...IDS), gateway).map(([id, way]): NexthopBody => ({ id, ...way }));

interface Foreign {
  readonly id: number;
  readonly how: string;
}
const foreign = fc.uniqueArray(
  fc.record({
    id: fc.constantFrom(...IDS, 99),
    how: fc.constantFrom('via 192.0.2.9 dev eth0 proto static', 'blackhole', 'dev eth1 proto zebra'),
  }),
  { selector: (f: Foreign) => f.id, maxLength: 3 },
);

test('the five laws', async () => {
  await checkTargetLaws({
    target: nexthops,
    witness: nexthopTarget(other),
    state: keyed(body, (b) => nexthopKey(b.id)),
    foreign,
    make: (things: readonly Foreign[]) => void ipBatch(things.map((f) => `nexthop add id ${f.id} ${f.how}`)),
    unmake: (things) => void ipBatch(things.map((f) => `nexthop del id ${f.id}`)),
    others: () =>
      ip('nexthop', 'show')
        .split('\n')
        .filter((line) => !line.includes('proto 201'))
        .join('\n'),
    refused: (key, things) => things.some((f) => nexthopKey(f.id) === key),
    disturb(state, seed) {
      const [one] = [...state.values()];
      const place = ['id', String(one?.id), 'proto', '201'];
      if (one && seed % 4 === 0) ip('nexthop', 'del', 'id', String(one.id));
      if (one && seed % 4 === 1) ip('nexthop', 'replace', ...place, 'via', '192.0.2.77', 'dev', 'eth0');
      if (one && seed % 4 === 2) ip('nexthop', 'replace', ...place, 'blackhole');
      if (seed % 4 === 3) ip('nexthop', 'add', 'id', '4000', 'blackhole', 'proto', '201');
    },
  });
});

const ID = nexthopId('10.5.0.0/24');
const nexthop = (dev = 'fl-a', via = 'fe80::2', id = ID): NexthopBody => ({
  id,
  dev,
  via: via as Ip,
  onlink: true,
});
const put = (b: NexthopBody) => ({ key: nexthopKey(b.id), wanted: b, found: undefined });
const only = (b: NexthopBody) => new Map([[nexthopKey(b.id), b]]);

const route = (
  hop: Omit<NextHop, 'weight'>,
  dst = '10.5.0.0/24',
  more: Partial<RouteBody> = {},
): RouteBody => ({
  dst: dst as Cidr,
  table: 254,
  type: 'unicast',
  nextHops: [{ weight: 1, ...hop }],
  source: undefined,
  mtu: undefined,
  ...more,
});
const putRoute = (b: RouteBody, found?: RouteBody) => ({ key: routeKey(b.dst), wanted: b, found });
const onlyRoute = (b: RouteBody) => new Map([[routeKey(b.dst), b]]);
const shown = () => ip('route', 'show', 'proto', '201').trim();
const clear = async () => {
  await pass(routes, new Map());
  await pass(nexthops, new Map());
};

test('this kernel has nexthop objects, and says so', async () => {
  assert.equal((await probeKernel(nl)).missing.nexthop, undefined);
});

test('an id that another holds is refused with the words of whose it is; an unknown one of ours is a change', async () => {
  ip('nexthop', 'add', 'id', String(ID), 'via', '192.0.2.9', 'dev', 'eth0', 'proto', 'zebra');
  const [first, second] = await nexthops.apply([put(nexthop()), put(nexthop('fl-a', 'fe80::2', 5))]);
  assert.ok(second?.ok && first && !first.ok);
  assert.match(
    first.error.message,
    new RegExp(
      `nexthop ${ID}: the id is held by another's nexthop: proto zebra via 192\\.0\\.2\\.9 dev eth0`,
    ),
  );
  ip('nexthop', 'del', 'id', String(ID));
  ip('nexthop', 'add', 'id', String(ID), 'via', '192.0.2.9', 'dev', 'eth0', 'proto', '201');
  assertOk([put(nexthop())], await nexthops.apply([put(nexthop())]));
  assert.match(ip('nexthop', 'show', 'id', String(ID)), /via fe80::2 dev fl-a .*proto 201 onlink/);
  await clear();
});

test('a route by id loses its MTU again', async () => {
  await pass(nexthops, only(nexthop()));
  const narrow = route(nexthop(), '10.5.0.0/24', { mtu: 1250 });
  const wide = route(nexthop());
  for (const body of [narrow, wide, narrow, wide]) {
    await pass(routes, onlyRoute(body));
    assert.deepEqual(await pass(routes, onlyRoute(body)), [], 'the kernel has something else');
    assert.equal(/ mtu 1250/.test(shown()), body.mtu === 1250);
  }
  await clear();
});

test('a route by id reads well, is looked up like any, and is not the same as a plain one', async () => {
  await pass(nexthops, only(nexthop()));
  const byId = route({ ...nexthop() }, '10.5.0.0/24', { mtu: 1400, source: '192.0.2.1' as Ip });
  const plain = route({ dev: 'fl-a', via: 'fe80::2' as Ip, onlink: true }, '10.5.0.0/24', {
    mtu: 1400,
    source: '192.0.2.1' as Ip,
  });
  await pass(routes, onlyRoute(byId));
  assert.equal(shown(), `10.5.0.0/24 nhid ${ID} via inet6 fe80::2 dev fl-a src 192.0.2.1 onlink mtu 1400`);
  const found = (await routes.observe()).get('10.5.0.0/24');
  assert.ok(found && routes.same(byId, found) && !routes.same(plain, found));
  const looked = await lookUpRoute(nl, { to: '10.5.0.7' });
  assert.deepEqual(
    looked.hops.map((hop) => hop.via),
    ['fe80::2'],
  );
  await pass(nexthops, only(nexthop('fl-b')));
  const moved = (await routes.observe()).get('10.5.0.0/24');
  assert.ok(moved && !routes.same(byId, moved), 'a route that its nexthop led elsewhere is not as wanted');
  await clear();
});

test('between a plain next hop and an id a change is one replace, in both directions and again', async () => {
  await pass(nexthops, only(nexthop()));
  const byId = route({ ...nexthop() });
  const plain = route({ dev: 'eth0', via: '192.0.2.2' as Ip, onlink: false });
  const equal = route({ dev: 'fl-a', via: 'fe80::2' as Ip, onlink: true });
  await pass(routes, onlyRoute(plain));
  const events = routeEvents(other, '10.5.0.0');
  let before = plain;
  const steps = [byId, plain, byId, equal, byId, plain];
  for (const next of steps) {
    assertOk([putRoute(next)], await routes.apply([putRoute(next, before)]));
    const found = (await routes.observe()).get('10.5.0.0/24');
    assert.ok(found && routes.same(next, found), JSON.stringify(found));
    assert.equal(shown().split('\n').length, 1);
    before = next;
  }
  assert.deepEqual(
    await events.end(),
    steps.map(() => 24),
    'RTM_NEWROUTE each time and no RTM_DELROUTE',
  );
  await clear();
});

test('a nexthop replaced in place takes its routes to the new device: at no time is the prefix without a route', async () => {
  await pass(nexthops, only(nexthop('fl-a')));
  await pass(routes, onlyRoute(route({ ...nexthop('fl-a') })));
  const events = routeEvents(other, '10.5.0.0');
  await pass(nexthops, only(nexthop('fl-b')));
  assert.match(shown(), /nhid \d+ via inet6 fe80::2 dev fl-b/);
  assert.ok(!(await events.end()).includes(25), 'no RTM_DELROUTE');
  assert.equal((await pass(routes, onlyRoute(route({ ...nexthop('fl-b') })))).length <= 1, true);
  assert.equal((await pass(routes, onlyRoute(route({ ...nexthop('fl-b') })))).length, 0);
  await clear();
});

test('where the kernel tells no more than the id (nexthop_compat_mode 0) the id is compared', async () => {
  await pass(nexthops, only(nexthop()));
  const wanted = onlyRoute(route({ ...nexthop() }));
  await pass(routes, wanted);
  const mode = '/proc/sys/net/ipv4/nexthop_compat_mode';
  writeFileSync(mode, '0');
  try {
    assert.equal(shown(), `10.5.0.0/24 nhid ${ID}`);
    assert.equal((await pass(routes, wanted)).length, 0);
    const told: string[] = [];
    const fresh = routeTarget(nl);
    await fresh.observe();
    const watch = fresh.watch?.((keys) => told.push(keys === 'unknown' ? 'unknown' : [...keys].join()));
    ip('link', 'set', 'fl-a', 'down');
    await until('any link event is told', () => told.includes('unknown'));
    watch?.close();
  } finally {
    writeFileSync(mode, '1');
    ip('link', 'set', 'fl-a', 'up');
  }
  await clear();
});

test('drift: others by key, own changes not, links as unknown; the route target hears of nexthops that took routes along', async () => {
  const told: string[] = [];
  const ofRoutes: string[] = [];
  const wanted = only(nexthop());
  const wantedRoute = onlyRoute(route({ ...nexthop() }));
  const watches = [
    nexthops.watch?.((keys) => told.push(keys === 'unknown' ? 'unknown' : [...keys].join())),
    routes.watch?.((keys) => ofRoutes.push(keys === 'unknown' ? 'unknown' : [...keys].join())),
  ];
  await pass(nexthops, wanted);
  await pass(routes, wantedRoute);
  await turns();
  assert.deepEqual([told, ofRoutes], [[], []], 'own changes');
  ip('nexthop', 'add', 'id', '77', 'blackhole');
  ip('nexthop', 'del', 'id', '77');
  await turns();
  assert.deepEqual([told, ofRoutes], [[], []], "another's nexthop");
  ip('nexthop', 'del', 'id', String(ID));
  await until('the deletion is told', () => told.includes(String(ID)) && ofRoutes.includes('unknown'));
  assert.equal((await routes.observe()).size, 0, 'the route went along');
  await pass(nexthops, wanted);
  await pass(routes, wantedRoute);
  for (const list of [told, ofRoutes]) list.length = 0;
  ip('link', 'set', 'fl-a', 'down');
  await until('the link event is told', () => told.includes('unknown') && ofRoutes.includes('unknown'));
  assert.deepEqual([(await nexthops.observe()).size, (await routes.observe()).size], [0, 0]);
  ip('link', 'set', 'fl-a', 'up');
  for (const watch of watches) watch?.close();
  await clear();
});

test('five thousand nexthops and routes: put, seen, gone together', async () => {
  const hops = new Map<string, NexthopBody>();
  const state = new Map<string, RouteBody>();
  for (let i = 0; i < 5000; i++) {
    const dst = `10.${100 + (i >> 8)}.${i & 255}.0/24`;
    const hop = nexthop('fl-a', `fe80::1:${(i + 1).toString(16)}`, nexthopId(dst));
    hops.set(nexthopKey(hop.id), hop);
    state.set(dst, route({ ...hop }, dst));
  }
  await pass(nexthops, hops);
  await pass(routes, state);
  assert.equal((await pass(nexthops, hops)).length + (await pass(routes, state)).length, 0);
  assert.equal(shown().split('\n').length, 5000);
  ip('nexthop', 'flush', 'proto', '201');
  assert.equal(shown(), '', 'one command for operators takes both');
  assert.equal((await nexthops.observe()).size, 0);
});
