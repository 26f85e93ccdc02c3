/** The host as a source, on the real kernel. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Clock } from '../../src/model/clock.ts';
import type { World, WorldSink } from '../../src/model/world.ts';
import { WorldStore } from '../../src/model/world-store.ts';
import { startHostSource } from '../../src/sources/host/host.ts';
import { probeKernel } from '../../src/sources/host/kernel.ts';
import { NETLINK_ROUTE } from '../../src/targets/linux/netlink/constants.ts';
import { openNetlink } from '../../src/targets/linux/netlink/socket.ts';
import { until } from '../support/until.ts';
import { ip, underlay } from './rt-laws.ts';

const clock: Clock = {
  wall: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return { cancel: () => clearTimeout(timer) };
  },
};
const nl = openNetlink(NETLINK_ROUTE);
const dir = mkdtempSync(join(tmpdir(), 'fairlead-host-'));
const cniDir = join(dir, 'net.d');
const store = new WorldStore(clock);
const puts: string[] = [];
const sink: WorldSink = {
  put(source, key, object) {
    puts.push(key);
    store.put(source, key, object);
  },
  remove: (source, key) => store.remove(source, key),
  replace: (source, objects) => store.replace(source, objects),
  ready: (source) => store.ready(source),
  notReady: (source, reason) => store.notReady(source, reason),
};
let source: { close(): void } | undefined;
const world = (): World => store.world;
const link = (name: string) => world().links.objects.get(name);

before(async () => {
  underlay();
  source = startHostSource({ sink, netlink: nl, cniDir, ownCniFile: '05-fairlead.conflist', clock });
  await until('all is known', () => world().links.ready && world().kernel.ready && world().cni.ready);
});
after(() => {
  source?.close();
  nl.close();
  rmSync(dir, { recursive: true });
});

test('links with their addresses', () => {
  const eth0 = link('eth0');
  assert.deepEqual(
    { kind: eth0?.kind, mtu: eth0?.mtu, up: eth0?.up, carrier: eth0?.carrier, addresses: eth0?.addresses },
    { kind: 'veth', mtu: 1500, up: true, carrier: true, addresses: ['192.0.2.1/24', '2001:db8::1/64'] },
  );
  assert.equal(link('lo')?.kind, '');
});

test('changes of links and addresses arrive', async () => {
  ip('link', 'set', 'eth0', 'mtu', '1400');
  await until('the MTU', () => link('eth0')?.mtu === 1400);
  ip('addr', 'add', '192.0.2.7/24', 'dev', 'eth0');
  await until('the address', () => link('eth0')?.addresses.some((a) => a === '192.0.2.7/24') === true);
  ip('link', 'set', 'peer1', 'down');
  await until('the carrier', () => link('eth1')?.carrier === false);
  ip('link', 'add', 'br0', 'type', 'bridge');
  await until('a new link', () => link('br0')?.kind === 'bridge');
  ip('link', 'del', 'br0');
  await until('a link that went', () => link('br0') === undefined);
});

test("pods' ends of a bridge are ports and no links", async () => {
  ip('link', 'add', 'br0', 'type', 'bridge');
  await until('the bridge', () => link('br0') !== undefined);
  puts.length = 0;
  for (let i = 0; i < 5; i++) {
    ip(
      'link',
      'add',
      `pod${i}`,
      'master',
      'br0',
      'type',
      'veth',
      'peer',
      'name',
      `in${i}`,
      'netns',
      String(process.pid),
    );
  }
  ip('link', 'add', 'marker', 'type', 'bridge');
  await until('a link made after them', () => link('marker') !== undefined);
  assert.deepEqual(
    puts.filter((key) => key.startsWith('pod')),
    [],
  );
  const ports = () => [...world().ports.objects.values()].map(({ name, bridge }) => `${name} of ${bridge}`);
  const all = Array.from({ length: 5 }, (_, i) => `pod${i} of br0`);
  await until('the ports', () => ports().sort().join() === all.join());
  ip('link', 'set', 'pod0', 'nomaster');
  ip('link', 'set', 'pod1', 'master', 'marker');
  ip('link', 'del', 'pod2');
  const left = ['pod1 of marker', 'pod3 of br0', 'pod4 of br0'];
  await until('the ports that are left', () => ports().sort().join() === left.join());
});

test('this kernel has what the other tests use; asking leaves nothing behind', async () => {
  const before = ip('-br', 'link');
  const { missing, release } = await probeKernel(nl);
  assert.equal(ip('-br', 'link'), before);
  assert.ok(release.length > 0);
  assert.deepEqual(
    [missing.vxlan, missing.bridge, missing.nftables, missing.nft_bridge, missing.ipv6],
    Array(5).fill(undefined),
  );
});

test('CNI files of others: the folder appears, a file comes, changes, goes; ours does not count', async () => {
  assert.equal(world().cni.objects.size, 0);
  mkdirSync(cniDir);
  const path = join(cniDir, '10-kuberouter.conflist');
  const config = (bridge: string) => JSON.stringify({ name: 'mynet', plugins: [{ type: 'bridge', bridge }] });
  writeFileSync(path, config('kube-bridge'));
  writeFileSync(join(cniDir, '05-fairlead.conflist'), config('fairlead0'));
  await until('the file', () => world().cni.objects.get(path)?.software === 'kube-router');
  assert.equal(world().cni.objects.size, 1);
  writeFileSync(path, config('other'));
  await until('its change', () => world().cni.objects.get(path)?.bridge === 'other');
  rmSync(path);
  await until('its end', () => world().cni.objects.size === 0);
});
