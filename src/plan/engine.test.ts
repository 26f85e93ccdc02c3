import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../test/support/fake-clock.ts';
import { checkPlannerLaws, type Edit } from '../../test/support/laws.ts';
import { fc } from '../../test/support/property.ts';
import type { Namespace } from '../model/cluster/namespace.ts';
import type { Row } from '../model/rows/row.ts';
import { WorldStore } from '../model/world-store.ts';
import { PlanEngine } from './engine.ts';
import type { Planner } from './planner.ts';

const row = (key: string, value: string, why = `for ${key}`): Row => ({
  target: 'sysctl',
  key,
  body: { path: key, value },
  why,
});

const ns = (name: string, labels: Record<string, string> = {}): Namespace => ({
  name,
  uid: name,
  labels,
  audit: false,
});

/** One unit a namespace: its labels are its rows. A label `throw` makes its planning fail. */
function demo(name: string, prefix = ''): Planner {
  return {
    name,
    reads: ['namespaces'],
    writes: ['sysctl'],
    units: (world) => [...world.namespaces.objects.keys()].map((key) => `${prefix}${key}`),
    affected: (change) => (change.source === 'namespaces' ? [`${prefix}${change.key}`] : []),
    plan(unit, world) {
      const labels = world.namespaces.objects.get(unit.slice(prefix.length))?.labels ?? {};
      if (labels.throw !== undefined) throw new Error('boom');
      const rows = Object.entries(labels).map(([key, value]) => row(key, value, `${name} ${unit}`));
      return { rows, problems: labels.bad ? [{ object: unit, message: 'bad label' }] : [] };
    },
  };
}

function bench(...planners: Planner[]) {
  const store = new WorldStore(new FakeClock());
  const engine = new PlanEngine(planners);
  const turn = () =>
    engine.run(store.world, store.take()).rows.map((change) => `${change.key}=${valueText(change.row)}`);
  const values = () => [...engine.rows()].map((r) => `${r.key}=${valueText(r)}`).sort();
  return { store, engine, turn, values };
}

const valueText = (r: Row | undefined): string => (r ? (r.body as { value: string }).value : '-');

test('laws: every history that ends in the same World gives the same rows and problems, conflicts included', () => {
  const labels = fc.dictionary(fc.constantFrom('x', 'y', 'z', 'bad'), fc.constantFrom('1', '2'), {
    maxKeys: 3,
  });
  const edit = fc
    .tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.option(labels, { nil: undefined }))
    .map(([key, l]): Edit => ({ source: 'namespaces', key, object: l && ns(key, l) }));
  checkPlannerLaws({
    planners: [demo('first'), demo('second', '+')],
    base: (sink) => sink.put('namespaces', 'a', ns('a', { x: '0' })),
    edits: fc.array(edit, { maxLength: 12 }),
  });
});

test('nothing is planned before all sources are ready, and then everything', () => {
  const { store, engine, turn } = bench(demo('p'));
  store.put('namespaces', 'a', ns('a', { x: '1' }));
  assert.deepEqual(turn(), []);
  assert.equal(engine.planned, false);
  assert.match(engine.holdsDeletes('sysctl') ?? '', /planner p waits for source namespaces \(not started\)/);
  assert.equal(engine.holdsDeletes('route'), undefined, 'nobody writes routes');
  store.ready('namespaces');
  assert.deepEqual(turn(), ['x=1']);
  assert.equal(engine.holdsDeletes('sysctl'), undefined);
});

test('a source that goes away keeps its rows, holds deletes, and changes under way are not lost', () => {
  const { store, engine, turn, values } = bench(demo('p'));
  store.put('namespaces', 'a', ns('a', { x: '1' }));
  store.ready('namespaces');
  turn();
  store.notReady('namespaces', 'API server away');
  store.put('namespaces', 'a', ns('a', { y: '1' }));
  assert.deepEqual(turn(), []);
  assert.deepEqual(values(), ['x=1']);
  assert.match(engine.holdsDeletes('sysctl') ?? '', /API server away/);
  store.ready('namespaces');
  assert.deepEqual(turn().sort(), ['x=-', 'y=1']);
});

