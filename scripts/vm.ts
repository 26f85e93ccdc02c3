/**
 * Builds the kernel of the vm tier: user-mode Linux, an ordinary program, from Debian's kernel source with test/vm/kernel.config on top of
 * the defconfig. The result lies in the user's cache, named by a hash of configuration and source version.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, homedir } from 'node:os';
import { join } from 'node:path';
import { ensurePackages } from './packages.ts';

const CONFIG = join(import.meta.dirname, '../test/vm/kernel.config');
/** In bookworm (security) and trixie alike. */
const SOURCE = 'linux-source-6.12';
const PACKAGES = [SOURCE, 'gcc', 'libc6-dev', 'binutils', 'make', 'flex', 'bison', 'bc', 'xz-utils'] as const;

/** Path of the kernel, or the reason why there is none. Takes five minutes on two cores, once, and 2 GB of disk meanwhile. */
export function vmKernel(): { path: string } | { missing: string } {
  const config = readFileSync(CONFIG, 'utf8');
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'fairlead');
  const found = kernelPath(cache, config);
  if (found && existsSync(found)) return { path: found };
  const missing = ensurePackages([...PACKAGES]);
  if (missing.length > 0) return { missing: `no kernel of its own without ${missing.join(', ')}` };
  const path = kernelPath(cache, config);
  if (path === undefined) return { missing: `cannot tell the version of ${SOURCE}` };
  if (existsSync(path)) return { path };
  mkdirSync(cache, { recursive: true });
  console.error(`fairlead: building user-mode Linux from ${SOURCE}, once; minutes`);
  const tree = mkdtempSync(join(cache, 'uml-build-'));
  try {
    build(tree, config);
    renameSync(join(tree, 'linux'), path);
    return { path };
  } catch (error) {
    return { missing: `user-mode Linux: ${error instanceof Error ? error.message : error}` };
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

function kernelPath(cache: string, config: string): string | undefined {
  const policy = spawnSync('apt-cache', ['policy', SOURCE], {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
  });
  const [, installed, candidate] = /Installed: (\S+)\s+Candidate: (\S+)/.exec(policy.stdout ?? '') ?? [];
  const version = installed === '(none)' ? candidate : installed;
  if (version === undefined || version === '(none)') return undefined;
  const hash = createHash('sha256').update(`${process.arch} ${version}\n${config}`).digest('hex');
  return join(cache, `uml-${version.replace(/[^\w.-]/g, '_')}-${hash.slice(0, 12)}`);
}

function build(tree: string, config: string): void {
  run(tree, 'tar', '--extract', '--strip-components=1', `--file=/usr/src/${SOURCE}.tar.xz`);
  const make = (...goals: string[]) => run(tree, 'nice', '-n', '15', 'make', '--silent', 'ARCH=um', ...goals);
  make('defconfig');
  const file = join(tree, '.config');
  writeFileSync(file, `${readFileSync(file, 'utf8')}\n${config}`);
  make('olddefconfig');
  const given = new Set(readFileSync(file, 'utf8').split('\n'));
  const refused = config
    .split('\n')
    .filter((line) => line.startsWith('CONFIG_') && !given.has(written(line)));
  if (refused.length > 0) throw new Error(`the kernel does not take ${refused.join(' ')}`);
  make(`-j${availableParallelism()}`, 'linux');
  run(tree, 'strip', 'linux');
}

/** As Kconfig writes it. */
function written(line: string): string {
  return line.endsWith('=n') ? `# ${line.slice(0, -2)} is not set` : line;
}

function run(cwd: string, program: string, ...args: string[]): void {
  const { status, error, stderr } = spawnSync(program, args, {
    cwd,
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  if (status === 0) return;
  const words = error?.message ?? stderr.trim().split('\n').slice(-5).join(' | ');
  throw new Error(`${program} ${args.join(' ')}: ${words}`);
}

if (import.meta.main) {
  const found = vmKernel();
  if ('missing' in found) {
    console.error(`fairlead: ${found.missing}`);
    process.exit(1);
  }
  console.log(found.path);
}
