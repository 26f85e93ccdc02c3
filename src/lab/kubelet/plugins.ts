import { existsSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { FairleadError } from '../../model/errors.ts';
import { INSIDE } from '../options.ts';

/** The kubelets' folder of CNI plugins: those of the machine, and ours from `dist/`. */
export function pluginFolder(machine: string, root: string): string {
  const folder = join(INSIDE, 'cni-bin');
  const own = join(root, 'dist/fairlead-cni');
  if (!existsSync(own)) {
    throw new FairleadError('lab-plugin', `the CNI plugin ${own} is missing`, { hint: 'npm run build' });
  }
  mkdirSync(folder);
  for (const name of readdirSync(machine)) {
    if (name !== 'fairlead') symlinkSync(join(machine, name), join(folder, name));
  }
  symlinkSync(own, join(folder, 'fairlead'));
  return folder;
}
