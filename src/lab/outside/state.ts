import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { FairleadError } from '../../model/errors.ts';

/** One folder a lab, on the host's side. Inside the lab the same folder is `/run/lab`. */
export interface LabState {
  readonly name: string;
  readonly dir: string;
}

/** Written when the lab is up: `lab.json`. */
export interface LabRecord {
  readonly name: string;
  /** The process outside, in whose life the lab lives. */
  readonly launcher: ProcessId;
  /** The lab's first process, as the host counts. */
  readonly init: ProcessId;
  /** Whether the lab has a user namespace of its own. */
  readonly userNamespace: boolean;
  /** Loopback TCP port of the API server on the host. */
  readonly apiPort: number;
}

/** A process that cannot be confused with a later one of the same number. */
export interface ProcessId {
  readonly pid: number;
  /** Clock ticks since boot (`/proc/PID/stat`, field 22). */
  readonly started: string;
}

function stateRoot(): string {
  const own = process.env.XDG_RUNTIME_DIR;
  return own && existsSync(own) ? join(own, 'fairlead-lab') : `/tmp/fairlead-lab-${process.getuid?.() ?? 0}`;
}

const NAME = /^[a-z0-9][a-z0-9-]{0,30}$/;

export function stateOf(name: string, root: string = stateRoot()): LabState {
  if (!NAME.test(name)) {
    throw new FairleadError('lab-name', `"${name}" cannot be a lab's name`, {
      hint: 'use up to 31 lower-case letters, digits and "-"',
    });
  }
  return { name, dir: join(resolve(root), name) };
}

/** The flags by which another command finds this lab: nothing for the usual one. */
export function flagsOf({ name, dir }: LabState): string {
  const root = dirname(dir);
  return `${name === 'default' ? '' : ` --name ${name}`}${root === stateRoot() ? '' : ` --state-dir ${root}`}`;
}

/** Makes the folder. Throws `lab-exists` when a lab of that name runs, `lab-folder` where somebody else could change what is in it. */
export function createState(state: LabState): void {
  for (let tries = 3; ; tries--) {
    try {
      create(state);
      return;
    } catch (error) {
      // A lab that ends just now takes the folder around both away when it finds it empty.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || tries === 0) throw error;
    }
  }
}

function create(state: LabState): void {
  const root = dirname(state.dir);
  mkdirSync(root, { recursive: true, mode: 0o700 });
  requireSafe(root);
  sweep(root);
  removeUnclaimed(state.dir);
  try {
    mkdirSync(state.dir, { mode: 0o700 });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
    throw new FairleadError('lab-exists', `a lab named "${state.name}" runs already (${state.dir})`, {
      hint: `stop it with "./fairlead lab down${flagsOf(state)}", or start another with --name`,
      cause,
    });
  }
  try {
    writeFileSync(join(state.dir, 'owner'), JSON.stringify(processId(process.pid)));
  } catch (error) {
    removeState(state);
    throw error;
  }
}

/** Takes the folder away, and the one around it where it is ours and empty now. */
export function removeState({ dir }: LabState): void {
  rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
  if (dirname(dir) !== stateRoot()) return;
  try {
    rmdirSync(dirname(dir));
  } catch {
    // There are other labs in it.
  }
}

/** What is wrong with the disk, in words that name the folder; any other error as it is. */
export function folderFault(error: unknown, dir: string): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (!DISK_FAULTS.has(code ?? '')) return error;
  return new FairleadError('lab-folder', `the lab's folder ${dir} cannot be written: ${message}`, {
    hint: 'make room, or choose another place with --state-dir DIR',
    cause: error,
  });
}

const DISK_FAULTS: ReadonlySet<string> = new Set([
  'ENOSPC',
  'EDQUOT',
  'EROFS',
  'EACCES',
  'EPERM',
  'ENOTDIR',
  'EEXIST',
]);

export function readRecord(state: LabState): LabRecord | undefined {
  try {
    return JSON.parse(readFileSync(join(state.dir, 'lab.json'), 'utf8')) as LabRecord;
  } catch {
    return undefined;
  }
}

/** Throws `no-lab`. */
export function requireRecord(state: LabState): LabRecord {
  const record = readRecord(state);
  if (!record || !isAlive(record.init)) {
    throw new FairleadError('no-lab', `no lab named "${state.name}" runs`, {
      hint: 'start one: npm run lab',
    });
  }
  return record;
}

const STICKY = 0o1000;
const OTHERS_WRITE = 0o002;

/** The default below /tmp has a name that anybody can guess and make first. */
function requireSafe(root: string): void {
  const { uid, mode } = statSync(root);
  const ours = uid === process.getuid?.() || uid === 0;
  const linked = root === stateRoot() && lstatSync(root).isSymbolicLink();
  if (ours && !linked && ((mode & OTHERS_WRITE) === 0 || (mode & STICKY) !== 0)) return;
  throw new FairleadError('lab-folder', `others may write in ${root}, where the lab's keys would be`, {
    hint: 'remove it, or choose another folder with --state-dir',
  });
}

/**
 * Removes the folders of labs whose processes are gone: a launcher that was killed could not. Only what bears a lab's owner mark is
 * touched: `--state-dir` may name a folder with other things in it.
 */
export function sweep(root: string): void {
  for (const name of readdirSync(root)) {
    const dir = join(root, name);
    const owner = ownerOf(dir);
    if (!owner || isAlive(owner)) continue;
    const record = readRecord({ name, dir });
    if (record && (isAlive(record.init) || isAlive(record.launcher))) continue;
    rmSync(dir, { recursive: true, force: true });
  }
}

/** A launcher that was killed before it wrote its owner mark left an empty folder; one made a moment ago may still get it. */
function removeUnclaimed(dir: string): void {
  try {
    if (Date.now() - statSync(dir).ctimeMs >= 2000) rmdirSync(dir);
  } catch {
    // Not there, or not empty: then it is somebody's.
  }
}

function ownerOf(dir: string): ProcessId | undefined {
  try {
    const owner = JSON.parse(readFileSync(join(dir, 'owner'), 'utf8')) as ProcessId | null;
    return typeof owner?.pid === 'number' && typeof owner.started === 'string' ? owner : undefined;
  } catch {
    return undefined;
  }
}

export function processId(pid: number): ProcessId {
  return { pid, started: startOf(pid) ?? '' };
}

export function isAlive(process: ProcessId): boolean {
  return startOf(process.pid) === process.started;
}

/** Start time of a process that runs; a zombie does not. */
function startOf(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
