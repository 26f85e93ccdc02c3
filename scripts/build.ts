/** Builds `dist/`: the socket addon (one `cc -shared` line) and one CommonJS bundle a program. `--if-changed` skips what is up to date. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const ADDON_SOURCE = 'src/targets/linux/netlink/socket.c';

/** Bundles by output name. The lab is a program of its own, so that the agent's bundle stays small. */
const BUNDLES: Readonly<Record<string, string>> = {
  fairlead: 'src/cli/main.ts',
  lab: 'src/lab/main.ts',
};

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
const stamp = join(dist, '.built');
const digest = digestOf([
  ...globSync('src/**/*.{ts,c}', { cwd: root }).sort(),
  'scripts/build.ts',
  'package-lock.json',
]);
if (!(process.argv.includes('--if-changed') && existsSync(stamp) && readFileSync(stamp, 'utf8') === digest)) {
  mkdirSync(dist, { recursive: true });
  buildAddon();
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

/** The headers ship in the Node.js package itself. A second build of the same source is skipped: a compiler is slow beside esbuild. */
function buildAddon(): void {
  const source = readFileSync(join(root, ADDON_SOURCE));
  const mark = join(dist, '.addon');
  const wanted = createHash('sha256').update(source).update(process.version).digest('hex');
  if (existsSync(join(dist, 'socket.node')) && existsSync(mark) && readFileSync(mark, 'utf8') === wanted)
    return;
  const include = join(dirname(process.execPath), '..', 'include', 'node');
  const flags = [
    '-O2',
    '-Wall',
    '-Wextra',
    '-Werror',
    '-shared',
    '-fPIC',
    '-s',
    '-DNAPI_VERSION=9',
    `-I${include}`,
  ];
  try {
    execFileSync('cc', [...flags, ADDON_SOURCE, '-o', join(dist, 'socket.node')], {
      cwd: root,
      stdio: 'inherit',
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    console.error('fairlead: no C compiler found. Type: sudo apt-get install -y gcc libc6-dev');
    process.exit(1);
  }
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
