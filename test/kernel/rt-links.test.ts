/** Targets `link`, `address`, `neighbor`, `fdb` on the real kernel. FAIRLEAD_RUNS multiplies the random cases. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { IpPrefix } from '../../src/model/net/cidr.ts';
import type { Ip } from '../../src/model/net/ip.ts';
import type { Mac } from '../../src/model/net/mac.ts';
import { type AddressBody, addressKey } from '../../src/model/rows/address.ts';
import { type FdbBody, fdbKey } from '../../src/model/rows/fdb.ts';
import type { LinkBody } from '../../src/model/rows/link.ts';
import { type NeighborBody, neighborKey } from '../../src/model/rows/neighbor.ts';
import { addressTarget } from '../../src/targets/linux/address.ts';
import { fdbTarget } from '../../src/targets/linux/fdb.ts';
import { linkTarget } from '../../src/targets/linux/link.ts';
import { neighborTarget } from '../../src/targets/linux/neighbor.ts';
import { NETLINK_ROUTE } from '../../src/targets/linux/netlink/constants.ts';
import { createLink } from '../../src/targets/linux/netlink/rtnetlink/link.ts';
import { openNetlink } from '../../src/targets/linux/netlink/socket.ts';
import { LINK_GROUP } from '../../src/targets/linux/own-links.ts';
import { fc } from '../support/property.ts';
import { until } from '../support/until.ts';
import {
  assertOk,
  bridge,
  checkTargetLaws,
  ip,
  ipBatch,
  keyed,
  ownLinks,
  pass,
  turns,
  underlay,
  vxlanBody,
} from './rt-laws.ts';

const nl = openNetlink(NETLINK_ROUTE);
const other = openNetlink(NETLINK_ROUTE);
const links = linkTarget(nl);

before(() => {
  underlay();
  // Others' links: one with our prefix and another's alias, one of our kind with another's name.
  ipBatch([
    'link add fl-theirs type vxlan id 900 dstport 4789 dev eth0',
    'link set fl-theirs alias somebody addrgenmode none',
    'link set fl-theirs up',
    'link add vx-other type vxlan id 901 dstport 4789 dev eth0',
    'link set vx-other alias fairlead addrgenmode none',
    'link set vx-other up',
  ]);
});
after(() => {
  nl.close();
  other.close();
});

const nothing = { foreign: fc.constant(0), make: () => {}, unmake: () => {} };
const MACS = ['02:00:00:00:01:01', '02:00:00:00:01:02', '02:00:00:00:01:03', '02:00:00:00:01:04'] as Mac[];

const linkBody: fc.Arbitrary<LinkBody> = fc
  .record({
    n: fc.integer({ min: 0, max: 3 }),
    mtu: fc.constantFrom(1430, 1400, 1280),
    mac: fc.constantFrom(undefined, ...MACS),
    up: fc.boolean(),
    alias: fc.constantFrom('fairlead', 'fairlead overlay, IPv4', 'fairlead ü'),
    vni: fc.integer({ min: 0, max: 1 }),
    port: fc.constantFrom(8472, 4789),
    local: fc.constantFrom('192.0.2.1', '192.0.2.77', '2001:db8::1', '198.51.100.1') as fc.Arbitrary<Ip>,
    underlay: fc.constantFrom('eth0', 'eth1'),
  })
  .map(({ n, mtu, mac, up, alias, vni, port, local, underlay: dev }) => ({
    name: `fl-t${n}`,
    mtu,
    mac,
    up,
    alias,
    type: { kind: 'vxlan', vni: 10 * n + vni, port, local, underlay: dev },
  }));

/** All that `ip` and `bridge` say of links that are not ours. */
const otherLinks = () =>
  [
    ...(JSON.parse(ip('-j', '-d', 'addr', 'show')) as { ifname?: string }[])
      .filter((link) => !/^fl-[tab]/.test(link.ifname ?? ''))
      // Carrier and duplicate address detection of what was made just now settle by themselves.
      .map((link) => JSON.stringify(link).replace(/"tentative":true,|"NO-CARRIER",|"operstate":"\w+",/g, '')),
    ...['vx-other', 'fl-theirs'].map((dev) => bridge('fdb', 'show', 'dev', dev)),
  ].join('\n');

