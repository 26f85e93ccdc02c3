import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { fc, runs } from '../../../test/support/property.ts';
import { until } from '../../../test/support/until.ts';
import type { FileBody } from '../../model/rows/file.ts';
import type { Change, Target } from '../../reconcile/target.ts';
import { fileTarget, temporaryName } from './files.ts';

const NAMES = ['05-fairlead.conflist', 'second.conflist'];
let dir = '';
let target: Target<FileBody>;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fairlead-files-'));
  target = fileTarget({ dir, names: NAMES });
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const body = (name: string, content = 'x', mode = 0o644): FileBody => ({
  path: join(dir, name),
  content,
  mode,
});

/** What a reconciler does: observe, compare, apply the difference. Returns how many changes there were. */
async function converge(wanted: readonly FileBody[]): Promise<number> {
  const found = await target.observe();
  const keys = new Set([...found.keys(), ...wanted.map((w) => w.path)]);
  const batch: Change<FileBody>[] = [];
  for (const key of keys) {
    const change = { key, wanted: wanted.find((w) => w.path === key), found: found.get(key) };
    if (!(change.wanted && change.found && target.same(change.wanted, change.found))) batch.push(change);
  }
  for (const outcome of await target.apply(batch)) assert.ok(outcome.ok, JSON.stringify(outcome));
  return batch.length;
}

async function refused(change: Partial<Change<FileBody>> & { key: string }): Promise<string> {
  const [outcome] = await target.apply([{ wanted: undefined, found: undefined, ...change }]);
  assert.ok(outcome && !outcome.ok);
  return outcome.error.message;
}

describe('the laws', () => {
  const bodies = fc.uniqueArray(
    fc.record({
      name: fc.constantFrom(...NAMES),
      content: fc.string({ unit: 'grapheme' }),
      mode: fc.constantFrom(0o644, 0o600, 0o640),
    }),
    { selector: (b) => b.name },
  );
  const foreign = fc.uniqueArray(fc.constantFrom('10-other.conflist', 'x.conf', '.hidden', 'a.json'));

  it('hold: round trip, idempotence, minimality, convergence, ownership', async () => {
    await fc.assert(
      fc.asyncProperty(bodies, bodies, foreign, async (before, after, others) => {
        for (const name of readdirSync(dir)) unlinkSync(join(dir, name));
        for (const name of others) writeFileSync(join(dir, name), name);
        await converge(before.map((b) => body(b.name, b.content, b.mode)));
        const wanted = after.map((b) => body(b.name, b.content, b.mode));
        const kept = wanted.filter((w) =>
          before.some((b) => w.path.endsWith(b.name) && b.content === w.content && b.mode === w.mode),
        );
        const inodes = kept.map((w) => statSync(w.path).ino);
        await converge(wanted);
        const found = await target.observe();
        assert.deepEqual([...found.keys()].sort(), wanted.map((w) => w.path).sort());
        for (const w of wanted) assert.ok(target.same(w, found.get(w.path)!));
        assert.deepEqual(
          kept.map((w) => statSync(w.path).ino),
          inodes,
          'what is right is not touched',
        );
        assert.equal(await converge(wanted), 0, 'a second pass applies nothing');
        for (const name of others) assert.equal(readFileSync(join(dir, name), 'utf8'), name);
        assert.equal(readdirSync(dir).length, wanted.length + others.length, 'nothing else is left behind');
      }),
      { numRuns: runs(60) },
    );
  });
});

