import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { FairleadError } from '../model/errors.ts';

export interface Installed {
  readonly installed: readonly string[];
  /** Were there already; another package may own them. */
  readonly kept: readonly string[];
}

/** Our own plugin, which speaks with the agent of its version. */
const OWN = 'fairlead';

/**
 * Copies the CNI plugins that are missing in `to`. One that is there is kept unless `force`: the node's distribution may have
 * brought it. Our own is always replaced. Each appears whole, because the container runtime may call it at any moment.
 */
export function installCni(from: string, to: string, force: boolean): Installed {
  const installed: string[] = [];
  const kept: string[] = [];
  try {
    mkdirSync(to, { recursive: true });
    for (const name of readdirSync(from).sort()) {
      if (!force && name !== OWN && existsSync(join(to, name))) {
        kept.push(name);
        continue;
      }
      const temporary = join(to, `.${name}.fairlead-tmp`);
      try {
        copyFileSync(join(from, name), temporary);
        renameSync(temporary, join(to, name));
      } finally {
        rmSync(temporary, { force: true });
      }
      installed.push(name);
    }
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException;
    throw new FairleadError(
      'install-cni',
      `cannot copy CNI plugins from ${from} to ${to}: ${code ?? error} ${path ?? ''}`,
      {
        hint: 'both must be folders, and the second one writable',
        cause: error,
      },
    );
  }
  return { installed, kept };
}
