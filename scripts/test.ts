/**
 * `npm test [-- TIER… [FILE…]]`: every tier that this machine can run, each with its time, and loud words about what was not covered.
 * Exit code 1 when anything failed or, in CI, when something was skipped that this machine could run.
 */
import { spawn } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { SEED } from '../test/support/property.ts';
import { kubeBinary } from './kube.ts';
import { ensurePackages, INTEROP_PACKAGES, TEST_PACKAGES, VM_PACKAGES } from './packages.ts';
import { vmKernel } from './vm.ts';
import { boot } from './vm-boot.ts';

interface Tier {
  readonly name: string;
  readonly files: string | readonly string[];
  /** Only when it is named: too long for every run. */
  readonly onRequest?: boolean;
  /** Each file alone in fresh namespaces of its own. */
  readonly namespaced?: boolean;
  /** Files that may run side by side; those that measure loss or boot clusters need the machine for themselves. */
  readonly parallel?: number;
  /** Ends a file whose tests have ended although something is still open. It may cut off the last verdicts of a file with very many tests. */
  readonly forceExit?: boolean;
  /** Extra environment and another machine, or the reason why the tier cannot run here. */
  readonly prepare?: () => Ready | { missing: string };
}

interface Ready {
  readonly env: Record<string, string>;
  /** Runs a command; default: here. */
  readonly run?: typeof run;
}

const CORES = availableParallelism();

const TIERS: readonly Tier[] = [
  { name: 'plan', files: '{src/**,test/boundaries}/*.test.ts', parallel: CORES },
  { name: 'scripts', files: 'test/scripts/*.test.ts', parallel: CORES },
  { name: 'kernel', files: 'test/kernel/*.test.ts', namespaced: true, parallel: CORES },
  { name: 'lab', files: 'test/lab/*.test.ts', parallel: 1, forceExit: true },
  {
    name: 'conformance',
    files: 'test/conformance/*.test.ts',
    parallel: 1,
    forceExit: true,
    prepare: realServer,
  },
  {
    name: 'interop',
    files: 'test/interop/*.test.ts',
    parallel: 1,
    forceExit: true,
    prepare: containerRuntime,
  },
  {
    name: 'vm',
    files: ['test/vm/*.test.ts', 'test/kernel/{rt-,nft-,policy-,conntrack}*.test.ts'],
    onRequest: true,
    namespaced: true,
    parallel: CORES,
    prepare: virtualMachine,
  },
];

interface Result {
  readonly tier: string;
  passed: number;
  failed: number;
  skipped: string[];
  seconds: number;
}

const wanted = process.argv.slice(2);
const names = new Set(TIERS.map((tier) => tier.name));
const named = wanted.some((w) => names.has(w));
const tiers = TIERS.filter((tier) => (named ? wanted.includes(tier.name) : !tier.onRequest));
const only = wanted.filter((w) => !names.has(w));

