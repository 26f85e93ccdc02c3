/** Target `route` on the real kernel. FAIRLEAD_RUNS multiplies the random cases. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cidr } from '../../src/model/net/cidr.ts';
import { type Family, familyOf, type Ip } from '../../src/model/net/ip.ts';
import { type NextHop, type RouteBody, routeKey } from '../../src/model/rows/route.ts';
import { lookUpRoute } from '../../src/targets/linux/netlink/rtnetlink/route.ts';
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
const target = routeTarget(nl);

const PREFIXES: Readonly<Record<Family, readonly string[]>> = {
  ipv4: ['0.0.0.0/0', '10.1.0.0/16', '10.1.2.0/24', '10.1.3.0/24', '10.1.2.128/25', '10.9.9.9/32'],
  ipv6: ['::/0', 'fd00:1::/48', 'fd00:1:2::/64', 'fd00:1:3::/64', 'fd00:1:2::/65', 'fd00:9::9/128'],
};

const hop = (dev: string, via: string | undefined, onlink: boolean, weight = 1): NextHop => ({
  dev,
  via: via as Ip | undefined,
  onlink,
  weight,
});

/** Gateways that work in a next hop beside others. */
const GATEWAYS: Readonly<Record<Family, readonly NextHop[]>> = {
  ipv4: [
    hop('eth0', '192.0.2.2', false),
    hop('eth0', '192.0.2.3', false),
    hop('eth1', '198.51.100.2', false),
    hop('eth0', '203.0.113.9', true),
    hop('fl-a', 'fe80::2', true),
    hop('fl-a', 'fe80::3', true),
    hop('fl-b', 'fe80::2', true),
    hop('eth0', '2001:db8::2', false),
  ],
  ipv6: [
    hop('eth0', '2001:db8::2', false),
    hop('eth0', '2001:db8::3', false),
    hop('eth1', '2001:db8:1::2', false),
    hop('fl-a', 'fe80::2', true),
    hop('fl-b', 'fe80::2', true),
    hop('fl-b', '2001:db8:77::1', true),
  ],
};
const SOURCES: Readonly<Record<Family, readonly string[]>> = {
  ipv4: ['192.0.2.1', '198.51.100.1'],
  ipv6: ['2001:db8::1', '2001:db8:1::1'],
};

const body = (family: Family): fc.Arbitrary<RouteBody> => {
  const place = {
    dst: fc.constantFrom(...PREFIXES[family]) as fc.Arbitrary<Cidr>,
    table: fc.constantFrom(254, 254, 77, 1000),
  };
  const gateways = fc
    .uniqueArray(fc.constantFrom(...GATEWAYS[family]), { minLength: 1, maxLength: 3 })
    .chain((hops) =>
      fc.tuple(...hops.map((h) => fc.integer({ min: 1, max: 256 }).map((weight) => ({ ...h, weight })))),
    )
    .map((hops) => (hops.length === 1 ? hops.map((h) => ({ ...h, weight: 1 })) : hops));
  const direct = fc.constantFrom('eth0', 'fl-a').map((dev) => [hop(dev, undefined, false)]);
  return fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        ...place,
        type: fc.constant('unicast' as const),
        nextHops: fc.oneof({ weight: 4, arbitrary: gateways }, { weight: 1, arbitrary: direct }),
        source: fc.constantFrom(undefined, undefined, ...(SOURCES[family] as Ip[])),
        mtu: fc.constantFrom(undefined, undefined, 1280, 1400),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        ...place,
        type: fc.constantFrom('blackhole' as const, 'unreachable' as const, 'prohibit' as const),
        nextHops: fc.constant([]),
        source: fc.constant(undefined),
        mtu: fc.constant(undefined),
      }),
    },
  );
};

interface Foreign {
  readonly dst: string;
  readonly table: number;
  readonly metric: number | undefined;
  readonly how: string;
}
const foreign = fc.uniqueArray(
  fc.record({
    dst: fc.constantFrom(...PREFIXES.ipv4, ...PREFIXES.ipv6),
    table: fc.constantFrom(254, 77),
    metric: fc.constantFrom(undefined, 50, 2000),
    how: fc.constantFrom('dev eth0 proto static', 'dev eth1 proto boot', 'dev eth1 proto bgp'),
  }),
  { selector: (f: Foreign) => `${f.dst} ${f.table} ${f.metric}`, maxLength: 4 },
);
const text = ({ dst, table, metric, how }: Foreign) =>
  `route ADD ${dst} ${how} table ${table}${metric === undefined ? '' : ` metric ${metric}`}`;

