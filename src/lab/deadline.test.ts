import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Deadline } from './deadline.ts';

/** How long it takes until a second has passed on a machine of two processors, of which so many processes want one. */
function lasts(running: (at: number) => number): number {
  let at = 0;
  const deadline = new Deadline(1000, { now: () => at, running: () => running(at), processors: 2 });
  while (!deadline.passed) at += 20;
  return at;
}

test('a second is a second on a calm machine, and up to four beside others', () => {
  assert.equal(
    lasts(() => 2),
    1000,
  );
  assert.equal(
    lasts(() => 3),
    4000,
  );
  assert.equal(
    lasts((at) => (at <= 2000 ? 9 : 1)),
    2500,
  );
});

test('this machine has a clock, and somebody who runs', () => {
  assert.ok(!new Deadline(60_000).passed);
  const deadline = new Deadline(30);
  const begun = performance.now();
  while (!deadline.passed) assert.ok(performance.now() - begun < 10_000);
  assert.ok(performance.now() - begun >= 30);
});