test('link: the five laws', async () => {
  await checkTargetLaws({
    target: links,
    witness: linkTarget(other),
    state: keyed(linkBody, (b) => b.name, 4),
    ...nothing,
    others: otherLinks,
    disturb(state, seed) {
      const name = [...state.keys()][seed % Math.max(state.size, 1)];
      if (name === undefined) return;
      const ways = [
        ['link', 'del', name],
        ['link', 'set', name, 'mtu', '1300'],
        ['link', 'set', name, 'type', 'vxlan', 'learning'],
        ['link', 'set', name, 'address', '02:00:00:00:09:09'],
        ['link', 'set', name, 'down'],
        ['link', 'set', name, 'addrgenmode', 'eui64'],
      ];
      ip(...(ways[seed % ways.length] ?? []));
    },
  });
});

test('link: what ip shows', async () => {
  const body = vxlanBody('fl-t1', 7);
  await pass(links, new Map([[body.name, body]]));
  const [shown] = JSON.parse(ip('-d', '-j', 'addr', 'show', 'dev', 'fl-t1'));
  const { id, port, local, link, learning } = shown.linkinfo.info_data;
  assert.deepEqual(
    { id, port, local, link, learning, mtu: shown.mtu, mac: shown.address, alias: shown.ifalias },
    {
      id: 7,
      port: 8472,
      local: '192.0.2.1',
      link: 'eth0',
      learning: false,
      mtu: 1450,
      mac: '02:00:00:00:00:07',
      alias: 'fairlead test fl-t1',
    },
  );
  assert.match(ip('-d', 'link', 'show', 'dev', 'fl-t1'), / nolearning .* addrgenmode none /);
  assert.deepEqual(shown.addr_info, [], 'no address of its own');
  await pass(links, new Map());
});

test('link: what can change in place keeps the device, what cannot makes a new one', async () => {
  const index = () => JSON.parse(ip('-j', 'link', 'show', 'dev', 'fl-t1'))[0].ifindex as number;
  const one = vxlanBody('fl-t1', 7);
  const put = async (body: LinkBody) => {
    assert.equal((await pass(links, new Map([[body.name, body]]))).length, 1);
    return index();
  };
  const first = await put(one);
  const moved = { ...one, mtu: 1400, type: { ...one.type, local: '192.0.2.9' as Ip, underlay: 'eth1' } };
  assert.equal(await put(moved), first);
  const second = await put({ ...moved, type: { ...moved.type, vni: 8 } });
  assert.notEqual(second, first);
  const third = await put({ ...moved, type: { ...moved.type, vni: 8, port: 4444 } });
  assert.notEqual(third, second);
  assert.notEqual(
    await put({ ...moved, type: { ...moved.type, vni: 8, port: 4444, local: '2001:db8::1' as Ip } }),
    third,
  );
  await pass(links, new Map());
});

test('link: an MTU below 1280 takes IPv6 from a device, and a larger one gives it back', async () => {
  const body = vxlanBody('fl-t1', 7);
  // What the kernel makes of the MAC by itself when IPv6 comes back: until it is told not to, it is quicker than we are.
  const address: AddressBody = { dev: 'fl-t1', address: 'fe80::ff:fe00:7/64' as IpPrefix };
  const addresses = new Map([[addressKey(address.dev, address.address), address]]);
  const target = addressTarget(nl);
  const set = (mtu: number) => pass(links, new Map([[body.name, { ...body, mtu }]]));
  const hasIpv6 = () => existsSync('/proc/sys/net/ipv6/conf/fl-t1');
  await set(1450);
  await pass(target, addresses);
  for (const small of [1279, 1250, 576]) {
    await set(small);
    assert.equal(hasIpv6(), false);
    assert.deepEqual(await set(small), [], 'nothing more to do');
    await set(1450);
    assert.match(ip('-d', 'link', 'show', 'dev', 'fl-t1'), / mtu 1450 .* addrgenmode none /s);
    assert.deepEqual(await set(1450), [], 'nothing more to do');
    assert.deepEqual((await pass(target, addresses)).length, 1, 'the address went with IPv6');
    assert.match(ip('-6', 'addr', 'show', 'dev', 'fl-t1'), /inet6 fe80::ff:fe00:7\/64 scope link nodad/);
    assert.deepEqual(await pass(target, addresses), [], 'nothing more to do');
  }
  await pass(links, new Map());
  await set(1250);
  assert.equal(hasIpv6(), false, 'made small');
  await set(1450);
  assert.match(ip('-d', 'link', 'show', 'dev', 'fl-t1'), / addrgenmode none /);
  await pass(links, new Map());
});

