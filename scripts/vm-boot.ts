/**
 * Boots the kernel of the vm tier for one command and ends with it. Its root file system is this machine's; /run, /dev/shm and /dev are its
 * own, temporary files go to /dev/shm. What the command prints comes out here. By hand: `sh scripts/node.sh scripts/vm-boot.ts COMMAND…`
 */
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { vmKernel } from './vm.ts';

/** Megabytes; taken from the machine as they are used. */
const MEMORY = 1536;
/** A guest that hangs is ended. The longest file takes a third of this on a busy machine. */
const DEADLINE = 15 * 60_000;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** What the kernel says at its end however quiet it is told to be. */
const FAREWELL = /^(sysrq: Power Off|reboot: (Power down|System halted))\s*$/;

/** The command's exit code; 124 when the deadline ended it, 125 when the guest died without one. */
export async function boot(
  kernel: string,
  command: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const scratch = mkdtempSync(join(tmpdir(), 'fairlead-vm-'));
  try {
    const init = join(scratch, 'init');
    const status = join(scratch, 'status');
    writeFileSync(init, initScript(command, env, status));
    writeFileSync(status, '');
    chmodSync(init, 0o755);
    const inTime = await run(kernel, init, scratch);
    const code = readFileSync(status, 'utf8').trim();
    if (inTime && code !== '') return Number(code);
    console.log(inTime ? 'the virtual machine died' : `the virtual machine took over ${DEADLINE / 1000} s`);
    return inTime ? 125 : 124;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** False when the deadline ended it. */
function run(kernel: string, init: string, scratch: string): Promise<boolean> {
  const args = [
    `mem=${MEMORY}M`,
    'rootfstype=hostfs',
    'rootflags=/',
    'rw',
    `init=${init}`,
    'con=null',
    'con0=null,fd:1',
    'ssl=null',
    `uml_dir=${scratch}/`,
    'quiet',
    'loglevel=1',
  ];
  const child = spawn(kernel, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH, HOME: scratch, TMPDIR: roomForMemory() },
    detached: true,
  });
  const kill = () => {
    try {
      if (child.pid) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended already.
    }
  };
  return new Promise((resolve, reject) => {
    let inTime = true;
    const timer = setTimeout(() => {
      inTime = false;
      kill();
    }, DEADLINE);
    const interrupted = () => process.exit(130);
    for (const signal of SIGNALS) process.once(signal, interrupted);
    const abandon = () => {
      kill();
      rmSync(scratch, { recursive: true, force: true });
    };
    process.once('exit', abandon);
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (!FAREWELL.test(line)) console.log(line.trimEnd());
    });
    child.once('error', reject);
    child.once('close', () => {
      clearTimeout(timer);
      for (const signal of SIGNALS) process.off(signal, interrupted);
      process.off('exit', abandon);
      kill();
      resolve(inTime);
    });
  });
}

/** The guest's memory is a file: in memory where there is room for it. */
function roomForMemory(): string {
  try {
    const { bavail, bsize } = statfsSync('/dev/shm');
    if (bavail * bsize > MEMORY * 2 ** 20) return '/dev/shm';
  } catch {
    // There is none.
  }
  return tmpdir();
}

function initScript(
  command: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  status: string,
): string {
  const kept = Object.entries(env).filter(([name]) => /^(CI|HOME|SEEDS?|FAIRLEAD_\w+)$/.test(name));
  const exports = kept.map(([name, value = '']) => `export ${name}=${quoted(value)}`);
  return `#!/bin/sh
export PATH=${PATH} TMPDIR=/dev/shm
${exports.join('\n')}
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mountpoint -q /dev || mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
# Pages that a process shares with io_uring are counted wrongly by user-mode Linux and corrupt its memory.
echo 2 > /proc/sys/kernel/io_uring_disabled
echo 262144 > /proc/sys/net/netfilter/nf_conntrack_max
# As where tunnels are modules: new namespaces have none of their default links.
echo 1 > /proc/sys/net/core/fb_tunnels_only_for_init_net
cd ${quoted(process.cwd())}
{ ${command.map(quoted).join(' ')}; echo $? > ${quoted(status)}; } </dev/null 2>&1 | cat
echo o > /proc/sysrq-trigger
sleep 60
`;
}

const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

if (import.meta.main) {
  const kernel = vmKernel();
  if ('missing' in kernel) {
    console.error(`fairlead: ${kernel.missing}`);
    process.exit(1);
  }
  process.exitCode = await boot(kernel.path, process.argv.slice(2), process.env);
}
