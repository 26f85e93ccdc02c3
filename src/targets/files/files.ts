import { type FSWatcher, watch } from 'node:fs';
import { type FileHandle, lstat, open, readFile, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { FairleadError } from '../../model/errors.ts';
import { type FileBody, fileKey } from '../../model/rows/file.ts';
import type { Change, Closer, Outcome, Target } from '../../reconcile/target.ts';

export interface FileTargetOptions {
  /** The one folder that we write to. */
  readonly dir: string;
  /** Names in it that are ours; everything else there is somebody else's and never looked at. */
  readonly names: readonly string[];
}

/**
 * Files that other programs read, replaced whole: a reader sees the old content or the new one, never half of it, also after
 * a power cut. Ours = the names given.
 */
export function fileTarget(options: FileTargetOptions): Target<FileBody> {
  const { dir } = options;
  const ours = new Set(options.names);
  const watcher = new FolderWatcher(dir, ours);
  return {
    name: 'file',
    stage: 6,
    same: (a, b) => a.path === b.path && a.content === b.content && a.mode === b.mode,

    async observe() {
      watcher.open();
      const found = new Map<string, FileBody>();
      for (const name of ours) {
        const body = await readOurs(join(dir, name));
        if (body) found.set(fileKey(body.path), body);
      }
      return found;
    },

    apply: (batch) => Promise.all(batch.map((change) => applyOne(change, dir, ours))),

    watch: (onDrift) => watcher.follow(onDrift),
  };
}

/** Temporary names end so that no CNI loader takes them (.conf, .conflist, .json), and are always the same, so a crash leaves at most one. */
export const temporaryName = (path: string): string => join(dirname(path), `.${basename(path)}.fairlead-tmp`);

async function readOurs(path: string): Promise<FileBody | undefined> {
  try {
    const info = await lstat(path);
    if (info.isDirectory()) {
      throw new FairleadError('file-is-folder', `${path} is a folder`, { hint: 'remove it' });
    }
    // A link in our place is not our file: it differs in mode, so it is replaced.
    return { path, content: await readFile(path, 'utf8'), mode: info.mode & 0o7777 };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error instanceof FairleadError ? error : plain(error, path);
  }
}

async function applyOne(change: Change<FileBody>, dir: string, ours: ReadonlySet<string>): Promise<Outcome> {
  const path = change.wanted?.path ?? change.found?.path ?? change.key;
  try {
    if (dirname(path) !== dir || !ours.has(basename(path))) {
      throw new FairleadError('file-not-ours', `${path} is not one of our files in ${dir}`);
    }
    if (change.wanted) await replace(change.wanted);
    else await remove(path);
    return { ok: true };
  } catch (error) {
    return { ok: false, error: error instanceof FairleadError ? error : plain(error, path) };
  }
}

async function replace({ path, content, mode }: FileBody): Promise<void> {
  const temporary = temporaryName(path);
  try {
    await using file = await open(temporary, 'w', 0o600);
    await write(file, content, mode);
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
  await syncFolder(dirname(path));
}

async function write(file: FileHandle, content: string, mode: number): Promise<void> {
  await file.writeFile(content);
  await file.chmod(mode);
  await file.sync();
}

async function remove(path: string): Promise<void> {
  for (const name of [path, temporaryName(path)]) {
    await unlink(name).catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error;
    });
  }
}

/** A rename is lasting only when its folder is on disk. Some file systems cannot sync a folder; the file is right all the same. */
async function syncFolder(dir: string): Promise<void> {
  const folder = await open(dir, 'r').catch(() => undefined);
  await folder?.sync().catch(() => {});
  await folder?.close();
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | undefined)?.code;

function plain(error: unknown, path: string): FairleadError {
  const dir = dirname(path);
  const [what, hint] = wordsFor(codeOf(error), dir);
  return new FairleadError('file-failed', `${path}: ${what ?? String(error)}`, {
    cause: error,
    ...(hint ? { hint } : {}),
  });
}

function wordsFor(code: string | undefined, dir: string): [string | undefined, string?] {
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return [`no space left on the disk (${code})`, `make room on the file system of ${dir}`];
    case 'EROFS':
      return [`${dir} is on a read-only file system (EROFS)`, 'mount it writable'];
    case 'EACCES':
    case 'EPERM':
      return [`no permission to write in ${dir} (${code})`, 'the agent must own the folder or be root'];
    case 'ENOENT':
      return [`the folder ${dir} does not exist (ENOENT)`, 'create it, or set cni.dir'];
    case 'ENOTDIR':
      return [`${dir} is not a folder (ENOTDIR)`, 'set cni.dir'];
    default:
      return [code];
  }
}

/** Watches the folder for our names; a folder that is not there yet is tried again at every look. */
class FolderWatcher {
  readonly #dir: string;
  readonly #ours: ReadonlySet<string>;
  #onDrift: ((keys: Iterable<string> | 'unknown') => void) | undefined;
  #watcher: FSWatcher | undefined;

  constructor(dir: string, ours: ReadonlySet<string>) {
    this.#dir = dir;
    this.#ours = ours;
  }

  follow(onDrift: (keys: Iterable<string> | 'unknown') => void): Closer {
    this.#onDrift = onDrift;
    this.open();
    return {
      close: () => {
        this.#onDrift = undefined;
        this.#drop();
      },
    };
  }

  open(): void {
    if (this.#watcher || !this.#onDrift) return;
    try {
      this.#watcher = watch(this.#dir, { persistent: false }, (_event, name) => {
        if (name === null) this.#onDrift?.('unknown');
        else if (this.#ours.has(name)) this.#onDrift?.([fileKey(join(this.#dir, name))]);
        // inotify reports the removal of the folder itself under the folder's own name.
        else if (name === basename(this.#dir)) this.#lost();
      });
      this.#watcher.on('error', () => this.#lost());
    } catch {
      this.#watcher = undefined;
    }
  }

  #lost(): void {
    this.#drop();
    this.#onDrift?.('unknown');
  }

  #drop(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }
}
