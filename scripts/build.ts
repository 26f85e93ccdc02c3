/** Builds `dist/`: the socket addon and the CNI plugin (one `cc` line each) and one CommonJS bundle a program. `--if-changed` skips what is up to date. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const WARNINGS = ['-O2', '-Wall', '-Wextra', '-Werror', '-s'];

/** Bundles by output name. The lab is a program of its own, so that the agent's bundle stays small. */
const BUNDLES: Readonly<Record<string, string>> = {
  fairlead: 'src/cli/main.ts',
  lab: 'src/lab/main.ts',
};

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
const stamp = join(dist, '.built');
const digest = digestOf([
  ...globSync('src/**/*.{ts,c,h}', { cwd: root }).sort(),
  'scripts/build.ts',
  'package-lock.json',
]);
if (!(process.argv.includes('--if-changed') && existsSync(stamp) && readFileSync(stamp, 'utf8') === digest)) {
  mkdirSync(dist, { recursive: true });
  buildAddon();
  buildPlugin();
  await Promise.all(Object.entries(BUNDLES).map(([name, entry]) => bundle(name, entry)));
  writeFileSync(stamp, digest);
}

function digestOf(files: readonly string[]): string {
  const hash = createHash('sha256');
  for (const file of files)
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(join(root, file)))
      .update('\0');
  return hash.digest('hex');
}

/** The headers ship in the Node.js package itself. */
function buildAddon(): void {
  const include = join(dirname(process.execPath), '..', 'include', 'node');
  const flags = ['-shared', '-fPIC', '-fvisibility=hidden', '-DNAPI_VERSION=9', `-I${include}`];
  const sources = globSync('src/targets/linux/netlink/addon/*.c', { cwd: root }).sort();
  compile('socket.node', sources, flags);
}

/** Static: it runs on the host, whatever C library that has. */
function buildPlugin(): void {
  const sources = globSync('src/cni-plugin/*.c', { cwd: root }).sort();
  compile('fairlead-cni', sources, ['-static']);
}

/** A second build of the same sources is skipped: a compiler is slow beside esbuild. */
function compile(output: string, paths: readonly string[], flags: readonly string[]): void {
  const made = join(dist, output);
  const mark = join(dist, `.${output}`);
  const all = [...WARNINGS, ...flags];
  const headers = globSync(`${dirname(paths[0] ?? '')}/*.h`, { cwd: root }).sort();
  const sources = digestOf([...paths, ...headers]);
  const wanted = createHash('sha256')
    .update(sources)
    .update(process.version)
    .update(all.join())
    .digest('hex');
  if (existsSync(made) && existsSync(mark) && readFileSync(mark, 'utf8') === wanted) return;
  // Replaced, not written into: it may be running.
  const fresh = `${made}.new`;
  try {
    execFileSync('cc', [...all, ...paths, '-o', fresh], { cwd: root, stdio: 'inherit' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    console.error('fairlead: no C compiler found. Type: sudo apt-get install -y gcc libc6-dev');
    process.exit(1);
  }
  renameSync(fresh, made);
  writeFileSync(mark, wanted);
}

async function bundle(name: string, entry: string): Promise<void> {
  if (!existsSync(join(root, entry))) return;
  await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile: join(dist, `${name}.cjs`),
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node24',
    legalComments: 'none',
    sourcemap: 'linked',
    logLevel: 'warning',
    external: ['*.node'],
    // A CommonJS bundle has no import.meta: these two say the same.
    define: {
      'import.meta.dirname': '__dirname',
      'import.meta.filename': '__filename',
      FAIRLEAD_VERSION: JSON.stringify(version),
    },
  });
}