const chance = `FAIRLEAD_SEED=${SEED}`;
console.log(`chance begins at ${chance}`);
const missing = ensurePackages([...TEST_PACKAGES]);
const scratch = mkdtempSync(join(tmpdir(), 'fairlead-test-'));
const results: Result[] = [];
try {
  for (const tier of tiers) results.push(await runTier(tier));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
report();

async function runTier(tier: Tier): Promise<Result> {
  const result: Result = { tier: tier.name, passed: 0, failed: 0, skipped: [], seconds: 0 };
  const files = globSync([...[tier.files].flat()]).filter(
    (file) => only.length === 0 || only.some((part) => file.includes(part)),
  );
  if (files.length === 0) return result;
  const begun = performance.now();
  const ready: Ready | { missing: string } = tier.prepare?.() ?? { env: {} };
  if ('missing' in ready) {
    result.skipped.push(`the whole tier: ${ready.missing}`);
    return result;
  }
  console.log(`── ${tier.name}: ${files.length} files`);
  const groups = tier.namespaced || tier.parallel === 1 ? files.map((file) => [file]) : [files];
  const queue = groups.entries();
  const worker = async () => {
    for (const [index, group] of queue)
      await runFiles(tier, group, join(scratch, `${tier.name}-${index}`), ready, result);
  };
  await Promise.all(Array.from({ length: tier.parallel ?? 1 }, worker));
  result.seconds = (performance.now() - begun) / 1000;
  return result;
}

async function runFiles(
  tier: Tier,
  files: readonly string[],
  counts: string,
  ready: Ready,
  result: Result,
): Promise<void> {
  writeFileSync(counts, '');
  const flags = [
    '--test',
    '--test-reporter=./scripts/reporter.ts',
    ...(tier.forceExit ? ['--test-force-exit'] : []),
    `--test-concurrency=${tier.parallel ?? 1}`,
  ];
  const command = [process.execPath, ...flags, ...files];
  // Inside a virtual machine everybody is root.
  const root = process.getuid?.() === 0 || ready.run !== undefined;
  if (tier.namespaced) command.unshift('unshare', root ? '-nm' : '-Urnm');
  const begun = performance.now();
  const code = await (ready.run ?? run)(command, {
    ...process.env,
    ...ready.env,
    FAIRLEAD_SEED: String(SEED),
    FAIRLEAD_TEST_COUNTS: counts,
  });
  const lines = readFileSync(counts, 'utf8').trim().split('\n').filter(Boolean);
  for (const line of lines) {
    const part = JSON.parse(line) as { passed: number; failed: number; skipped: string[] };
    result.passed += part.passed;
    result.failed += part.failed;
    result.skipped.push(...part.skipped);
    if (code !== 0 && part.failed === 0) result.failed++;
  }
  if (lines.length === 0) {
    console.log(`FAILED ${files.join(' ')}: ended with ${code} and no verdict`);
    result.failed++;
  }
  if (files.length === 1) console.log(`   ${files[0]} ${((performance.now() - begun) / 1000).toFixed(1)} s`);
}

function run(command: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const [program = '', ...args] = command;
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'], env });
    child.once('error', (error) => {
      console.log(String(error));
      resolve(127);
    });
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

function realServer(): { env: Record<string, string> } | { missing: string } {
  const kube = kubeBinary();
  return 'missing' in kube ? kube : { env: { FAIRLEAD_KUBE: kube.path } };
}

function containerRuntime(): Ready | { missing: string } {
  if (process.getuid?.() !== 0) return { missing: 'an ordinary user cannot run containerd; as root it runs' };
  const absent = ensurePackages(INTEROP_PACKAGES);
  return absent.length > 0 ? { missing: `the Debian packages ${absent.join(', ')}` } : { env: {} };
}

function virtualMachine(): Ready | { missing: string } {
  const absent = ensurePackages([...VM_PACKAGES]);
  if (absent.length > 0) return { missing: `the Debian packages ${absent.join(', ')}` };
  const kernel = vmKernel();
  if ('missing' in kernel) return kernel;
  return { env: {}, run: (command, env) => boot(kernel.path, command, env) };
}

function report(): void {
  const total = { passed: 0, failed: 0, skipped: 0 };
  console.log('\ntier          passed  failed skipped       s');
  for (const { tier, passed, failed, skipped, seconds } of results) {
    total.passed += passed;
    total.failed += failed;
    total.skipped += skipped.length;
    const cells = [passed, failed, skipped.length].map((n) => String(n).padStart(7));
    console.log(`${tier.padEnd(12)} ${cells.join(' ')} ${seconds.toFixed(1).padStart(7)}`);
  }
  for (const { tier, skipped } of results)
    for (const reason of skipped) console.log(`NOT COVERED by ${tier}: ${reason}`);
  for (const name of missing) console.log(`NOT COVERED: what needs the Debian package ${name}`);
  if (total.failed > 0) console.log(`the same again: ${chance} npm test`);
  console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  // What a machine cannot do begins with "cannot": everything else that is skipped in CI is a hole in the gate.
  const holes = results.flatMap((r) => r.skipped).filter((reason) => !reason.includes('cannot'));
  if (process.env.CI && holes.length > 0)
    console.log(`CI allows no skip of what this machine could run: ${holes.length}`);
  process.exitCode = total.failed > 0 || total.passed === 0 || (process.env.CI && holes.length > 0) ? 1 : 0;
}
