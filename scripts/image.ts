/**
 * `npm run image [-- --output FILE] [--plugins DIR]`: the agent's container image as an OCI archive, made from this machine's own
 * files with nothing but tar: no Docker, no daemon, no privileges. In it: Node.js and the libraries that it links, the bundle, the
 * socket addon, the CNI plugins; no shell, no package manager. The same input gives the same bytes.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { ARCHITECTURE, type Layer, writeArchive } from './oci.ts';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
/** Kubelets and container runtimes complete `fairlead:0.1.0` to this: an image imported under the short name is never found. */
const name = `docker.io/library/fairlead:${version}`;
const PLUGINS = ['bridge', 'host-local', 'loopback', 'portmap', 'ptp'];
const PLUGIN_DIRS = ['/usr/lib/cni', '/opt/cni/bin'];
const CONFIG = {
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
};

main();

function main(): void {
  const { values } = parseArgs({
    options: {
      output: { type: 'string', default: join(dist, `fairlead-${version}-${ARCHITECTURE}.oci.tar`) },
      plugins: { type: 'string', default: PLUGIN_DIRS.find((dir) => existsSync(join(dir, 'bridge'))) ?? '' },
    },
  });
  const work = mkdtempSync(join(tmpdir(), 'fairlead-image-'));
  try {
    const layers = [nodeLayer(work), pluginLayer(values.plugins), programLayer(work)];
    const sizes = writeArchive({ name, config: CONFIG, layers }, values.output);
    for (const [i, layer] of layers.entries()) show(layer, sizes[i] ?? 0);
    const size = megabytes(statSync(values.output).size);
    console.log(`${values.output}: ${size}, image fairlead:${version} for linux/${ARCHITECTURE}`);
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

function show(layer: Layer, compressed: number): void {
  console.log(`${layer.name}: ${megabytes(compressed)} compressed`);
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
