/**
 * `npm run image [-- --output FILE] [--plugins DIR]`: the agent's container image as an OCI archive, made from this machine's own
 * files with nothing but tar: no Docker, no daemon, no privileges. In it: Node.js and the libraries that it links, the bundle, the
 * socket addon, the CNI plugins; no shell, no package manager. The same input gives the same bytes.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
/** Names as OCI and Go write them. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };
const PLUGINS = ['bridge', 'host-local', 'loopback', 'portmap', 'ptp'];
const PLUGIN_DIRS = ['/usr/lib/cni', '/opt/cni/bin'];

interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

interface Layer {
  readonly name: string;
  /** Files of this machine by their path in the image. */
  readonly files: Readonly<Record<string, string>>;
  readonly folders?: readonly string[];
}

main();

function main(): void {
  const architecture = ARCHITECTURES[process.arch] ?? process.arch;
  const { values } = parseArgs({
    options: {
      output: { type: 'string', default: join(dist, `fairlead-${version}-${architecture}.oci.tar`) },
      plugins: { type: 'string', default: PLUGIN_DIRS.find((dir) => existsSync(join(dir, 'bridge'))) ?? '' },
    },
  });
  const work = mkdtempSync(join(tmpdir(), 'fairlead-image-'));
  try {
    const layers = [nodeLayer(work), pluginLayer(values.plugins), programLayer(work)];
    write(layers, architecture, work, values.output);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function nodeLayer(work: string): Layer {
  const node = join(work, 'node');
  copyFileSync(process.execPath, node);
  chmodSync(node, 0o755);
  try {
    execFileSync('strip', ['--strip-unneeded', node], { stdio: 'ignore' });
  } catch {
    console.log('no strip (Debian package binutils): Node.js keeps its symbols and is larger');
  }
  return {
    name: 'Node.js and its libraries',
    files: { '/fairlead/node': node, ...libraries(process.execPath) },
    folders: ['/etc/fairlead', '/run', '/tmp'],
  };
}

function pluginLayer(dir: string): Layer {
  if (dir === '')
    fail('the CNI plugins are missing. Type: sudo apt-get install -y containernetworking-plugins');
  const files: Record<string, string> = {};
  for (const name of PLUGINS) {
    if (!existsSync(join(dir, name))) fail(`${dir} has no CNI plugin "${name}"`);
    files[`/opt/cni/bin/${name}`] = join(dir, name);
  }
  files['/opt/cni/bin/fairlead'] = built('fairlead-cni');
  return { name: 'CNI plugins', files };
}

function programLayer(work: string): Layer {
  // The kernel itself starts the interpreter that the first line names: `kubectl exec … -- fairlead status` needs no shell.
  const command = join(work, 'fairlead');
  writeFileSync(command, `#!/fairlead/node\nrequire('/fairlead/fairlead.cjs');\n`);
  const files: Record<string, string> = { '/fairlead/fairlead': command };
  for (const name of ['fairlead.cjs', 'socket.node']) {
    files[`/fairlead/${name}`] = built(name);
  }
  return { name: 'Fairlead', files: { ...files, '/fairlead/LICENSE': join(root, 'LICENSE') } };
}

function built(name: string): string {
  const path = join(dist, name);
  if (!existsSync(path)) fail(`dist/${name} is missing: npm run build`);
  return path;
}

/** Shared libraries by the path at which the program looks for them, as the dynamic linker itself says. */
function libraries(program: string): Record<string, string> {
  const files: Record<string, string> = {};
  for (const line of execFileSync('ldd', [program], { encoding: 'utf8' }).split('\n')) {
    // "libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x…)" or "/lib64/ld-linux-x86-64.so.2 (0x…)"
    const path = /(?:=> |^\s*)(\/\S+) \(0x/.exec(line)?.[1];
    if (path) files[path] = path;
  }
  if (Object.keys(files).length === 0) fail(`ldd names no library of ${program}`);
  return files;
}

function write(layers: readonly Layer[], architecture: string, work: string, output: string): void {
  const layout = join(work, 'layout');
  const blobs = join(layout, 'blobs', 'sha256');
  mkdirSync(blobs, { recursive: true });
  const put = (mediaType: string, bytes: Buffer): Blob => {
    const hash = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(join(blobs, hash), bytes);
    return { mediaType, digest: `sha256:${hash}`, size: bytes.length };
  };
  const json = (mediaType: string, value: unknown) => put(mediaType, Buffer.from(JSON.stringify(value)));

  const packed = layers.map((layer, i) => {
    const tar = pack(layer, join(work, `layer${i}`));
    const blob = put('application/vnd.oci.image.layer.v1.tar+gzip', gzipSync(tar));
    show(layer, blob);
    return { blob, diff: `sha256:${createHash('sha256').update(tar).digest('hex')}` };
  });
  const config = json('application/vnd.oci.image.config.v1+json', {
    architecture,
    os: 'linux',
    created: '1970-01-01T00:00:00Z',
    config: {
      Entrypoint: [
        '/fairlead/node',
        '--max-semi-space-size=4',
        '--no-parallel-scavenge',
        '/fairlead/fairlead.cjs',
      ],
      Cmd: ['--help'],
      // One malloc arena: the agent's threads hardly allocate, and each arena costs resident memory.
      Env: ['PATH=/fairlead:/opt/cni/bin', 'MALLOC_ARENA_MAX=1'],
      Labels: {
        'org.opencontainers.image.version': version,
        'org.opencontainers.image.licenses': 'Apache-2.0',
      },
    },
    rootfs: { type: 'layers', diff_ids: packed.map((p) => p.diff) },
    history: layers.map((layer) => ({ created: '1970-01-01T00:00:00Z', created_by: layer.name })),
  });
  const manifest = json('application/vnd.oci.image.manifest.v1+json', {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config,
    layers: packed.map((p) => p.blob),
  });
  const annotations = {
    'org.opencontainers.image.ref.name': version,
    'io.containerd.image.name': `fairlead:${version}`,
  };
  writeFileSync(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  writeFileSync(
    join(layout, 'index.json'),
    JSON.stringify({
      schemaVersion: 2,
      manifests: [{ ...manifest, platform: { architecture, os: 'linux' }, annotations }],
    }),
  );
  mkdirSync(dirname(output), { recursive: true });
  writeFileSync(output, tarOf(layout));
  console.log(
    `${output}: ${megabytes(statSync(output).size)}, image fairlead:${version} for linux/${architecture}`,
  );
}

function pack(layer: Layer, stage: string): Buffer {
  for (const folder of layer.folders ?? []) mkdirSync(join(stage, folder), { recursive: true });
  for (const [path, source] of Object.entries(layer.files)) {
    mkdirSync(dirname(join(stage, path)), { recursive: true });
    copyFileSync(source, join(stage, path));
    chmodSync(join(stage, path), /\.cjs$|LICENSE$/.test(path) ? 0o644 : 0o755);
  }
  return tarOf(stage);
}

/** Order, times and owners do not depend on the machine. */
function tarOf(dir: string): Buffer {
  const flags = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--format=ustar'];
  const entries = globSync('*', { cwd: dir }).sort();
  return execFileSync('tar', [...flags, '-C', dir, '-cf', '-', ...entries], { maxBuffer: 1 << 30 });
}

function show(layer: Layer, blob: Blob): void {
  console.log(`${layer.name}: ${megabytes(blob.size)} compressed`);
  for (const [path, source] of Object.entries(layer.files).sort()) {
    console.log(`  ${megabytes(statSync(source).size).padStart(9)}  ${path}`);
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(2)} MB`;
}

function fail(words: string): never {
  console.error(`${basename(import.meta.filename)}: ${words}`);
  process.exit(1);
}
