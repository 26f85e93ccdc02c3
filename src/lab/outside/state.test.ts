import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FairleadError } from '../../model/errors.ts';
import { createState, flagsOf, folderFault, processId, removeState, stateOf, sweep } from './state.ts';

const GONE = { pid: 1, started: 'never' };

function folder(t: { after(fn: () => void): void }): string {
  const root = mkdtempSync(join(tmpdir(), 'fl-state-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  return root;
}

test('the sweep removes dead labs and nothing else that is in the folder', (t) => {
  const root = folder(t);
  const put = (name: string, owner?: unknown) => {
    mkdirSync(join(root, name));
    writeFileSync(join(root, name, 'file'), 'x');
    if (owner !== undefined) writeFileSync(join(root, name, 'owner'), JSON.stringify(owner));
  };
  put('documents');
  put('project', 'somebody');
  put('nothing', null);
  put('alive', processId(process.pid));
  put('dead', GONE);
  writeFileSync(join(root, 'letter.txt'), 'x');
  sweep(root);
  assert.deepEqual(readdirSync(root).sort(), ['alive', 'documents', 'letter.txt', 'nothing', 'project']);
});

test('the folder of a dead lab is taken over, that of anything else is not', (t) => {
  const root = folder(t);
  const dead = stateOf('dead', root);
  mkdirSync(dead.dir);
  writeFileSync(join(dead.dir, 'owner'), JSON.stringify(GONE));
  createState(dead);
  assert.deepEqual(readdirSync(dead.dir), ['owner']);
  assert.throws(
    () => createState(dead),
    (error) => error instanceof FairleadError && error.code === 'lab-exists',
  );

  const documents = stateOf('documents', root);
  mkdirSync(documents.dir);
  writeFileSync(join(documents.dir, 'letter.txt'), 'x');
  assert.throws(
    () => createState(documents),
    (error) => error instanceof FairleadError && error.code === 'lab-exists',
  );
  assert.ok(existsSync(join(documents.dir, 'letter.txt')));
});

test('no lab in a folder where others may change its keys', (t) => {
  const root = folder(t);
  chmodSync(root, 0o777);
  const unsafe = (error: unknown) => error instanceof FairleadError && error.code === 'lab-folder';
  assert.throws(() => createState(stateOf('a', root)), unsafe);
  chmodSync(root, 0o1777);
  createState(stateOf('a', root));
});

test('a disk that is full or read-only is named with the folder; other errors stay what they are', (t) => {
  const file = join(folder(t), 'file');
  writeFileSync(file, '');
  // A file where the folder should be: the one fault of a disk that root cannot override.
  const lab = stateOf('a', file);
  assert.throws(
    () => {
      try {
        createState(lab);
      } catch (error) {
        throw folderFault(error, lab.dir);
      }
    },
    (error) => error instanceof FairleadError && error.code === 'lab-folder',
  );
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  const fault = folderFault(full, '/x/a');
  assert.ok(fault instanceof FairleadError);
  assert.match(fault.message, /^the lab's folder \/x\/a cannot be written: ENOSPC: no space left/);
  const other = new Error('other');
  assert.equal(folderFault(other, '/x/a'), other);
});

test('the folder of all labs goes with the last one, and a folder that was named stays', (t) => {
  const root = folder(t);
  const before = process.env.XDG_RUNTIME_DIR;
  process.env.XDG_RUNTIME_DIR = root;
  t.after(() => {
    if (before === undefined) delete process.env.XDG_RUNTIME_DIR;
    else process.env.XDG_RUNTIME_DIR = before;
  });
  const [one, two, elsewhere] = [stateOf('one'), stateOf('default'), stateOf('three', join(root, 'mine'))];
  assert.deepEqual([one, two, elsewhere].map(flagsOf), [
    ' --name one',
    '',
    ` --name three --state-dir ${root}/mine`,
  ]);
  for (const lab of [one, two, elsewhere]) createState(lab);
  removeState(one);
  assert.deepEqual(readdirSync(join(root, 'fairlead-lab')), ['default']);
  for (const lab of [two, elsewhere]) removeState(lab);
  assert.deepEqual(readdirSync(root), ['mine']);
});
