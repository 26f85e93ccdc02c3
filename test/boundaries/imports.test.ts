/** Who may import whom (docs/design/architecture.md). A boundary is a test, not an intention. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';

/** Rooms under src/, longest match first, and what each may import besides itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  model: [],
  'sources/kube': ['model'],
  'sources/config': ['model'],
  'sources/host': ['model', 'targets/linux/netlink'],
  'plan/nft': ['model'],
  'plan/transports': ['model', 'plan', 'plan/nft'],
  'plan/egress': ['model', 'plan', 'plan/nft', 'plan/transports'],
  'plan/node': ['model', 'plan', 'plan/transports', 'plan/egress'],
  'plan/frames': ['model', 'plan', 'plan/nft'],
  'plan/policy': ['model', 'plan', 'plan/nft'],
  'plan/why': ['model', 'plan', 'plan/transports', 'plan/egress', 'plan/policy'],
  plan: ['model'],
  reconcile: ['model'],
  'targets/linux/netlink': ['model'],
  'targets/linux': ['model', 'reconcile', 'targets/linux/netlink'],
  'targets/kube': ['model', 'reconcile', 'sources/kube'],
  'targets/files': ['model', 'reconcile'],
  'targets/fake': ['model', 'reconcile'],
  agent: ['*'],
  cli: ['*'],
  lab: ['*'],
};

/** Rooms whose answers depend on their arguments alone. */
const PURE = [
  'model',
  'plan',
  'plan/nft',
  'plan/transports',
  'plan/egress',
  'plan/node',
  'plan/frames',
  'plan/policy',
  'plan/why',
  'reconcile',
];
const IMPURE_MODULES = /^node:(?!util$|assert)/;
const IMPURE_CALLS =
  /\b(Date\.now|new Date\(\)|Math\.random|performance\.now|setTimeout|setInterval|setImmediate|queueMicrotask|process\.(env|argv|cwd|hrtime))\b/;

const files = globSync('src/**/*.ts').filter((file) => !file.endsWith('.test.ts'));
const rooms = Object.keys(MAY_IMPORT).sort((a, b) => b.length - a.length);

function roomOf(file: string): string {
  const inside = file.replace(/^src\//, '');
  return rooms.find((room) => inside.startsWith(`${room}/`)) ?? assert.fail(`${file} lies in no known room`);
}

function importsOf(text: string): string[] {
  return [...text.matchAll(/\b(?:from\s+|import\s+|import\s*\(\s*)'([^']+)'/g)].map(
    (match) => match[1] ?? '',
  );
}

test('there is something to judge', () => assert.ok(files.length > 20));

test('rooms import only what the architecture lets them', () => {
  const wrong: string[] = [];
  for (const file of files) {
    const room = roomOf(file);
    for (const name of importsOf(readFileSync(file, 'utf8')).filter((n) => n.startsWith('.'))) {
      const target = roomOf(normalize(join(dirname(file), name)));
      const allowed = MAY_IMPORT[room] ?? [];
      if (target !== room && !allowed.includes(target) && !allowed.includes('*'))
        wrong.push(`${file} imports ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('pure rooms use no clock, randomness, timer or input and output', () => {
  const wrong: string[] = [];
  for (const file of files.filter((f) => PURE.includes(roomOf(f)))) {
    const text = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    for (const name of importsOf(text))
      if (!name.startsWith('.'))
        if (IMPURE_MODULES.test(name) || !name.startsWith('node:')) wrong.push(`${file} imports ${name}`);
    const call = IMPURE_CALLS.exec(text);
    if (call) wrong.push(`${file} uses ${call[0]}`);
  }
  assert.deepEqual(wrong, []);
});

test('nothing but the command line, the lab and scripts starts a process', () => {
  const allowed = ['cli', 'lab', 'sources/kube'];
  const wrong = files.filter(
    (f) => !allowed.includes(roomOf(f)) && readFileSync(f, 'utf8').includes("'node:child_process'"),
  );
  assert.deepEqual(wrong, []);
});

test('chance in tests can be had again: one place sets the seed and multiplies the runs', () => {
  const wrong: string[] = [];
  for (const file of globSync(['src/**/*.test.ts', 'test/**/*.ts'])) {
    if (file === 'test/support/property.ts' || file.startsWith('test/boundaries/')) continue;
    const text = readFileSync(file, 'utf8');
    if (importsOf(text).includes('fast-check')) wrong.push(`${file} imports fast-check itself`);
    if (/numRuns: *\d/.test(text)) wrong.push(`${file} says how many runs without runs()`);
    if (text.includes('Math.random')) wrong.push(`${file} uses Math.random; take seeded()`);
  }
  assert.deepEqual(wrong, []);
});

test('no barrels and no default exports', () => {
  const wrong = files.filter((f) => /^export (\* from|default)/m.test(readFileSync(f, 'utf8')));
  assert.deepEqual(wrong, []);
});