describe('a write', () => {
  it('never shows half a file, and its temporary name is not one that a CNI loader takes', async () => {
    await converge([body(NAMES[0]!, 'one')]);
    const before = statSync(join(dir, NAMES[0]!)).ino;
    await converge([body(NAMES[0]!, 'two')]);
    assert.notEqual(statSync(join(dir, NAMES[0]!)).ino, before, 'another file took its place');
    assert.doesNotMatch(temporaryName('/x/a.conflist'), /\.(conf|conflist|json)$/);
  });

  it('takes over what a crash left', async () => {
    writeFileSync(temporaryName(join(dir, NAMES[0]!)), 'half');
    await converge([body(NAMES[0]!, 'whole')]);
    assert.deepEqual(readdirSync(dir), [NAMES[0]]);
    writeFileSync(temporaryName(join(dir, NAMES[0]!)), 'half');
    await converge([]);
    assert.deepEqual(readdirSync(dir), []);
  });

  it('replaces a symbolic link and leaves what it points to', async () => {
    writeFileSync(join(dir, 'theirs'), 'x');
    symlinkSync('theirs', join(dir, NAMES[0]!));
    assert.equal(await converge([body(NAMES[0]!, 'x', 0o644)]), 1);
    assert.equal(readFileSync(join(dir, 'theirs'), 'utf8'), 'x');
  });
});

describe('a failure', () => {
  it('of a missing folder is one clear line, and observing shows nothing', async () => {
    rmSync(dir, { recursive: true });
    assert.equal((await target.observe()).size, 0);
    assert.match(
      await refused({ key: 'x', wanted: body(NAMES[0]!) }),
      /the folder .* does not exist \(ENOENT\)/,
    );
    mkdirSync(dir);
  });

  it('of a path that is not ours changes nothing', async () => {
    writeFileSync(join(dir, '10-other.conflist'), 'theirs');
    assert.match(await refused({ key: join(dir, '10-other.conflist') }), /is not one of our files/);
    assert.match(await refused({ key: 'x', wanted: body(`../${NAMES[0]}`) }), /is not one of our files/);
    assert.ok(existsSync(join(dir, '10-other.conflist')));
  });

  it('of a folder in our place is told by observe', async () => {
    mkdirSync(join(dir, NAMES[0]!));
    await assert.rejects(target.observe(), /is a folder/);
  });

  for (const [options, words] of [
    ['size=8k', /no space left on the disk \(ENOSPC\)/],
    ['size=1m,ro', /read-only file system \(EROFS\)/],
  ] as const) {
    it(`on a file system with ${options} says so and leaves no half file`, () => {
      const script = `
        import { fileTarget } from ${JSON.stringify(join(import.meta.dirname, 'files.ts'))};
        import { readdirSync } from 'node:fs';
        const dir = ${JSON.stringify(dir)};
        const target = fileTarget({ dir, names: ['a.conflist'] });
        const wanted = { path: dir + '/a.conflist', content: 'x'.repeat(100000), mode: 0o644 };
        const [o] = await target.apply([{ key: wanted.path, wanted, found: undefined }]);
        console.log(o.ok, o.error?.message, readdirSync(dir).length);`;
      const mount = `mount -t tmpfs -o ${options} none "$1" && shift && exec "$@"`;
      const node = [process.execPath, '--input-type=module', '-e', script];
      const output = execFileSync('unshare', ['-Urm', 'sh', '-c', mount, 'sh', dir, ...node], {
        encoding: 'utf8',
      });
      assert.match(output, words);
      assert.match(output, /^false .* 0$/m);
    });
  }
});

describe('watching', () => {
  it('reports our names only', async () => {
    const seen: string[] = [];
    const follower = target.watch!((keys) => void seen.push(...(keys === 'unknown' ? ['?'] : keys)));
    writeFileSync(join(dir, '10-other.conflist'), 'theirs');
    writeFileSync(join(dir, NAMES[0]!), 'ours');
    await until('a change is told', () => seen.length > 0);
    follower.close();
    assert.deepEqual(new Set(seen), new Set([join(dir, NAMES[0]!)]));
  });

  it('begins when a missing folder appears', async () => {
    rmSync(dir, { recursive: true });
    let told = 0;
    const follower = target.watch!(() => told++);
    mkdirSync(dir);
    await target.observe();
    writeFileSync(join(dir, NAMES[0]!), 'ours');
    await until('a change is told', () => told > 0);
    follower.close();
  });
});
