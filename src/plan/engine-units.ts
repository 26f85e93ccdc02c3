import { equal } from '../model/equal.ts';
import { describe } from '../model/errors.ts';
import type { Problem } from '../model/problem.ts';
import type { Row } from '../model/rows/row.ts';
import type { World, WorldChange } from '../model/world.ts';
import { type Claimant, type Claims, finder, repeats } from './engine-claims.ts';
import type { Planner } from './planner.ts';

interface UnitState {
  /** What the planner gave: the same list again means that nothing is different. */
  readonly asked: readonly Row[];
  readonly rows: readonly Row[];
  readonly clashes: readonly Problem[];
  readonly problems: readonly Problem[];
  /** It has never been planned without an error: what it would want is unknown. */
  readonly unknown: boolean;
}

const NO_PROBLEMS: readonly Problem[] = [];

/** One planner's units: which must be planned again, and what each of them asked for last. */
export class PlannerUnits {
  readonly planner: Planner;
  readonly #order: number;
  readonly #units = new Map<string, UnitState>();
  readonly #dirty = new Set<string>();
  /** Units with something to tell, so that telling does not cost a walk over all. */
  readonly #troubled = new Set<string>();
  #everything = true;
  #planned = false;
  #waits: string | undefined = 'not planned yet';

  constructor(planner: Planner, order: number) {
    this.planner = planner;
    this.#order = order;
  }

  /** It was planned from complete sources at least once. */
  get planned(): boolean {
    return this.#planned;
  }

  /** Why it does not plan at all now; `undefined` when it does. */
  get waits(): string | undefined {
    return this.#waits === undefined ? undefined : `planner ${this.planner.name} waits for ${this.#waits}`;
  }

  /** Why its rows are not known to be all that is wanted now; `undefined` when they are. */
  get incomplete(): string | undefined {
    if (this.#waits !== undefined) return this.waits;
    for (const unit of this.#troubled) {
      if (this.#units.get(unit)?.unknown) return `planner ${this.planner.name} could not plan ${unit}`;
    }
    return undefined;
  }

  /** Remembers which units a change may touch, also while the planner cannot run. */
  note(change: WorldChange, world: World): void {
    if (this.#everything) return;
    try {
      for (const unit of this.planner.affected(change, world)) this.#dirty.add(unit);
    } catch {
      // Asking again for everything is always right, only slower.
      this.#everything = true;
    }
  }

  /** Plans what is dirty when all sources are ready. Returns how many units were planned. */
  run(world: World, claims: Claims): number {
    const missing = this.planner.reads.find((source) => !world[source].ready);
    if (missing !== undefined) {
      this.#waits = `source ${missing} (${world[missing].reason ?? 'not ready'})`;
      return 0;
    }
    if (this.#everything && !this.#startOver(world)) return 0;
    this.#waits = undefined;
    this.#planned = true;
    const planned = this.#dirty.size;
    for (const unit of this.#dirty) this.#plan(unit, world, claims);
    this.#dirty.clear();
    return planned;
  }

  /** Sorted by unit, so that history does not show. */
  problems(): readonly Problem[] {
    return [...this.#troubled].sort().flatMap((unit) => this.#units.get(unit)?.problems ?? []);
  }

  #startOver(world: World): boolean {
    try {
      for (const unit of this.planner.units(world)) this.#dirty.add(unit);
    } catch (error) {
      this.#waits = `its list of units (${describe(error)})`;
      return false;
    }
    // Units that the World no longer has plan to nothing.
    for (const unit of this.#units.keys()) this.#dirty.add(unit);
    this.#everything = false;
    return true;
  }

  #plan(unit: string, world: World, claims: Claims): void {
    const who: Claimant = { order: this.#order, planner: this.planner.name, unit };
    const before = this.#units.get(unit);
    let state: UnitState;
    try {
      const { rows, problems = NO_PROBLEMS } = this.planner.plan(unit, world);
      const judged = before?.asked === rows ? before : judge(rows, who, before, claims);
      const { clashes } = judged;
      state = {
        asked: rows,
        rows: judged.rows,
        clashes,
        problems: problems.length + clashes.length === 0 ? NO_PROBLEMS : [...problems, ...clashes],
        unknown: false,
      };
    } catch (error) {
      // Its last rows stay wanted: a fault in one unit must not take away what works.
      state = {
        asked: before?.asked ?? [],
        rows: before?.rows ?? [],
        clashes: before?.clashes ?? NO_PROBLEMS,
        problems: [failure(who, error)],
        unknown: before?.unknown ?? true,
      };
    }
    this.#keep(unit, state);
  }

  #keep(unit: string, state: UnitState): void {
    if (state.rows.length === 0 && state.problems.length === 0) this.#units.delete(unit);
    else this.#units.set(unit, state);
    if (state.problems.length === 0) this.#troubled.delete(unit);
    else this.#troubled.add(unit);
  }
}

function judge(
  asked: readonly Row[],
  who: Claimant,
  before: UnitState | undefined,
  claims: Claims,
): Pick<UnitState, 'rows' | 'clashes'> {
  const { distinct, clashes } = withoutDuplicates(asked, who);
  return { rows: claims.set(who, before?.rows ?? [], distinct), clashes };
}

function failure(who: Claimant, error: unknown): Problem {
  return {
    object: `${who.planner} ${who.unit}`,
    message: `could not be planned: ${describe(error)}; its rows stay as they were`,
    hint: 'this is a fault in Fairlead or an input that it does not check; please report it',
  };
}

function withoutDuplicates(
  rows: readonly Row[],
  who: Claimant,
): { distinct: readonly Row[]; clashes: readonly Problem[] } {
  if (!repeats(rows)) return { distinct: rows, clashes: NO_PROBLEMS };
  const distinct: Row[] = [];
  const clashes: Problem[] = [];
  const firstOf = finder(rows);
  for (const row of rows) {
    const first = firstOf(row) ?? row;
    if (first === row) distinct.push(row);
    else if (!equal(first.body, row.body)) {
      clashes.push({
        object: `${row.target} ${row.key}`,
        message: `${who.planner} (${who.unit}) wants it twice, differently: "${first.why}" is done, "${row.why}" is not`,
      });
    }
  }
  return { distinct, clashes };
}