test('equal bodies are shared until the last asker lets go', () => {
  const { store, engine, turn } = bench(demo('p'));
  store.put('namespaces', 'a', ns('a', { x: '1' }));
  store.put('namespaces', 'b', ns('b', { x: '1' }));
  store.ready('namespaces');
  assert.deepEqual(turn(), ['x=1']);
  assert.deepEqual(engine.problems(), []);
  store.remove('namespaces', 'b');
  assert.deepEqual(turn(), []);
  store.remove('namespaces', 'a');
  assert.deepEqual(turn(), ['x=-']);
});

test('a conflict is settled by planner order, then by unit name, and the loser is named', () => {
  const { store, engine, turn } = bench(demo('late', 'l-'), demo('early', 'e-'));
  store.ready('namespaces');
  store.put('namespaces', 'b', ns('b', { x: '1' }));
  turn();
  store.put('namespaces', 'a', ns('a', { x: '2' }));
  assert.deepEqual(turn(), ['x=2'], 'unit l-a sorts before l-b although it came later');
  const problems = engine.problems();
  assert.equal(problems.length, 2);
  assert.deepEqual(
    problems.map((p) => [p.object, /late \(l-a\) and (.*) want it differently/.exec(p.message)?.[1]]),
    [
      ['sysctl x', 'late (l-b)'],
      ['sysctl x', 'early (e-b)'],
    ],
  );
  store.remove('namespaces', 'a');
  assert.deepEqual(turn(), ['x=1']);
  assert.deepEqual(engine.problems(), []);
});

test('a unit that throws keeps its last rows and is named; the others go on', () => {
  const { store, engine, turn, values } = bench(demo('p'));
  store.ready('namespaces');
  store.put('namespaces', 'a', ns('a', { x: '1' }));
  turn();
  store.put('namespaces', 'a', ns('a', { throw: '' }));
  store.put('namespaces', 'b', ns('b', { y: '1' }));
  assert.deepEqual(turn(), ['y=1']);
  assert.deepEqual(values(), ['x=1', 'y=1']);
  assert.match(engine.problems()[0]?.message ?? '', /boom/);
  assert.equal(engine.problems()[0]?.object, 'p a');
  assert.equal(engine.holdsDeletes('sysctl'), undefined, 'its last rows are known');
});

test('a unit that could never be planned holds deletes: what it would want is unknown', () => {
  const { store, engine, turn } = bench(demo('p'));
  store.put('namespaces', 'a', ns('a', { throw: '' }));
  store.ready('namespaces');
  turn();
  assert.match(engine.holdsDeletes('sysctl') ?? '', /could not plan a/);
  store.put('namespaces', 'a', ns('a'));
  turn();
  assert.equal(engine.holdsDeletes('sysctl'), undefined);
});

test('only affected units are planned again', () => {
  let plans = 0;
  const inner = demo('p');
  const counted: Planner = {
    ...inner,
    plan(unit, world) {
      plans++;
      return inner.plan(unit, world);
    },
  };
  const { store, engine } = bench(counted);
  for (let i = 0; i < 1000; i++) store.put('namespaces', `n${i}`, ns(`n${i}`, { [`k${i}`]: '1' }));
  store.ready('namespaces');
  engine.run(store.world, store.take());
  assert.equal(plans, 1000);
  store.put('namespaces', 'n7', ns('n7', { k7: '2' }));
  assert.equal(engine.run(store.world, store.take()).units, 1);
  assert.equal(plans, 1001);
});

test('a planner whose `affected` throws is planned from scratch', () => {
  const inner = demo('p');
  const { store, turn } = bench({
    ...inner,
    affected: () => {
      throw new Error('lost');
    },
  });
  store.put('namespaces', 'a', ns('a', { x: '1' }));
  store.ready('namespaces');
  turn();
  store.remove('namespaces', 'a');
  store.put('namespaces', 'b', ns('b', { y: '1' }));
  assert.deepEqual(turn().sort(), ['x=-', 'y=1']);
});

test('a row that comes out equal again is no change and stays the same object', () => {
  const { store, engine, turn } = bench(demo('p'));
  store.ready('namespaces');
  store.put('namespaces', 'a', ns('a', { x: '1' }));
  turn();
  const [before] = engine.rows();
  store.put('namespaces', 'a', { ...ns('a', { x: '1' }), uid: 'other' });
  assert.deepEqual(turn(), []);
  assert.equal([...engine.rows()][0], before);
});
