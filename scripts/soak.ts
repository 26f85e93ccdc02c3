/**
 * `npm run soak [-- --minutes N] [--times N] [FILE…]`: the tests that live on chance, again and again, each time with another seed and
 * more cases than `npm test` tries; to find what one run in thousands shows. Each failure is printed with the command that repeats it.
 *
 * - `FILE…`: those whose path contains one of the words; default: every file of the plan, scripts and kernel tiers that draws from
 *   test/support/property.ts.
 * - `--minutes N`: how long; default 10. What is running then is ended.
 * - `--times N`: each turn tries N times as many cases as the gate; default 10.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';

const CHANCE = 'test/support/property.ts';
/** A turn that takes longer hangs. */
const TURN_MS = 30 * 60_000;

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { minutes: { type: 'string', default: '10' }, times: { type: 'string', default: '10' } },
});
const end = performance.now() + Number(flags.minutes) * 60_000;
const files = globSync('{src,test/boundaries,test/scripts,test/kernel}/**/*.test.ts')
  .filter((file) => positionals.length === 0 || positionals.some((word) => file.includes(word)))
  .filter((file) => drawsFrom(file, new Set()))
  .sort();
const turns = new Map(files.map((file) => [file, { passed: 0, failed: 0, seconds: 0 }]));

let child: ChildProcess | undefined;
let stopping = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
const bell = setTimeout(stop, end - performance.now());

for (let round = 1; !stopping && files.length > 0; round++) {
  for (const file of files) if (!stopping) await turn(file);
  if (!stopping) console.log(`round ${round} of ${files.length} files is done`);
}
clearTimeout(bell);
report();

function drawsFrom(file: string, seen: Set<string>): boolean {
  if (file === CHANCE) return true;
  if (seen.has(file)) return false;
  seen.add(file);
  const imports = readFileSync(file, 'utf8').matchAll(/\bfrom '(\.[^']+)'/g);
  return [...imports].some(([, path = '']) => drawsFrom(join(dirname(file), path), seen));
}

async function turn(file: string): Promise<void> {
  const seed = randomInt(2 ** 31);
  const chance = { FAIRLEAD_SEED: String(seed), FAIRLEAD_RUNS: flags.times };
  const command = ['--test', '--test-reporter=./scripts/reporter.ts', file];
  const root = process.getuid?.() === 0;
  const space = file.startsWith('test/kernel/') ? ['unshare', root ? '-nm' : '-Urnm'] : [];
  const begun = performance.now();
  const { code, output } = await run([...space, process.execPath, ...command], chance);
  // One that was ended half way has no verdict.
  if (stopping && code === undefined) return;
  const kept = turns.get(file) ?? { passed: 0, failed: 0, seconds: 0 };
  kept.seconds += (performance.now() - begun) / 1000;
  if (code === 0) {
    kept.passed++;
    return;
  }
  kept.failed++;
  const words = Object.entries(chance).map(([name, value]) => `${name}=${value}`);
  console.log(`FAILED ${[...words, ...space, 'sh scripts/node.sh', ...command].join(' ')}`);
  console.log((code === undefined ? `${output}hung` : output).replace(/^/gm, '    '));
}

/** `code` is missing when it was ended from outside. */
function run(
  command: readonly string[],
  env: Record<string, string>,
): Promise<{ code?: number; output: string }> {
  const [program = '', ...args] = command;
  return new Promise((resolve, reject) => {
    // A group of its own, so that the end takes everything that the test has started.
    child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
      detached: true,
    });
    const patience = setTimeout(kill, TURN_MS);
    let output = '';
    const hear = (chunk: Buffer) => {
      output += chunk;
    };
    child.stdout?.on('data', hear);
    child.stderr?.on('data', hear);
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(patience);
      kill();
      child = undefined;
      resolve(code === null ? { output } : { code, output });
    });
  });
}

function stop(): void {
  stopping = true;
  kill();
}

function kill(): void {
  try {
    if (child?.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Nothing is left of the group.
  }
}

function report(): void {
  let failed = 0;
  console.log('passed failed × gate  seconds');
  for (const [file, kept] of turns) {
    failed += kept.failed;
    const cells = [kept.passed, kept.failed, kept.passed * Number(flags.times)];
    const line = cells.map((n) => String(n).padStart(6)).join(' ');
    console.log(`${line} ${kept.seconds.toFixed(1).padStart(8)} ${file}`);
  }
  console.log(`${files.length} files, ${failed} failed turns`);
  process.exitCode = failed > 0 || files.length === 0 ? 1 : 0;
}