test("link: another's link by our name is left alone and named", async () => {
  const bodies = [
    vxlanBody('fl-theirs', 5),
    vxlanBody('fl-t1', 6),
    vxlanBody('fl-t2', 9, { type: { ...vxlanBody('', 9).type, underlay: 'nope' } }),
  ];
  const [theirs, ours, without] = await links.apply(
    bodies.map((wanted) => ({ key: wanted.name, wanted, found: undefined })),
  );
  assert.ok(theirs && !theirs.ok && ours?.ok && without && !without.ok);
  assert.match(theirs.error.message, /link fl-theirs exists and is not ours/);
  assert.match(without.error.message, /there is no link nope/);
  // A removal by that name means that ours is gone already.
  assert.deepEqual(await links.apply([{ key: 'fl-theirs', wanted: undefined, found: bodies[0] }]), [
    { ok: true },
  ]);
  assert.match(ip('link', 'show', 'fl-theirs'), /alias somebody/);
  await pass(links, new Map());
});

test('link: a creation that was cut short before the alias is still ours', async () => {
  const half = createLink({ name: 'fl-t1', group: LINK_GROUP, vxlan: { vni: 7, port: 8472, learning: 0 } });
  assert.deepEqual(await nl.transact([half]), [{ ok: true }]);
  const body = vxlanBody('fl-t1', 7);
  await pass(links, new Map([['fl-t1', body]]));
  assert.match(ip('link', 'show', 'fl-t1'), /alias fairlead test/);
  await pass(links, new Map());
});

test('link: drift is told by name, a rename too', async () => {
  await pass(links, new Map([['fl-t1', vxlanBody('fl-t1', 7)]]));
  const told = new Set<string>();
  const watch = links.watch?.((keys) => {
    for (const key of keys === 'unknown' ? ['unknown'] : keys) told.add(key);
  });
  ip('link', 'set', 'fl-t1', 'mtu', '1300');
  await until('the change is told', () => told.delete('fl-t1'));
  ip('link', 'set', 'fl-t1', 'down');
  ip('link', 'set', 'fl-t1', 'name', 'away');
  await until('the rename is told', () => told.delete('fl-t1'));
  ip('link', 'del', 'away');
  ip('link', 'set', 'eth1', 'mtu', '1400');
  ip('link', 'set', 'eth1', 'mtu', '1500');
  await turns();
  assert.deepEqual([...told], []);
  watch?.close();
});

const DEVS = fc.constantFrom('fl-a', 'fl-b');
const addressBody: fc.Arbitrary<AddressBody> = fc.record({
  dev: DEVS,
  address: fc.constantFrom(
    ...[
      '10.1.2.1/24',
      '10.1.2.2/24',
      '10.1.2.1/32',
      '10.1.3.1/24',
      'fe80::7/64',
      'fd00:1::1/64',
      'fd00:1::2/128',
    ],
  ) as fc.Arbitrary<IpPrefix>,
});

/** Of a key like `fl-a 10.1.2.1/24`. */
const subnetOf = (key: string): string => key.replace(/\.\d+\/24$/, '.0/24');

