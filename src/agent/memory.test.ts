import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../test/support/fake-clock.ts';
import { giveBackMemory, untouchedFilePages } from './memory.ts';

test('garbage of the start is gone shortly after convergence, and nothing happens before', async () => {
  const clock = new FakeClock();
  let converge = () => {};
  giveBackMemory(
    new Promise((resolve) => {
      converge = resolve;
    }),
    clock,
  );
  const garbage = new WeakRef({ left: new Array(1000).fill('over') });
  await clock.advance(60_000);
  assert.ok(garbage.deref());
  await new Promise((resolve) => setImmediate(resolve));
  converge();
  await clock.advance(1_000);
  assert.equal(garbage.deref(), undefined);
  assert.equal(Reflect.has(globalThis, 'gc'), false);
});

test('only pages that come back from a file as they were are dropped', () => {
  const mapping = (range: string, mode: string, file: string, anonymous: number) =>
    `${range} ${mode} 00000000 fe:00 1234      ${file}\nSize:  8 kB\nRss:   8 kB\nAnonymous:    ${anonymous} kB\nVmFlags: rd ex mr \n`;
  const smaps = [
    mapping('00400000-01000000', 'r-xp', '/usr/bin/node', 0),
    mapping('01000000-01002000', 'r--p', '/usr/bin/node', 4),
    mapping('01002000-01004000', 'r--p', '/usr/bin/with a blank', 0),
    mapping('01004000-01006000', 'rw-p', '/usr/bin/node', 0),
    mapping('01006000-01008000', 'r--s', '/shared', 0),
    mapping('01008000-0100a000', 'r--p', '', 0),
    mapping('0100a000-0100c000', 'r-xp', '[vdso]', 0),
  ].join('');
  assert.deepEqual(untouchedFilePages(smaps), [
    { start: 0x400000, end: 0x1000000 },
    { start: 0x1002000, end: 0x1004000 },
  ]);
});
