import { equal } from '../model/equal.ts';
import type { Problem } from '../model/problem.ts';
import type { Row, TargetName } from '../model/rows/row.ts';

/** A row that came, changed, or (`row` absent) is wanted no more. */
export interface RowChange {
  readonly target: TargetName;
  readonly key: string;
  readonly row: Row | undefined;
}

/** Who asks: the planner's place in the list, its name, and the unit. */
export interface Claimant {
  readonly order: number;
  readonly planner: string;
  readonly unit: string;
}

interface Claim extends Claimant {
  readonly row: Row;
}

/**
 * Joins the rows of all units into one row a key.
 *
 * Units whose bodies are equal share the row: it stays until the last of them lets go. Where bodies differ, the claim of the
 * planner that stands first in the list wins, then the unit whose name sorts first: never who came last, so the outcome does
 * not depend on history. The losers are reported.
 */
export class Claims {
  readonly #claims = new Map<TargetName, Map<string, Claim[]>>();
  /** The row that won before this round, for every key touched in it. */
  readonly #touched = new Map<TargetName, Map<string, Row | undefined>>();
  readonly #conflicts = new Map<string, readonly Problem[]>();

  /** Replaces what a unit asks for. Returns its rows, the old objects where they are equal. Keys in `after` are distinct. */
  set(who: Claimant, before: readonly Row[], after: readonly Row[]): readonly Row[] {
    const old = new Map<TargetName, Map<string, Row>>();
    for (const row of before) byTarget(old, row.target).set(row.key, row);
    const kept = after.map((row) => {
      const previous = old.get(row.target)?.get(row.key);
      old.get(row.target)?.delete(row.key);
      if (previous && sameRow(previous, row)) return previous;
      if (previous) this.#drop(who, row.target, row.key);
      this.#add({ ...who, row });
      return row;
    });
    for (const [target, rows] of old) for (const key of rows.keys()) this.#drop(who, target, key);
    return kept;
  }

  /** The difference since the last call. */
  take(): readonly RowChange[] {
    const changes: RowChange[] = [];
    for (const [target, keys] of this.#touched) {
      for (const [key, before] of keys) {
        const claims = this.#claims.get(target)?.get(key) ?? [];
        if (claims.length > 1 || this.#conflicts.size > 0) this.#judge(target, key, claims);
        const row = claims[0]?.row;
        if (before === row || (before && row && sameRow(before, row))) continue;
        changes.push({ target, key, row });
      }
    }
    this.#touched.clear();
    return changes;
  }

  *rows(): Iterable<Row> {
    for (const keys of this.#claims.values()) {
      for (const claims of keys.values()) if (claims[0]) yield claims[0].row;
    }
  }

  /** Sorted by row, so that history does not show. */
  conflicts(): readonly Problem[] {
    return [...this.#conflicts].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, problems]) => problems);
  }

  #add(claim: Claim): void {
    const { target, key } = claim.row;
    this.#touch(target, key);
    const keys = byTarget(this.#claims, target);
    const claims = keys.get(key);
    if (!claims) {
      keys.set(key, [claim]);
      return;
    }
    const place = claims.findIndex((other) => precedes(claim, other));
    claims.splice(place < 0 ? claims.length : place, 0, claim);
  }

  #drop(who: Claimant, target: TargetName, key: string): void {
    const keys = this.#claims.get(target);
    const claims = keys?.get(key);
    const place = claims?.findIndex((claim) => claim.order === who.order && claim.unit === who.unit) ?? -1;
    if (!keys || !claims || place < 0) return;
    this.#touch(target, key);
    claims.splice(place, 1);
    if (claims.length === 0) keys.delete(key);
  }

  #touch(target: TargetName, key: string): void {
    const keys = byTarget(this.#touched, target);
    if (!keys.has(key)) keys.set(key, this.#claims.get(target)?.get(key)?.[0]?.row);
  }

  #judge(target: TargetName, key: string, claims: readonly Claim[]): void {
    const [winner, ...others] = claims;
    const losers = winner ? others.filter((other) => !equal(other.row.body, winner.row.body)) : [];
    const id = `${target} ${key}`;
    if (!winner || losers.length === 0) {
      this.#conflicts.delete(id);
      return;
    }
    this.#conflicts.set(
      id,
      losers.map((loser) => ({
        object: id,
        message: `${name(winner)} and ${name(loser)} want it differently: "${winner.row.why}" is done, "${loser.row.why}" is not`,
        hint: 'the planner first in the list wins, then the unit first by name; remove one of the two causes',
      })),
    );
  }
}

export function sameRow(a: Row, b: Row): boolean {
  return a.why === b.why && equal(a.body, b.body) && equal(a.needs, b.needs);
}

function precedes(a: Claim, b: Claim): boolean {
  return a.order !== b.order ? a.order < b.order : a.unit < b.unit;
}

const name = (claim: Claim): string => `${claim.planner} (${claim.unit})`;

function byTarget<V>(map: Map<TargetName, Map<string, V>>, target: TargetName): Map<string, V> {
  const present = map.get(target);
  if (present) return present;
  const made = new Map<string, V>();
  map.set(target, made);
  return made;
}