test('address, neighbour, fdb: the five laws', async (t) => {
  await ownLinks(nl, ['fl-a', 'fl-b']);
  ipBatch([
    'addr add 10.1.2.9/24 dev fl-theirs',
    'neigh add 192.0.2.8 lladdr 02:00:00:00:00:08 dev eth0 nud permanent',
    'neigh add fe80::8 lladdr 02:00:00:00:00:08 dev fl-theirs nud permanent',
    'neigh add fe80::8 lladdr 02:00:00:00:00:08 dev vx-other nud permanent',
  ]);
  bridge('fdb', 'append', '02:00:00:00:00:08', 'dev', 'vx-other', 'dst', '192.0.2.8');
  bridge('fdb', 'append', '00:00:00:00:00:00', 'dev', 'vx-other', 'dst', '192.0.2.8');
  const neighbours = () =>
    ip('neigh', 'show', 'nud', 'permanent')
      .split('\n')
      .filter((line) => !/dev fl-[ab]/.test(line))
      .join('\n');

  await t.test('address', () =>
    checkTargetLaws({
      target: addressTarget(nl),
      witness: addressTarget(other),
      // With an IPv4 address the others of its prefix on the link go, and come back.
      dragged: (key, changed) => [...changed].some((other) => subnetOf(other) === subnetOf(key)),
      state: keyed(addressBody, (b) => addressKey(b.dev, b.address)),
      ...nothing,
      others: otherLinks,
      disturb(state, seed) {
        const one = [...state.values()][seed % Math.max(state.size, 1)];
        if (one && seed % 2 === 0) ip('addr', 'del', one.address, 'dev', one.dev);
        if (seed % 2 === 1) ip('addr', 'replace', '10.55.0.1/24', 'dev', 'fl-a');
        if (seed % 5 === 0) for (const way of ['down', 'up']) ip('link', 'set', 'fl-a', way);
      },
    }),
  );

  const neighborBody: fc.Arbitrary<NeighborBody> = fc.record({
    dev: DEVS,
    ip: fc.constantFrom('fe80::2', 'fe80::3', '10.0.0.2', '10.0.0.3', 'fd00::9') as fc.Arbitrary<Ip>,
    mac: fc.constantFrom(...MACS),
  });
  await t.test('neighbor', () =>
    checkTargetLaws({
      target: neighborTarget(nl),
      witness: neighborTarget(other),
      state: keyed(neighborBody, (b) => neighborKey(b.dev, b.ip)),
      ...nothing,
      others: neighbours,
      disturb(state, seed) {
        const one = [...state.values()][seed % Math.max(state.size, 1)];
        if (one && seed % 3 === 0) ip('neigh', 'del', one.ip, 'dev', one.dev);
        if (one && seed % 3 === 1)
          ip('neigh', 'change', one.ip, 'lladdr', '02:00:00:00:07:07', 'dev', one.dev);
        if (one && seed % 3 === 2)
          ip('neigh', 'change', one.ip, 'lladdr', one.mac, 'dev', one.dev, 'nud', 'reachable');
        if (seed % 5 === 0) for (const way of ['down', 'up']) ip('link', 'set', 'fl-a', way);
      },
    }),
  );

  const fdbBody: fc.Arbitrary<FdbBody> = fc.record({
    dev: DEVS,
    mac: fc.constantFrom(...MACS),
    dst: fc.constantFrom('192.0.2.2', '192.0.2.3', '198.51.100.9') as fc.Arbitrary<Ip>,
  });
  await t.test('fdb', () =>
    checkTargetLaws({
      target: fdbTarget(nl),
      witness: fdbTarget(other),
      state: keyed(fdbBody, (b) => fdbKey(b.dev, b.mac)),
      ...nothing,
      others: () => neighbours() + otherLinks(),
      disturb(state, seed) {
        const one = [...state.values()][seed % Math.max(state.size, 1)];
        const zero = ['00:00:00:00:00:00', 'dev', 'fl-a', 'dst', '192.0.2.7'];
        if (one && seed % 4 === 0) bridge('fdb', 'del', one.mac, 'dev', one.dev);
        if (one && seed % 4 === 1) bridge('fdb', 'replace', one.mac, 'dev', one.dev, 'dst', '192.0.2.44');
        if (one && seed % 4 === 2)
          bridge('fdb', 'replace', one.mac, 'dev', one.dev, 'dst', one.dst, 'port', '1234');
        if (seed % 4 === 3) bridge('fdb', 'append', ...zero);
      },
    }),
  );

  await pass(links, new Map());
});

