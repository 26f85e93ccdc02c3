/** The container image: made here, unpacked here, and its own files started in a chroot, where nothing of this machine helps them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { Machine, run, underlay } from './agent-machine.ts';

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

let dir = '';
let printed = '';
const json = <T>(path: string) => JSON.parse(readFileSync(path, 'utf8')) as T;
const blobPath = (digest: string) => join(dir, 'layout/blobs/sha256', digest.replace('sha256:', ''));
const sha256 = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const rootfs = () => join(dir, 'root');

before(() => {
  dir = mkdtempSync(join(tmpdir(), 'fairlead-image-test-'));
  const script = join(import.meta.dirname, '../../scripts/image.ts');
  printed = execFileSync(process.execPath, [script, '--output', join(dir, 'image.tar')], {
    encoding: 'utf8',
  });
  for (const name of ['layout', 'root']) mkdirSync(join(dir, name));
  run(`tar -xf ${dir}/image.tar -C ${dir}/layout`);
});
after(() => rmSync(dir, { recursive: true, force: true }));

it('is a valid OCI layout whose digests and sizes are true', () => {
  assert.deepEqual(json(join(dir, 'layout/oci-layout')), { imageLayoutVersion: '1.0.0' });
  const { manifests } = json<{ manifests: Descriptor[] }>(join(dir, 'layout/index.json'));
  const [manifest] = manifests;
  assert.ok(manifest);
  const { config, layers } = json<{ config: Descriptor; layers: Descriptor[] }>(blobPath(manifest.digest));
  for (const blob of [manifest, config, ...layers]) {
    const bytes = readFileSync(blobPath(blob.digest));
    assert.equal(sha256(bytes), blob.digest);
    assert.equal(bytes.length, blob.size);
  }
  const { rootfs: disk } = json<{ rootfs: { diff_ids: string[] } }>(blobPath(config.digest));
  assert.deepEqual(
    layers.map((layer) => sha256(gunzipSync(readFileSync(blobPath(layer.digest))))),
    disk.diff_ids,
  );
  for (const layer of layers) run(`tar -xzf ${blobPath(layer.digest)} -C ${rootfs()}`);
});

it('holds Node.js, the program and the CNI plugins, and nothing else', () => {
  assert.match(printed, /image\.tar: \d+\.\d+ MB, image fairlead:/);
  assert.deepEqual(readdirSync(join(rootfs(), 'fairlead')).sort(), [
    'LICENSE',
    'fairlead',
    'fairlead.cjs',
    'node',
    'socket.node',
  ]);
  assert.deepEqual(readdirSync(join(rootfs(), 'opt/cni/bin')), [
    'bridge',
    'fairlead',
    'host-local',
    'loopback',
    'portmap',
    'ptp',
  ]);
  const others = execFileSync(
    'find',
    ['.', '-type', 'f', '-not', '-path', './fairlead/*', '-not', '-path', './opt/cni/bin/*'],
    {
      cwd: rootfs(),
      encoding: 'utf8',
    },
  );
  for (const file of others.trim().split('\n')) assert.match(file, /^\.\/lib[^ ]*\.so(\.\d+)?$/);
});

describe('started from its own files', () => {
  const chroot = (...args: string[]) =>
    execFileSync('chroot', [rootfs(), '/fairlead/node', '/fairlead/fairlead.cjs', ...args], {
      encoding: 'utf8',
    });

  it('tells its settings', () => {
    assert.match(chroot('agent', '--help'), /--vxlan-vni NUMBER/);
    assert.match(chroot('version'), /^fairlead \d+\.\d+\.\d+ /);
  });

  it('is one short word for `kubectl exec`, without a shell', () => {
    const said = execFileSync('chroot', [rootfs(), '/fairlead/fairlead', 'version'], { encoding: 'utf8' });
    assert.match(said, /^fairlead \d+\.\d+\.\d+ /);
  });

  it('installs the CNI plugins that are missing, and lets the others be', () => {
    mkdirSync(join(rootfs(), 'host'));
    assert.match(
      chroot('install-cni', '--to', '/host/bin'),
      /^installed: bridge, fairlead, host-local, loopback, portmap, ptp; already there: none/,
    );
    rmSync(join(rootfs(), 'host/bin/ptp'));
    assert.match(
      chroot('install-cni', '--to', '/host/bin'),
      /^installed: fairlead, ptp; already there: bridge, /,
    );
    assert.equal(run(`stat -c %a ${rootfs()}/host/bin/ptp`).trim(), '755');
  });

  it('is an agent that does its work', async () => {
    underlay();
    const machine = await Machine.start();
    try {
      await machine.addNode('n1', ['192.0.2.1', '2001:db8:1::1']);
      await machine.addNode('n2', ['192.0.2.2', '2001:db8:1::2']);
      const [proc, state] = [join(rootfs(), 'proc'), join(rootfs(), machine.dir)];
      for (const folder of [proc, state]) mkdirSync(folder, { recursive: true });
      const enter = `mount --rbind /proc ${proc} && mount --bind ${machine.dir} ${state} && exec chroot ${rootfs()} "$@"`;
      machine.agent([], {
        wrapper: ['unshare', '-m', 'sh', '-c', enter, 'sh'],
        program: [
          '/fairlead/node',
          '--max-semi-space-size=4',
          '--no-parallel-scavenge',
          '/fairlead/fairlead.cjs',
        ],
      });
      await machine.status('ready', (status) => status.state === 'ready');
      assert.match(run('ip route show proto 201'), /via 192\.0\.2\.2 dev eth0/);
    } finally {
      await machine.close();
    }
  });
});
