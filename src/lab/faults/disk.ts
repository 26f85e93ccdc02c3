import { copyFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LabNode } from '../kubelet/node.ts';
import { must } from '../run.ts';

const FILLER = 'filler';

/** Puts a very small, full file system over a node's CNI folder; what was in it stays in it. */
export async function fillDisk(node: LabNode): Promise<void> {
  const dir = node.cniConfDir;
  const aside = join(node.dir, 'aside');
  mkdirSync(aside, { recursive: true });
  for (const name of readdirSync(dir)) copyFileSync(join(dir, name), join(aside, name));
  await must(['mount', '-n', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', dir]);
  for (const name of readdirSync(aside)) copyFileSync(join(aside, name), join(dir, name));
  rmSync(aside, { recursive: true });
  node.watchAgain();
  try {
    writeFileSync(join(dir, FILLER), Buffer.alloc(1 << 20));
  } catch {
    // It does not fit: that is the point.
  }
}

export async function freeDisk(node: LabNode): Promise<void> {
  rmSync(join(node.cniConfDir, FILLER), { force: true });
}
