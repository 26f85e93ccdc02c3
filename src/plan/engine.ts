import type { Problem } from '../model/problem.ts';
import type { Row, TargetName } from '../model/rows/row.ts';
import type { World, WorldChange } from '../model/world.ts';
import { Claims, type RowChange } from './engine-claims.ts';
import { PlannerUnits } from './engine-units.ts';
import type { Planner } from './planner.ts';

export type { RowChange } from './engine-claims.ts';

/**
 * Runs the planners over the World and says how the wanted rows changed. See README.md.
 *
 * The order of `planners` is the precedence when two of them want one row differently.
 */
export class PlanEngine {
  readonly #planners: readonly PlannerUnits[];
  readonly #claims = new Claims();

  constructor(planners: readonly Planner[]) {
    this.#planners = planners.map((planner, order) => new PlannerUnits(planner, order));
  }

  /** Plans the units that `changes` touch, and all units of a planner whose sources have just become ready. */
  run(world: World, changes: readonly WorldChange[]): { rows: readonly RowChange[]; units: number } {
    let units = 0;
    for (const planner of this.#planners) {
      for (const change of changes) planner.note(change, world);
      units += planner.run(world, this.#claims);
    }
    return { rows: this.#claims.take(), units };
  }

  /** All wanted rows. */
  rows(): Iterable<Row> {
    return this.#claims.rows();
  }

  problems(): readonly Problem[] {
    return [...this.#planners.flatMap((planner) => planner.problems()), ...this.#claims.conflicts()];
  }

  /** Every planner has planned from complete sources at least once. */
  get planned(): boolean {
    return this.#planners.every((planner) => planner.planned);
  }

  /** Why what a target should have is not planned now; `undefined` when it is. */
  waits(target: TargetName): string | undefined {
    for (const { planner, waits } of this.#planners) {
      if (waits !== undefined && planner.writes.includes(target)) return waits;
    }
    return undefined;
  }

  /**
   * Why nothing of a target may be removed now; `undefined` when it may. A thing that no row asks for is only known to be
   * unwanted when every planner that writes this target has planned from complete sources.
   */
  holdsDeletes(target: TargetName): string | undefined {
    for (const units of this.#planners) {
      if (!units.planner.writes.includes(target)) continue;
      const reason = units.incomplete;
      if (reason !== undefined) return reason;
    }
    return undefined;
  }
}

/** The rows of a plan from scratch, with the gates that it would have. */
export function planOnce(planners: readonly Planner[], world: World): PlanEngine {
  const engine = new PlanEngine(planners);
  engine.run(world, []);
  return engine;
}
