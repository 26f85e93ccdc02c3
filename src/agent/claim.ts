import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, realpathSync, renameSync, unlinkSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { basename, dirname, join, resolve } from 'node:path';
import { AGENT_SOCKET } from '../model/cluster/config.ts';
import { FairleadError } from '../model/errors.ts';

/** sockaddr_un.sun_path holds 108 bytes with its end mark (unix(7)). */
const LONGEST_PATH = 107;

/**
 * Opens the agent's socket in its state folder, which also is its lock: a socket that answers means that an agent lives,
 * whatever process or container namespace it is in, and one that refuses is what a killed agent left. Only root may connect.
 * Throws `agent-runs` when another agent has the folder.
 */
export async function claimSocket(server: Server, stateDir: string): Promise<string> {
  const path = join(stateDir, AGENT_SOCKET);
  const temporary = `${path}.${randomBytes(4).toString('hex')}`;
  if (Buffer.byteLength(temporary) > LONGEST_PATH) {
    throw new FairleadError(
      'state-dir-too-long',
      `the socket path ${temporary} is longer than ${LONGEST_PATH} bytes`,
      {
        hint: 'choose a shorter --state-dir',
      },
    );
  }
  makeFolder(stateDir);
  forget(temporary);
  await listen(server, temporary);
  try {
    // A hard link is made by one of two that try; the loser looks who has won.
    while (!tryLink(temporary, path)) await setAsideStale(path, stateDir);
  } catch (error) {
    server.close();
    throw error;
  } finally {
    forget(temporary);
  }
  return path;
}

/** Whether an agent answers on that socket. */
export function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const done = (alive: boolean) => {
      socket.destroy();
      resolve(alive);
    };
    socket.once('connect', () => done(true));
    // A full backlog (EAGAIN) is a living agent; refused or gone is not.
    socket.once('error', (error: NodeJS.ErrnoException) =>
      done(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    );
  });
}

async function setAsideStale(path: string, stateDir: string): Promise<void> {
  if (await answers(path)) throw agentRuns(stateDir);
  const aside = `${path}.${randomBytes(4).toString('hex')}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  // Between the look and the rename another agent may have put its own there: it gets it back.
  const alive = await answers(aside);
  if (alive) tryLink(aside, path);
  forget(aside);
  if (alive) throw agentRuns(stateDir);
}

function agentRuns(stateDir: string): FairleadError {
  return new FairleadError('agent-runs', `another agent is running with the state folder ${stateDir}`, {
    hint: 'stop it first, or give this one its own --state-dir and network namespace',
  });
}

/** File systems of the kernel, in which nobody can make folders. */
const KERNELS = ['/proc', '/sys'];

function makeFolder(stateDir: string): void {
  const place = whereItIs(resolve(stateDir));
  const kernels = KERNELS.find((root) => place === root || place.startsWith(`${root}/`));
  // Node.js never returns from a recursive mkdir there: the kernel says ENOENT, and it goes back to a parent that exists.
  if (kernels !== undefined) {
    throw new FairleadError(
      'state-dir',
      `the state folder ${stateDir} is in ${kernels}, which is the kernel's`,
      {
        hint: 'choose a writable --state-dir on a local file system, such as /run/fairlead',
      },
    );
  }
  try {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new FairleadError('state-dir', `cannot create the state folder ${stateDir} (${code})`, {
      hint: 'choose a writable --state-dir',
      cause: error,
    });
  }
}

/** Its path without symbolic links, as far as it exists. */
function whereItIs(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(whereItIs(parent), basename(path));
  }
}

function listen(server: Server, path: string): Promise<void> {
  // The mode is right from the first moment: the socket is created under this mask.
  const mask = process.umask(0o177);
  return new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        new FairleadError('socket', `cannot open the socket ${path} (${error.code})`, {
          hint: 'choose a writable --state-dir on a local file system',
          cause: error,
        }),
      ),
    );
    server.listen(path, resolve);
    process.umask(mask);
  });
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function forget(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It was not there.
  }
}
