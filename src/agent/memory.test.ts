import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../test/support/fake-clock.ts';
import { giveBackMemory } from './memory.ts';

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