const all = () => `${ip('route', 'show', 'table', 'all')}\n${ip('-6', 'route', 'show', 'table', 'all')}`;
const bodies = fc.oneof(body('ipv4'), body('ipv6'));

test('the five laws', async () => {
  await checkTargetLaws({
    target,
    witness: routeTarget(other),
    state: keyed(bodies, (b) => routeKey(b.dst, b.table)),
    foreign,
    make: (things: readonly Foreign[]) => void ipBatch(things.map((f) => text(f).replace('ADD', 'add'))),
    // One without metric is deleted last: the kernel takes any that fits.
    unmake: (things) =>
      void ipBatch(
        things
          .toSorted((a, b) => (b.metric ?? 0) - (a.metric ?? 0))
          .map((f) => text(f).replace('ADD', 'del')),
      ),
    // A next hop of several stands on a line of its own.
    others: () =>
      all()
        .split('\n')
        .filter((line) => !line.includes('proto 201') && !line.startsWith('\t'))
        .join('\n'),
    refused: (key, things) => things.some((f) => f.metric === undefined && routeKey(f.dst, f.table) === key),
    disturb(state, seed) {
      const [key, one] = [...state][seed % Math.max(state.size, 1)] ?? [];
      if (!key || !one) return;
      const six = familyOf(one.dst) === 'ipv6' ? ['-6'] : [];
      const place = [one.dst, 'table', String(one.table), 'proto', '201'];
      if (seed % 3 === 0) tolerant(() => ip(...six, 'route', 'del', ...place));
      else if (seed % 3 === 1) tolerant(() => ip(...six, 'route', 'change', ...place, 'dev', 'eth1'));
      else tolerant(() => ip(...six, 'route', 'add', ...place, 'dev', 'eth1', 'metric', '7'));
    },
  });
});

function tolerant(work: () => void): void {
  try {
    work();
  } catch {
    // it was refused, because a foreign route holds the place
  }
}

const via = (dst: string, next: NextHop): RouteBody => ({
  dst: dst as Cidr,
  table: 254,
  type: 'unicast',
  nextHops: [next],
  source: undefined,
  mtu: undefined,
});
const put = (b: RouteBody) => ({ key: routeKey(b.dst, b.table), wanted: b, found: undefined });
const clear = () => pass(target, new Map());

test('a prefix that another holds is refused with the words of whose it is, and its neighbours are done', async () => {
  ip('route', 'add', '10.5.0.0/24', 'via', '192.0.2.9', 'proto', 'static');
  const changes = ['10.4.0.0/24', '10.5.0.0/24', '10.6.0.0/24'].map((dst) =>
    put(via(dst, hop('fl-a', 'fe80::2', true))),
  );
  const [first, second, third] = await target.apply(changes);
  assert.ok(first?.ok && third?.ok && second && !second.ok);
  assert.match(
    second.error.message,
    /route 10\.5\.0\.0\/24: the prefix is held by another's route: proto static via 192\.0\.2\.9 dev eth0/,
  );
  assert.match(ip('route', 'show', '10.5.0.0/24'), /via 192\.0\.2\.9 dev eth0 proto static/);
  ip('route', 'del', '10.5.0.0/24', 'proto', 'static');
  await clear();
});

test('a route of ours that we did not know of is taken for a change', async () => {
  ip('route', 'add', '10.5.0.0/24', 'via', '192.0.2.9', 'proto', '201');
  const change = put(via('10.5.0.0/24', hop('fl-a', 'fe80::2', true)));
  assertOk([change], await target.apply([change]));
  assert.equal(
    ip('route', 'show', '10.5.0.0/24').trim(),
    '10.5.0.0/24 via inet6 fe80::2 dev fl-a proto 201 onlink',
  );
  await clear();
});

test("the kernel's own words reach the row", async () => {
  const change = put(via('10.5.0.0/24', hop('eth0', '203.0.113.1', false)));
  const [outcome] = await target.apply([change]);
  assert.ok(outcome && !outcome.ok);
  assert.equal(outcome.error.message, 'route 10.5.0.0/24: Nexthop has invalid gateway (ENETUNREACH)');
});

