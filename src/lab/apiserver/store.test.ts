import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '../../../test/support/property.ts';
import { parseObject } from './json.ts';
import { resource } from './resources.ts';
import { Store } from './store.ts';

const things = resource('v1', 'things', 'Thing', '');
const thing = (namespace: string, name: string, value = '') => ({
  kind: 'Thing',
  apiVersion: 'v1',
  metadata: { namespace, name },
  value,
});

test('every write takes one revision, and the text carries it', () => {
  const store = new Store(100);
  const first = store.put(things, thing('a', 'x'));
  const second = store.put(things, thing('a', 'x', 'new'));
  assert.equal(second.revision, first.revision + 1);
  assert.equal(parseObject(second.json).value, 'new');
  assert.ok(
    second.json.startsWith(`${things.head}"metadata":{"namespace":"a","name":"x","resourceVersion":"3"}`),
  );
});

test('lists are in key order, as etcd has it: a-b before a/', () => {
  const store = new Store(100);
  for (const [namespace, name] of [
    ['b', '1'],
    ['a', '2'],
    ['a-b', '3'],
    ['a', '1'],
  ] as const) {
    store.put(things, thing(namespace, name));
  }
  const keys = (namespace: string) => store.list('things', namespace).map((entry) => entry.key);
  assert.deepEqual(keys(''), ['a-b/3', 'a/1', 'a/2', 'b/1']);
  assert.deepEqual(keys('a'), ['a/1', 'a/2']);
});

test('law: a list at any kept revision is what a list was at that revision', () => {
  const write = fc.record({
    namespace: fc.constantFrom('a', 'b'),
    name: fc.constantFrom('1', '2', '3'),
    remove: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(write, { maxLength: 40 }), (writes) => {
      const store = new Store(1000);
      const seen = new Map<number, string[]>();
      const now = (revision?: number) =>
        store.list('things', '', revision).map((e) => `${e.key}@${e.revision}`);
      seen.set(store.revision, now());
      for (const { namespace, name, remove } of writes) {
        const entry = store.get('things', `${namespace}/${name}`);
        if (!remove) store.put(things, thing(namespace, name));
        else if (entry) store.remove(things, entry);
        seen.set(store.revision, now());
      }
      for (const [revision, wanted] of seen) assert.deepEqual(now(revision), wanted);
    }),
  );
});

test('law: whatever came and went between two lists, the second has each key once and in order', () => {
  const write = fc.record({ name: fc.constantFrom('1', '2', '3', '4'), remove: fc.boolean() });
  fc.assert(
    fc.property(fc.array(fc.array(write)), (turns) => {
      const store = new Store(1000);
      const wanted = new Set<string>();
      for (const turn of turns) {
        for (const { name, remove } of turn) {
          const entry = store.get('things', `a/${name}`);
          if (!remove) store.put(things, thing('a', name));
          else if (entry) store.remove(things, entry);
          if (remove) wanted.delete(name);
          else wanted.add(name);
        }
        assert.deepEqual(
          store.list('things', 'a').map((entry) => entry.name),
          [...wanted].sort(),
        );
        assert.equal(store.count('things'), wanted.size);
      }
    }),
  );
});

test('history: changes since a revision, until it is compacted', () => {
  const store = new Store(100);
  const { revision } = store.put(things, thing('a', 'x'));
  store.put(things, thing('a', 'y'));
  assert.deepEqual(
    store.since('things', revision)?.map((change) => change.after?.name),
    ['y'],
  );
  store.compact();
  assert.equal(store.since('things', revision), undefined);
  assert.deepEqual(store.since('things', store.revision), []);
});

test('history is bounded', () => {
  const store = new Store(10);
  for (let i = 0; i < 100; i++) store.put(things, thing('a', 'x', String(i)));
  assert.equal(store.since('things', 1), undefined);
  assert.ok(store.compacted >= store.revision - 20);
});
