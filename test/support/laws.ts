import assert from 'node:assert/strict';
import type { Row } from '../../src/model/rows/row.ts';
import type { SourceName, World, WorldSink, WorldTables } from '../../src/model/world.ts';
import { SOURCE_NAMES, WorldStore } from '../../src/model/world-store.ts';
import { PlanEngine } from '../../src/plan/engine.ts';
import type { Planner } from '../../src/plan/planner.ts';
import { FakeClock, seeded } from './fake-clock.ts';
import { fc, runs as runsOf } from './property.ts';

/** One object put into the World or (`object` absent) taken out of it. */
export type Edit = { [S in SourceName]: EditOf<S> }[SourceName];

export interface EditOf<S extends SourceName> {
  readonly source: S;
  readonly key: string;
  readonly object: WorldTables[S] | undefined;
}

export interface PlannerLaws {
  /** Precedence order, as the agent lists them. */
  readonly planners: readonly Planner[];
  /** The World before the edits: configuration, host. All sources are ready afterwards. */
  readonly base?: (sink: WorldSink) => void;
  readonly edits: fc.Arbitrary<readonly Edit[]>;
  /** Default 100. */
  readonly runs?: number;
}

/** What came out: rows and problems, without the order in which they came about. */
export interface Planned {
  readonly rows: readonly Row[];
  readonly problems: readonly unknown[];
}

/**
 * The laws of planners, for any sequence of edits. Every history that ends in the same World gives the rows and problems of planning
 * once from that World: step by step, in one go, in random batches, shuffled, reversed, with every change told twice, with empty
 * turns in between, with sources that go away and come back. And what was built up and torn down again leaves nothing.
 */
export function checkPlannerLaws({ planners, base = () => {}, edits, runs = 100 }: PlannerLaws): void {
  fc.assert(
    fc.property(edits, fc.nat(), (list, seed) => {
      const lab = new Lab(planners, base);
      const expected = lab.scratch(list);
      const final = lastOfEach(list);
      const random = seeded(seed);
      const ways: [string, Planned][] = [
        ['step by step', lab.stepwise(list, () => true)],
        ['in one go', lab.stepwise(list, () => false)],
        ['in random batches', lab.stepwise(list, () => random() < 0.4)],
        ['shuffled', lab.stepwise(shuffled(final, random), () => true)],
        ['reversed', lab.stepwise(final.toReversed(), () => true)],
        ['every change told twice', lab.stepwise(list, () => true, 'twice')],
        ['with empty turns', lab.stepwise(list, () => true, 'empties')],
        ['with sources away now and then', lab.stepwise(list, () => random() < 0.5, 'away')],
      ];
      for (const [way, got] of ways)
        assert.deepEqual(got, expected, `${way} differs from planning from scratch`);
      assert.deepEqual(lab.upAndDown(list), lab.scratch([]), 'built up and torn down again leaves something');
    }),
    { numRuns: runsOf(runs) },
  );
}

class Lab {
  readonly #planners: readonly Planner[];
  readonly #base: (sink: WorldSink) => void;

  constructor(planners: readonly Planner[], base: (sink: WorldSink) => void) {
    this.#planners = planners;
    this.#base = base;
  }

  scratch(edits: readonly Edit[]): Planned {
    const store = this.#store();
    for (const edit of edits) feed(store, edit);
    return planned(this.#planners, store.world);
  }

  stepwise(edits: readonly Edit[], turn: () => boolean, weather?: 'twice' | 'empties' | 'away'): Planned {
    const store = this.#store();
    const engine = new PlanEngine(this.#planners);
    const step = () => {
      const changes = store.take();
      engine.run(store.world, weather === 'twice' ? [...changes, ...changes] : changes);
      if (weather === 'empties') engine.run(store.world, []);
    };
    step();
    for (const edit of edits) {
      const away = weather === 'away' && turn();
      if (away) store.notReady(edit.source, 'away');
      feed(store, edit);
      if (turn()) step();
      if (away) store.ready(edit.source);
    }
    step();
    return outcome(engine);
  }

  upAndDown(edits: readonly Edit[]): Planned {
    const store = this.#store();
    const original = new Map(edits.map((edit) => [id(edit), present(store.world, edit)]));
    const engine = new PlanEngine(this.#planners);
    engine.run(store.world, store.take());
    const back = edits.map((edit) => ({ ...edit, object: original.get(id(edit)) }) as Edit);
    for (const edit of [...edits, ...lastOfEach(back)]) {
      feed(store, edit);
      engine.run(store.world, store.take());
    }
    return outcome(engine);
  }

  #store(): WorldStore {
    const store = new WorldStore(new FakeClock());
    this.#base(store);
    for (const source of SOURCE_NAMES) store.ready(source);
    return store;
  }
}

/** Rows and problems of planning once from this World. */
export function planned(planners: readonly Planner[], world: World): Planned {
  const engine = new PlanEngine(planners);
  engine.run(world, []);
  return outcome(engine);
}

export function feed(sink: WorldSink, edit: Edit): void {
  if (edit.object === undefined) sink.remove(edit.source, edit.key);
  else sink.put(edit.source, edit.key, edit.object as never);
}

function outcome(engine: PlanEngine): Planned {
  const rows = [...engine.rows()].sort((a, b) => (rowId(a) < rowId(b) ? -1 : 1));
  const problems = engine.problems().map((problem) => JSON.stringify(problem));
  return { rows, problems: problems.sort() };
}

function lastOfEach(edits: readonly Edit[]): Edit[] {
  return [...new Map(edits.map((edit) => [id(edit), edit])).values()];
}

function present(world: World, edit: Edit): unknown {
  return world[edit.source].objects.get(edit.key);
}

function shuffled<T>(list: readonly T[], random: () => number): T[] {
  return list
    .map((item) => ({ item, place: random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}

const id = (edit: Edit): string => `${edit.source} ${edit.key}`;
const rowId = (row: Row): string => `${row.target} ${row.key}`;