test('a change is one replace: at no time is the prefix without a route', async () => {
  const a = via('10.5.0.0/24', hop('eth0', '192.0.2.2', false));
  const b = via('10.5.0.0/24', hop('fl-a', 'fe80::2', true));
  assertOk([put(a)], await target.apply([put(a)]));
  const told: string[] = [];
  const watch = routeTarget(other).watch?.((keys) =>
    told.push(keys === 'unknown' ? 'unknown' : [...keys].join()),
  );
  const events = routeEvents(other, '10.5.0.0');
  assertOk([put(b)], await target.apply([{ ...put(b), found: a }]));
  assert.deepEqual(await events.end(), [24], 'one RTM_NEWROUTE and no RTM_DELROUTE');
  watch?.close();
  assert.deepEqual(told, ['10.5.0.0/24']);
  await clear();
});

test('drift: changes of others are told by key, own ones are not, link events and lost notifications as unknown', async () => {
  const told: string[] = [];
  const saw = (key: string) => told.includes(key);
  const own = routeTarget(nl);
  const wanted = new Map([['10.5.0.0/24', via('10.5.0.0/24', hop('eth1', '198.51.100.2', false))]]);
  const watch = own.watch?.((keys) => told.push(keys === 'unknown' ? 'unknown' : [...keys].sort().join()));
  await pass(own, wanted);
  await turns();
  assert.deepEqual(told, [], 'own changes');
  ip('route', 'del', '10.5.0.0/24');
  await until('the deletion is told', () => saw('10.5.0.0/24'));
  await pass(own, wanted);
  ip('route', 'add', '10.77.0.0/24', 'dev', 'eth0');
  await turns();
  assert.deepEqual(told, ['10.5.0.0/24'], "another's route");
  ip('route', 'del', '10.77.0.0/24');
  ip('link', 'set', 'eth1', 'down');
  await until('the link event is told', () => saw('unknown'));
  assert.equal((await own.observe()).size, 0, 'an IPv4 route goes with its link, and nobody says so');
  ip('link', 'set', 'eth1', 'up');
  ip('addr', 'replace', '2001:db8:1::1/64', 'dev', 'eth1', 'nodad');
  await turns();
  told.length = 0;
  const many = Array.from(
    { length: 30_000 },
    (_, i) => `route add 10.200.${i >> 7}.${(i & 127) * 2}/31 dev eth0 proto 4`,
  );
  ipBatch(many); // this process does not read meanwhile: more notifications than the socket holds
  await until('lost notifications are told', () => saw('unknown'), 20_000);
  ipBatch(many.map((line) => line.replace('add', 'del')));
  watch?.close();
});

test('ten thousand routes: put, seen, gone', async () => {
  const state = new Map<string, RouteBody>();
  for (let i = 0; i < 5000; i++) {
    const b4 = via(`10.${100 + (i >> 8)}.${i & 255}.0/24`, hop('fl-a', 'fe80::2', true));
    const b6 = via(`fd00:${i.toString(16)}::/64`.replace('fd00:0::', 'fd00::'), hop('fl-a', 'fe80::2', true));
    state.set(routeKey(b4.dst), b4).set(routeKey(b6.dst), b6);
  }
  await pass(target, state);
  assert.equal((await pass(target, state)).length, 0);
  assert.equal(ip('route', 'show', 'proto', '201').trim().split('\n').length, 5000);
  assert.equal(ip('-6', 'route', 'show', 'proto', '201').trim().split('\n').length, 5000);
  await clear();
  assert.equal(ip('route', 'show', 'proto', '201'), '');
});

test("the kernel's lookup", async () => {
  const wanted = [
    via('10.5.0.0/24', hop('fl-a', 'fe80::2', true)),
    via('fd00:5::/64', hop('fl-a', 'fe80::2', true)),
  ];
  await pass(target, new Map(wanted.map((b) => [b.dst as string, b])));
  const found = await lookUpRoute(nl, { to: '10.5.0.7' });
  assert.deepEqual([found.table, found.hops.map((h) => h.via)], [254, ['fe80::2']]);
  const six = await lookUpRoute(nl, { to: 'fd00:5::7', from: '2001:db8::1' });
  assert.deepEqual([six.table, six.hops.map((h) => h.via)], [254, ['fe80::2']]);
  await assert.rejects(lookUpRoute(nl, { to: '10.99.0.1' }), { code: 'ENETUNREACH' });
  await clear();
});
