/**
 * Target `sysctl`: kernel settings under /proc/sys. Ours = what the journal lists: for every setting that we change, the value it had before,
 * written down before the change, put back at removal. Settings go with their link and with a reboot, and so does what the journal says of them.
 *
 * File calls are synchronous: /proc/sys/net shows the network namespace of the calling thread.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { FairleadError } from '../../model/errors.ts';
import { type SysctlBody, sysctlKey } from '../../model/rows/sysctl.ts';
import type { Change, Outcome, Target } from '../../reconcile/target.ts';
import { OK } from './batch.ts';
import { watchDrift } from './drift.ts';
import { kernelChanged } from './netlink/fault.ts';
import { RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF } from './netlink/rtnetlink/constants.ts';
import type { NetlinkTransport } from './netlink/transport.ts';

export interface SysctlTargetOptions {
  /** File of the journal, in the state folder. */
  readonly journal: string;
  /** For notifications of forwarding, rp_filter and the like (RTM_NEWNETCONF); without it their drift waits for the sweep. */
  readonly nl?: NetlinkTransport;
  /** Default `/proc/sys`. */
  readonly root?: string;
}

/** The kernel tells nobody when these change, and policies between pods of one bridge hang on them. */
const UNTOLD = 'net/bridge/';
const LOOK_MS = 500;

/** Values before us, by path. */
type Journal = Map<string, string>;

export function sysctlTarget({
  journal: file,
  nl,
  root = '/proc/sys',
}: SysctlTargetOptions): Target<SysctlBody> {
  const untold = new Map<string, string>();
  const note = (path: string): string | undefined => {
    const value = read(root, path);
    if (path.startsWith(UNTOLD) && value !== undefined) untold.set(path, value);
    return value;
  };
  const target: Target<SysctlBody> = {
    name: 'sysctl',
    stage: 0,
    same: (wanted, found) => normal(wanted.value) === normal(found.value),
    async observe() {
      const found = new Map<string, SysctlBody>();
      untold.clear();
      for (const path of readJournal(file).keys()) {
        const value = note(path);
        if (value !== undefined) found.set(sysctlKey(path), { path, value });
      }
      return found;
    },
    async apply(batch) {
      const journal = readJournal(file);
      // Their link has gone, and what comes back by its name begins anew.
      for (const path of [...journal.keys()]) if (read(root, path) === undefined) journal.delete(path);
      const outcomes = prepare(batch, journal, root);
      writeJournal(file, journal);
      batch.forEach((change, i) => {
        if (outcomes[i]?.ok === true) outcomes[i] = applyOne(change, journal, root);
      });
      // After the changes: what was put back is no longer ours.
      writeJournal(file, journal);
      untold.clear();
      for (const path of journal.keys()) note(path);
      return outcomes;
    },
  };
  if (nl === undefined) return target;
  return {
    ...target,
    watch: (onDrift) => {
      const told = watchDrift(
        {
          nl,
          groups: [RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF],
          linkMatters: () => false,
          keyOf: () => 'netconf',
        },
        // The message names a link by number and some settings by code; a look at our few files is simpler.
        () => onDrift('unknown'),
      );
      const moved = () => [...untold].some(([path, value]) => read(root, path) !== value);
      const timer = setInterval(() => moved() && onDrift('unknown'), LOOK_MS).unref();
      return {
        close() {
          clearInterval(timer);
          told.close();
        },
      };
    },
  };
}

/** Enters the present values of settings that we are about to change for the first time. */
function prepare(batch: readonly Change<SysctlBody>[], journal: Journal, root: string): Outcome[] {
  return batch.map(({ wanted }) => {
    if (wanted === undefined || journal.has(wanted.path)) return OK;
    try {
      const value = read(root, wanted.path);
      if (value === undefined) throw missing(wanted.path);
      journal.set(wanted.path, value);
      return OK;
    } catch (error) {
      return failure(error, wanted.path);
    }
  });
}

function applyOne(change: Change<SysctlBody>, journal: Journal, root: string): Outcome {
  const path = change.wanted?.path ?? change.key;
  try {
    if (change.wanted === undefined) {
      const before = journal.get(path);
      if (before !== undefined) write(root, path, before);
      journal.delete(path);
    } else {
      const there = write(root, path, change.wanted.value);
      if (!there) throw missing(path);
    }
    return OK;
  } catch (error) {
    return failure(error, path);
  }
}

function failure(error: unknown, path: string): Outcome {
  if (error instanceof FairleadError) return { ok: false, error };
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'error';
  const title = `sysctl ${path}`;
  if (code === 'EROFS' || code === 'EACCES' || code === 'EPERM') {
    const hint =
      'in a container /proc/sys must be writable: hostNetwork with /proc/sys/net mounted, or privileged';
    return {
      ok: false,
      error: new FairleadError('sysctl-read-only', `${title} cannot be written (${code})`, {
        hint,
        cause: error,
      }),
    };
  }
  const words = code === 'EINVAL' ? 'the kernel refuses the value' : String(error);
  return { ok: false, error: new FairleadError('sysctl', `${title}: ${words} (${code})`, { cause: error }) };
}

function missing(path: string): FairleadError {
  const hint = path.startsWith('net/ipv6/')
    ? 'IPv6 is off in this kernel, or the link has gone'
    : path.startsWith('net/bridge/')
      ? 'load the module: modprobe br_netfilter'
      : 'the kernel lacks the feature, or the link has gone';
  return new FairleadError('sysctl-missing', `sysctl ${path} does not exist`, { hint });
}

/** `undefined` when the setting does not exist. */
function read(root: string, path: string): string | undefined {
  try {
    return normal(readFileSync(join(root, path), 'utf8'));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** `false` when the setting does not exist. Equal values are not written. */
function write(root: string, path: string, value: string): boolean {
  const present = read(root, path);
  if (present === undefined) return false;
  if (present === normal(value)) return true;
  const fd = openSync(join(root, path), 'r+');
  try {
    writeSync(fd, value);
    kernelChanged();
  } finally {
    closeSync(fd);
  }
  return true;
}

/** The kernel separates several numbers with tabs and ends with a newline. */
const normal = (value: string): string => value.trim().replace(/\s+/g, ' ');

function readJournal(file: string): Journal {
  if (!existsSync(file)) return new Map();
  try {
    const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'));
    const before = typeof parsed === 'object' && parsed !== null && 'before' in parsed ? parsed.before : {};
    return new Map(Object.entries(before ?? {}).map(([path, value]) => [path, String(value)]));
  } catch (error) {
    const hint = 'remove the file; the values before us are then not restored by cleanup';
    throw new FairleadError('sysctl-journal', `${file} is not readable`, { hint, cause: error });
  }
}

/** Replaced whole, on disk before the rename. */
function writeJournal(file: string, journal: Journal): void {
  const text = `${JSON.stringify({ version: 1, before: Object.fromEntries(journal) }, undefined, 2)}\n`;
  if (existsSync(file) ? readFileSync(file, 'utf8') === text : journal.size === 0) return;
  const temporary = `${file}.tmp`;
  try {
    if (!existsSync(dirname(file))) mkdirSync(dirname(file), { mode: 0o700 });
    const fd = openSync(temporary, 'w', 0o600);
    try {
      writeSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, file);
  } catch (error) {
    throw new FairleadError('sysctl-journal', `${file} cannot be written`, {
      hint: 'the state folder must be writable: without the journal no setting is changed',
      cause: error,
    });
  }
}
