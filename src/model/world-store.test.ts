import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../test/support/fake-clock.ts';
import { fc } from '../../test/support/property.ts';
import type { Namespace } from './cluster/namespace.ts';
import { WorldStore } from './world-store.ts';

const ns = (name: string, team = ''): Namespace => ({
  name,
  uid: `u-${name}`,
  audit: false,
  labels: { team },
});

test('changes of one object are one: its first before and its last after', () => {
  const store = new WorldStore(new FakeClock());
  store.put('namespaces', 'a', ns('a', '1'));
  store.take();
  store.put('namespaces', 'a', ns('a', '2'));
  store.put('namespaces', 'a', ns('a', '3'));
  assert.deepEqual(store.take(), [
    { source: 'namespaces', key: 'a', before: ns('a', '1'), after: ns('a', '3') },
  ]);
  assert.deepEqual(store.take(), []);
});

test('what came and went, or went and came back, is no change', () => {
  const store = new WorldStore(new FakeClock());
  store.put('namespaces', 'a', ns('a'));
  store.take();
  store.put('namespaces', 'b', ns('b'));
  store.remove('namespaces', 'b');
  store.remove('namespaces', 'a');
  store.put('namespaces', 'a', ns('a'));
  assert.deepEqual(store.take(), []);
});

test('equal content is no change and does not touch the revision', () => {
  const store = new WorldStore(new FakeClock());
  store.put('namespaces', 'a', ns('a'));
  const { revision } = store.world.namespaces;
  store.take();
  store.put('namespaces', 'a', ns('a'));
  assert.equal(store.dirtySince, undefined);
  assert.equal(store.world.namespaces.revision, revision);
});

test('readiness says since when and why, and calls the listener once until taken', async () => {
  const clock = new FakeClock();
  const store = new WorldStore(clock);
  let calls = 0;
  store.onDirty(() => calls++);
  await clock.advance(1000);
  store.notReady('nodes', 'connection refused');
  assert.equal(store.world.nodes.since, clock.wall() - 1000, 'it was not ready before either');
  store.ready('nodes');
  assert.equal(store.world.nodes.since, clock.wall());
  store.ready('pods');
  assert.equal(calls, 1);
  store.take();
  store.notReady('nodes', 'stalled');
  assert.equal(calls, 2);
  assert.deepEqual([store.world.nodes.ready, store.world.nodes.reason], [false, 'stalled']);
});

test('a relist by replace gives the changes that tell old from new, whatever came before', () => {
  const table = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.constantFrom('1', '2'));
  fc.assert(
    fc.property(table, fc.array(table), (first, others) => {
      const store = new WorldStore(new FakeClock());
      const relist = (labels: Record<string, string>) =>
        store.replace('namespaces', new Map(Object.entries(labels).map(([k, v]) => [k, ns(k, v)])));
      relist(first);
      store.take();
      for (const other of others) relist(other);
      const last = others.at(-1) ?? first;
      const expected = ['a', 'b', 'c', 'd'].filter((key) => first[key] !== last[key]);
      const changes = store.take();
      assert.deepEqual(changes.map((change) => change.key).sort(), expected);
      for (const { key, before, after } of changes) {
        assert.deepEqual(before, first[key] === undefined ? undefined : ns(key, first[key]));
        assert.deepEqual(after, last[key] === undefined ? undefined : ns(key, last[key]));
      }
      assert.deepEqual([...store.world.namespaces.objects.keys()].sort(), Object.keys(last).sort());
    }),
  );
});

test('what changed since a revision is told by key, unless that is too long ago', () => {
  const store = new WorldStore(new FakeClock());
  const { namespaces } = store.world;
  assert.deepEqual(namespaces.changedSince(0), []);
  store.put('namespaces', 'a', ns('a'));
  store.put('namespaces', 'b', ns('b'));
  store.put('namespaces', 'b', ns('b'));
  const { revision } = namespaces;
  store.remove('namespaces', 'a');
  assert.deepEqual(namespaces.changedSince(0), ['a', 'b', 'a']);
  assert.deepEqual(namespaces.changedSince(revision), ['a']);
  assert.deepEqual(namespaces.changedSince(namespaces.revision), []);
  for (let i = 0; i < 10_000; i++) store.put('namespaces', 'c', ns('c', String(i)));
  assert.equal(namespaces.changedSince(revision), undefined);
  assert.equal(namespaces.changedSince(namespaces.revision - 1_000)?.length, 1_000);
});
