/** `npm run check`: format, lint, types, imports and unit tests; seconds. `-- --write` formats in place, `-- --static` leaves the tests out. */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';

const bin = (name: string) => `node_modules/.bin/${name}`;
const steps: readonly (readonly [string, readonly string[]])[] = [
  [
    'format and lint',
    [
      bin('biome'),
      process.argv.includes('--write') ? 'check' : 'ci',
      '--colors=off',
      '--max-diagnostics=30',
      ...(process.argv.includes('--write') ? ['--write'] : []),
      '.',
    ],
  ],
  ['types', [bin('tsc'), '-p', '.']],
  [
    'boundaries and unit tests',
    [
      process.execPath,
      '--test',
      '--test-reporter=./scripts/reporter.ts',
      ...globSync('{src/**,test/boundaries}/*.test.ts'),
    ],
  ],
];

let failed = 0;
for (const [name, [program = '', ...args]] of process.argv.includes('--static') ? steps.slice(0, 2) : steps) {
  const begun = performance.now();
  const { status } = spawnSync(program, args, { stdio: 'inherit' });
  console.log(
    `${status === 0 ? 'ok    ' : 'FAILED'} ${name} ${((performance.now() - begun) / 1000).toFixed(1)} s`,
  );
  if (status !== 0) failed++;
}
process.exitCode = failed === 0 ? 0 : 1;