test('rows on a link that is not ours or not there are refused, their neighbours are done', async () => {
  await ownLinks(nl, ['fl-a']);
  const target = neighborTarget(nl);
  const bodies = ['fl-theirs', 'nope', 'fl-a'].map((dev) => ({ dev, ip: 'fe80::9' as Ip, mac: MACS[0]! }));
  const changes = bodies.map((wanted) => ({
    key: neighborKey(wanted.dev, wanted.ip),
    wanted,
    found: undefined,
  }));
  const [theirs, missing, ours] = await target.apply(changes);
  assert.ok(theirs && !theirs.ok && missing && !missing.ok && ours?.ok);
  assert.match(theirs.error.message, /is not ours/);
  assert.match(missing.error.message, /there is no link nope/);
  await pass(links, new Map());
});

test('link down and delete are told as unknown to what lives on the link', async () => {
  await ownLinks(nl, ['fl-a']);
  const targets = [addressTarget(nl), neighborTarget(nl), fdbTarget(nl)];
  const told = targets.map(() => new Set<string>());
  for (const target of targets) await target.observe();
  const watches = targets.map((target, i) =>
    target.watch?.((keys) => {
      for (const key of keys === 'unknown' ? ['unknown'] : keys) told[i]!.add(key);
    }),
  );
  for (const way of [
    ['set', 'fl-a', 'down'],
    ['del', 'fl-a'],
  ]) {
    ip('link', ...way);
    await until(`link ${way.join(' ')} is told`, () => told.every((keys) => keys.has('unknown')));
    for (const keys of told) keys.clear();
  }
  for (const watch of watches) watch?.close();
});

test('five thousand peers: FDB and neighbours as bridge and ip show them', async () => {
  await ownLinks(nl, ['fl-a']);
  const fdb = new Map<string, FdbBody>();
  const neighbors = new Map<string, NeighborBody>();
  for (let i = 1; i <= 5000; i++) {
    const mac =
      `02:00:00:00:${(i >> 8).toString(16).padStart(2, '0')}:${(i & 255).toString(16).padStart(2, '0')}` as Mac;
    const peer = { dev: 'fl-a', mac };
    fdb.set(fdbKey('fl-a', mac), { ...peer, dst: `192.0.${i >> 8}.${i & 255}` as Ip });
    const next = `fe80::${i.toString(16)}` as Ip;
    neighbors.set(neighborKey('fl-a', next), { ...peer, ip: next });
  }
  await pass(fdbTarget(nl), fdb);
  await pass(neighborTarget(nl), neighbors);
  assert.equal((await pass(fdbTarget(nl), fdb)).length, 0);
  assert.equal((await pass(neighborTarget(nl), neighbors)).length, 0);
  const shown = JSON.parse(bridge('-d', '-j', 'fdb', 'show', 'dev', 'fl-a')) as {
    mac: string;
    dst: string;
    state: string;
  }[];
  assert.deepEqual(
    new Set(shown.map(({ mac, dst, state }) => `${mac} ${dst} ${state}`)),
    new Set([...fdb.values()].map(({ mac, dst }) => `${mac} ${dst} permanent`)),
  );
  assert.equal(JSON.parse(ip('-j', '-6', 'neigh', 'show', 'dev', 'fl-a', 'nud', 'permanent')).length, 5000);
  const [outcome] = await links.apply([{ key: 'fl-a', wanted: undefined, found: vxlanBody('fl-a', 100) }]);
  assertOk([{ key: 'fl-a', wanted: undefined, found: undefined }], outcome ? [outcome] : []);
});
