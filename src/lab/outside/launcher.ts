import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { FairleadError } from '../../model/errors.ts';
import { Deadline } from '../deadline.ts';
import { API_SOCKET, type LabOptions } from '../options.ts';
import { openDoor } from '../sockets/door.ts';
import { type Means, preflight, unshareFlags } from './preflight.ts';
import {
  createState,
  folderFault,
  isAlive,
  type LabRecord,
  type LabState,
  processId,
  removeState,
} from './state.ts';

/** A lab whose life hangs on this process. */
export interface LaunchedLab {
  readonly state: LabState;
  readonly record: LabRecord;
  /** Bearer token of the lab's administrator. */
  readonly token: string;
  /** What this kernel lacks, in sentences. */
  readonly lacks: readonly string[];
  /** Milliseconds until it was up. */
  readonly milliseconds: number;
  /** Resolves when the lab has ended, with the reason. */
  readonly ended: Promise<string>;
  close(): Promise<void>;
}

/** The first line that the lab says when it is up, or cannot come up. */
type FirstWords = { readonly ready: true } | { readonly error: string; readonly hint?: string };

/**
 * The shell that becomes the lab's first process. Its order matters: the host's number of this process is read from the host's /proc
 * before a fresh one covers it, and the state folder is bound before a tmpfs covers /run.
 */
const BOOT = `
set -eu
read -r pid rest </proc/self/stat
echo "$pid" >"$1/init.pid"
mkdir "$1/boot"
mount -n -t tmpfs -o mode=755 tmpfs "$1/boot"
mkdir "$1/boot/lab" "$1/boot/netns" "$1/boot/fairlead" "$1/boot/cni" "$1/boot/lock"
mount -n --bind "$1" "$1/boot/lab"
mount -n --move "$1/boot" /run
mount -n -t proc proc /proc
mount -n -t sysfs sysfs /sys 2>/dev/null || true
mount -n --make-rshared /
ip link set lo up
shift
exec "$@"
`;

/** Starts a lab and waits until it is up. Throws what kept it from it, with nothing left behind. */
export async function launch(
  state: LabState,
  options: LabOptions,
  program: readonly string[],
): Promise<LaunchedLab> {
  const begun = performance.now();
  const means = preflight();
  try {
    createState(state);
  } catch (error) {
    throw folderFault(error, state.dir);
  }
  try {
    writeFileSync(join(state.dir, 'options.json'), JSON.stringify(options));
    const child = startInit(state, means, program);
    const exited = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    // Whatever ends the lab, its folder goes with it.
    const ended = exited.then((reason) => {
      removeState(state);
      return reason;
    });
    try {
      await firstWords(child, exited, state);
      const relay = await relayTcp(join(state.dir, API_SOCKET));
      const record = writeRecord(state, means, relay.port);
      void ended.then(() => relay.server.close());
      const milliseconds = performance.now() - begun;
      const token = /token: (\S+)/.exec(readFileSync(join(state.dir, 'kubeconfig'), 'utf8'))?.[1] ?? '';
      const { lacks } = means;
      return { state, record, token, lacks, milliseconds, ended, close: () => stop(child, ended) };
    } catch (error) {
      await stop(child, ended);
      throw error;
    }
  } catch (error) {
    removeState(state);
    throw folderFault(error, state.dir);
  }
}

function startInit(state: LabState, means: Means, program: readonly string[]): ChildProcess {
  const args = [...unshareFlags(means), '--', 'sh', '-c', BOOT, 'lab', state.dir, ...program, state.dir];
  const env = {
    ...process.env,
    PATH: `${process.env.PATH ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`,
    // A test runner's settings are not the lab's.
    NODE_OPTIONS: '',
    NODE_TEST_CONTEXT: undefined,
  };
  // The pipe on descriptor 0 is the lab's lifeline: its end is read as the launcher's death. A session of its own, so that Ctrl-C
  // reaches the launcher, which then ends the lab in order.
  return spawn('unshare', args, { stdio: ['pipe', 'ignore', 'pipe', 'pipe'], env, detached: true });
}

async function firstWords(child: ChildProcess, exited: Promise<string>, state: LabState): Promise<void> {
  const complaints: Buffer[] = [];
  child.stderr?.on('data', (chunk: Buffer) => {
    complaints.push(chunk);
    if (process.env.FAIRLEAD_LAB_DEBUG) process.stderr.write(chunk);
  });
  const lines = createInterface({ input: child.stdio[3] as Readable });
  const line = new Promise<string>((resolve) => lines.once('line', resolve));
  const first = await Promise.race([
    line.then((text) => JSON.parse(text) as FirstWords),
    exited.then((reason) => ({ error: `it ended with ${reason}` })),
  ]);
  if ('ready' in first) return;
  const words = Buffer.concat(complaints).toString().trim();
  throw new FairleadError(
    'lab-start',
    `lab "${state.name}" did not start: ${first.error}${words ? `\n${words}` : ''}`,
    'hint' in first && first.hint ? { hint: first.hint } : {},
  );
}

function writeRecord(state: LabState, means: Means, apiPort: number): LabRecord {
  const init = processId(Number(readFileSync(join(state.dir, 'init.pid'), 'utf8')));
  const record = {
    name: state.name,
    launcher: processId(process.pid),
    init,
    userNamespace: means.userNamespace,
    apiPort,
  };
  const inside = readFileSync(join(state.dir, 'kubeconfig.inside'), 'utf8');
  writeFileSync(
    join(state.dir, 'kubeconfig'),
    inside.replaceAll('https://127.0.0.1:6443', `https://127.0.0.1:${apiPort}`),
  );
  writeFileSync(join(state.dir, 'lab.json'), JSON.stringify(record));
  return record;
}

/** The host's only door into the lab: a loopback port, for kubectl and browsers, joined to a unix socket. */
async function relayTcp(path: string): Promise<{ server: Server; port: number }> {
  const server = await openDoor({ port: 0, host: '127.0.0.1' }, { path });
  server.unref();
  const address = server.address();
  return { server, port: typeof address === 'object' && address ? address.port : 0 };
}

/** Lets go of the lifeline; a first process that does not end within a second is killed, and the kernel cleans up after it. */
async function stop(child: ChildProcess, ended: Promise<string>): Promise<void> {
  child.stdin?.destroy();
  const timer = setTimeout(() => child.kill('SIGKILL'), 1000);
  await ended;
  clearTimeout(timer);
}

/** Ends somebody else's lab: asks its launcher, or where that is gone kills its first process. */
export async function down(state: LabState, record: LabRecord): Promise<void> {
  if (isAlive(record.launcher)) process.kill(record.launcher.pid, 'SIGTERM');
  else if (isAlive(record.init)) process.kill(record.init.pid, 'SIGKILL');
  const deadline = new Deadline(5000);
  while (isAlive(record.init) || isAlive(record.launcher)) {
    if (deadline.passed) {
      if (isAlive(record.init)) process.kill(record.init.pid, 'SIGKILL');
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  removeState(state);
}
