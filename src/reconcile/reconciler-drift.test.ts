import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rig } from '../../test/support/books.ts';
import { FakeClock, seeded } from '../../test/support/fake-clock.ts';
import { Reconciler } from './reconciler.ts';

test('drift is seen by notification within 250 ms, told by kind, repaired, and recorded', async () => {
  const { clock, route, want, reconciler, calls } = rig();
  want('route a', 'route b', 'route c');
  await clock.advance(1000);
  calls.length = 0;
  route.things.delete('a');
  route.things.set('b', 'altered').set('x', 'stranger');
  const at = clock.wall();
  route.notify(['a', 'b', 'x']);
  await clock.advance(250);
  assert.deepEqual([...route.things].sort(), [
    ['a', '1'],
    ['b', '1'],
    ['c', '1'],
  ]);
  assert.deepEqual(calls, ['route: +a +b', 'route: -x']);
  assert.deepEqual(reconciler.drift(), [
    { at, target: 'route', key: 'a', kind: 'missing', repaired: at },
    { at, target: 'route', key: 'b', kind: 'altered', repaired: at },
    { at, target: 'route', key: 'x', kind: 'foreign', repaired: at },
  ]);
  assert.deepEqual(reconciler.driftCounts(), { missing: 1, altered: 1, foreign: 1 });
});

test('drift without a notification is found by the slow sweep', async () => {
  const { clock, route, want, reconciler } = rig();
  want('route a');
  await clock.advance(1000);
  route.things.delete('a');
  await clock.advance(80_000);
  assert.equal(route.things.get('a'), '1');
  assert.deepEqual(reconciler.driftCounts(), { missing: 1, altered: 0, foreign: 0 });
});

test('a storm of notifications costs four reads a second, and the last one is never lost', async () => {
  const { clock, route, want } = rig();
  want('route a');
  await clock.advance(1000);
  const before = route.observes;
  for (let i = 0; i < 200; i++) {
    route.notify('unknown');
    await clock.advance(5);
  }
  assert.ok(route.observes - before <= 6, `${route.observes - before} reads`);
  route.things.delete('a');
  route.notify(['a']);
  await clock.advance(250);
  assert.equal(route.things.get('a'), '1');
});

test('what moves while we read is read again', async () => {
  const { clock, route, want } = rig();
  want('route a');
  await clock.advance(1000);
  const observe = route.observe.bind(route);
  route.observe = async () => {
    const seen = await observe();
    route.observe = observe;
    route.things.delete('a');
    route.notify(['a']);
    return seen;
  };
  route.notify('unknown');
  await clock.advance(300);
  assert.equal(route.things.get('a'), '1');
});

test('a target that finds what must go says why, and finding it is no drift', async () => {
  const clock = new FakeClock();
  const things = new Map<string, string>();
  const told: string[] = [];
  let notify: (keys: 'unknown') => void = () => {};
  const reconciler = new Reconciler({
    clock,
    random: seeded(1),
    hooks: { decided: (_, rows) => told.push(...rows.map(({ key, why }) => `${key}: ${why}`)) },
    targets: [
      {
        name: 'conntrack',
        stage: 5,
        same: () => false,
        reason: (found) => `denied by ${found}`,
        observe: async () => new Map(things),
        async apply(batch) {
          for (const { key } of batch) things.delete(key);
          return batch.map(() => ({ ok: true }));
        },
        watch(onDrift) {
          notify = onDrift;
          return { close() {} };
        },
      },
    ],
  });
  reconciler.gate(() => undefined);
  reconciler.step();
  await clock.advance(1000);
  things.set('flow', 'x/closed');
  notify('unknown');
  await clock.advance(250);
  assert.deepEqual(told, ['flow: denied by x/closed']);
  assert.equal(things.size, 0);
  assert.deepEqual(reconciler.drift(), []);
});
