import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pod, rig } from '../../test/support/births.ts';
import { CONFIG, link, node } from '../../test/support/plan-worlds.ts';
import type { Pod } from '../model/cluster/pod.ts';
import { ip } from '../model/net/ip.ts';
import { type KeptResult, readKeptResults } from '../sources/host/cni-results.ts';
import { BirthsBefore } from './births-before.ts';

const IPS = ['10.244.1.7', 'fd00:244:1::7'];
const MAC = '02:00:00:00:00:07';
const here = (changes: Partial<Pod> = {}): Pod => ({
  ...pod('a'),
  phase: 'Running',
  ips: IPS.map(ip),
  ...changes,
});

/** What libcni keeps of pod x/a, on port veth7 of kube-bridge. */
const file = (
  changes: {
    id?: string;
    port?: string;
    ips?: readonly string[];
    uid?: string;
    mac?: string;
    bridge?: string;
  } = {},
) => {
  const { id = 'c7', port = 'veth7', ips = IPS, uid = 'uid-a', mac = MAC, bridge = 'kube-bridge' } = changes;
  return {
    kind: 'cniCacheV1',
    containerId: id,
    ifName: 'eth0',
    networkName: 'mynet',
    cniArgs: [
      ['K8S_POD_NAMESPACE', 'x'],
      ['K8S_POD_NAME', 'a'],
      ...(uid === '' ? [] : [['K8S_POD_UID', uid]]),
    ],
    result: {
      cniVersion: '0.3.0',
      interfaces: [
        { name: bridge, mac: '02:00:00:00:00:01' },
        { name: port, mac: '02:00:00:00:00:02' },
        { name: 'eth0', mac, sandbox: '/var/run/netns/x' },
      ],
      ips: ips.map((address) => ({ interface: 2, address: `${address}/24` })),
    },
  };
};

/** An agent that finds that port, and these files. */
function started(t: TestContext, files: readonly unknown[], told: Pod | null = here()) {
  const dir = join(mkdtempSync(join(tmpdir(), 'fairlead-kept-')), 'results');
  t.after(() => rmSync(join(dir, '..'), { recursive: true, force: true }));
  mkdirSync(dir);
  for (const [i, one] of files.entries()) writeFileSync(join(dir, `mynet-${i}-eth0`), JSON.stringify(one));
  const { clock, start } = rig(t);
  const agent = start();
  const { store, world, births, ids } = agent;
  store.put('nodes', 'n1', node(1));
  store.ready('nodes');
  store.put('links', 'kube-bridge', link('kube-bridge', ['10.244.1.1/24'], { kind: 'bridge' }));
  store.put('ports', 'veth7', { name: 'veth7', bridge: 'kube-bridge', mtu: 1500 });
  if (told) store.put('pods', told.key, told);
  const heard: Record<string, readonly string[]> = { veth7: [MAC] };
  let reads = 0;
  const kept = (): readonly KeptResult[] => {
    reads++;
    return readKeptResults(dir);
  };
  const before = new BirthsBefore({ births, world, clock, kept, learned: async (port) => heard[port] ?? [] });
  t.after(() => before.close());
  /** So long that it has looked again. */
  const look = async () => {
    before.review();
    await clock.advance(11_000);
    return ids();
  };
  return { ...agent, before, heard, look, reads: () => reads };
}

test('a pod of before is born when the runtime, the API server and the kernel say the same', async (t) => {
  const { births, look } = started(t, [file()]);
  assert.deepEqual(await look(), ['c7']);
  assert.deepEqual(births.get('c7'), {
    pod: 'x/a',
    uid: 'uid-a',
    containerId: 'c7',
    ips: IPS,
    attached: { bridge: 'kube-bridge', port: 'veth7', mac: MAC },
  });
});

test('a runtime that tells no uid is believed by the rest; a birth from an agent that did not keep the port gets it', async (t) => {
  const { births, look } = started(t, [file({ uid: '' })]);
  births.put('c7', { pod: 'x/a', uid: 'uid-a', containerId: 'c7', ips: IPS.map(ip) });
  await look();
  assert.equal(births.get('c7')?.attached?.port, 'veth7');
});

for (const [why, files, told] of [
  ['no file', [], here()],
  ['another pod’s file', [file({ uid: 'an older one' })], here()],
  ['of a container long gone', [file({ port: 'veth6' })], here()],
  ['fewer addresses than the API server knows', [file({ ips: ['10.244.1.7'] })], here()],
  ['other addresses', [file({ ips: ['10.244.1.8', 'fd00:244:1::8'] })], here()],
  ['not known to the API server', [file()], null],
  ['without addresses there', [file()], here({ ips: [] })],
  ['of the host’s network', [file()], here({ hostNetwork: true })],
  ['ended', [file()], here({ phase: 'Succeeded' })],
  ['another bridge', [file({ bridge: 'cni0' })], here()],
  ['two files name the port', [file(), file({ id: 'c8' })], here()],
  ['the MAC address was not heard there', [file({ mac: '02:00:00:00:00:08' })], here()],
  ['no file of libcni’s', [{ ...file(), kind: 'v2' }, [], 7], here()],
] as const)
  test(`nobody is born on less: ${why}`, async (t) => {
    const { look } = started(t, files, told);
    assert.deepEqual(await look(), []);
  });

test('nobody is born on bridges that are not pods’, nor while policies are off', async (t) => {
  const { store, look } = started(t, [file({ bridge: 'docker0' })]);
  store.put('ports', 'veth7', { name: 'veth7', bridge: 'docker0', mtu: 1500 });
  store.put('ports', 'veth8', { name: 'veth8', bridge: 'kube-bridge', mtu: 1500 });
  assert.deepEqual(await look(), []);
  store.put('links', 'docker0', link('docker0', ['10.244.1.1/24'], { kind: 'bridge' }));
  store.put('config', 'config', { ...CONFIG, policy: { ...CONFIG.policy, enabled: false } });
  assert.deepEqual(await look(), []);
  store.put('config', 'config', CONFIG);
  assert.deepEqual(await look(), ['c7'], 'there was nothing else against it');
});

test('not with an address that another birth has; a quiet pod when it is heard', async (t) => {
  const { births, heard, look, ids, before } = started(t, [file()]);
  births.put('c9', { pod: 'x/b', uid: '', containerId: 'c9', ips: [ip('10.244.1.7')] });
  assert.deepEqual(await look(), ['c9']);
  births.remove('c9');
  heard.veth7 = [];
  assert.deepEqual(await look(), []);
  heard.veth7 = ['02:02:02:02:02:02', MAC];
  await look();
  assert.deepEqual(ids(), ['c7']);
  before.close();
});

test('files are read once for a port, and not at all where all ports are known', async (t) => {
  const { births, store, look, reads } = started(t, [file()], here({ ips: [] }));
  for (let i = 0; i < 5; i++) await look();
  assert.equal(reads(), 1);
  store.put('pods', 'x/a', here());
  await look();
  assert.equal(births.get('c7')?.attached?.port, 'veth7');
  for (let i = 0; i < 5; i++) await look();
  assert.equal(reads(), 1);
});
