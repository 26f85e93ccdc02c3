import { type FSWatcher, watch } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock } from '../../model/clock.ts';
import { FairleadError } from '../../model/errors.ts';

const POLL_MS = 2_000;
const SETTLE_MS = 20;
/** A ConfigMap holds at most 1 MiB. */
const LARGEST = 1 << 20;

export interface WatchedFile {
  close(): void;
}

/** The file that `--config PATH` means: PATH, or `config.yaml` in it when PATH is a folder. */
export async function configFile(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  return found?.isDirectory() ? join(path, 'config.yaml') : path;
}

/** Reads it whole. Throws `config-unreadable` with the operating system's words. */
export async function readConfigFile(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > LARGEST) {
      throw new FairleadError(
        'config-unreadable',
        `${path} has ${size} bytes; a configuration has at most ${LARGEST}`,
      );
    }
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof FairleadError) throw error;
    const words = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new FairleadError('config-unreadable', `cannot read ${path} (${words})`, { cause: error });
  }
}

/**
 * Calls `onChange` some milliseconds after the file may have changed. Its folder is watched, not the file: editors rename a new
 * file into place, and a mounted ConfigMap swaps the symbolic link `..data` beside it. A look at the file's state every two
 * seconds finds what notifications miss (folders that are replaced, file systems without inotify).
 */
export function watchFile(path: string, clock: Clock, onChange: () => void): WatchedFile {
  let closed = false;
  let last: string | undefined;
  let settle: { cancel(): void } | undefined;
  let poll: { cancel(): void } | undefined;
  let watcher: FSWatcher | undefined;
  const changed = () => {
    if (closed || settle) return;
    settle = clock.after(SETTLE_MS, () => {
      settle = undefined;
      if (!closed) onChange();
    });
  };
  const open = () => {
    try {
      watcher = watch(dirname(path), { persistent: false }, changed);
      watcher.on('error', () => {
        watcher?.close();
        watcher = undefined;
      });
    } catch {
      // The folder is not there (yet): the poll below will find it.
      watcher = undefined;
    }
  };
  const look = async () => {
    const mark = await stat(path).then(
      (s) => `${s.dev}:${s.ino}:${s.size}:${s.mtimeMs}`,
      () => 'absent',
    );
    if (closed) return;
    if (last !== undefined && mark !== last) {
      changed();
      watcher?.close();
      open();
    }
    last = mark;
    poll = clock.after(POLL_MS, () => void look());
  };
  open();
  void look();
  return {
    close() {
      closed = true;
      settle?.cancel();
      poll?.cancel();
      watcher?.close();
    },
  };
}
