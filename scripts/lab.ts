/** `npm run lab [-- OPTIONS]`: makes sure that this machine has what a lab needs, then starts one. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ensurePackages, LAB_PACKAGES } from './packages.ts';

if (ensurePackages(LAB_PACKAGES).length > 0) process.exit(1);
const lab = join(import.meta.dirname, '../dist/lab.cjs');
const child = spawn(process.execPath, [lab, ...process.argv.slice(2)], { stdio: 'inherit' });
// The terminal sends Ctrl-C and its hang-up to the lab as well: its end is what ends this.
for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.once('exit', (code) => process.exit(code ?? 1));
