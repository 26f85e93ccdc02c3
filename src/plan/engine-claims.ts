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

interface Claim {
  readonly who: Claimant;
  readonly row: Row;
}

/** One key's claims, the winner first. Nearly always it is the only one, so that one has no list; but a set of addresses may have hundreds. */
type Claimed = Claim | Claim[];

/**
 * Joins the rows of all units into one row a key.
 *
 * Units whose bodies are equal share the row: it stays until the last of them lets go. Where bodies differ, the claim of the
 * planner that stands first in the list wins, then the unit whose name sorts first: never who came last, so the outcome does
 * not depend on history. The losers are reported.
 */
export class Claims {
  readonly #claims = new Map<TargetName, Map<string, Claimed>>();
  /** The row that won before this round, for every key touched in it. */
  readonly #touched = new Map<TargetName, Map<string, Row | undefined>>();
  readonly #conflicts = new Map<string, readonly Problem[]>();

  /** Replaces what a unit asks for. Returns its rows, the old objects where they are equal. Keys in `after` are distinct. */
  set(who: Claimant, before: readonly Row[], after: readonly Row[]): readonly Row[] {
    if (before.length === 0) {
      for (const row of after) this.#add({ who, row });
      return after;
    }
    if (after.length === 0) {
      for (const row of before) this.#drop(who, row);
      return after;
    }
    // A unit mostly asks for the same rows in the same order.
    const oldOf = finder(before);
    const newOf = finder(after);
    const kept = after.map((row, i) => {
      const previous = sameKey(before[i], row) ? before[i] : oldOf(row);
      if (previous && sameRow(previous, row)) return previous;
      if (previous) this.#replace({ who, row });
      else this.#add({ who, row });
      return row;
    });
    for (const [i, old] of before.entries()) {
      if (!sameKey(after[i], old) && !newOf(old)) this.#drop(who, old);
    }
    return kept;
  }

  /** The difference since the last call. */
  take(): readonly RowChange[] {
    const changes: RowChange[] = [];
    for (const [target, keys] of this.#touched) {
      const claimed = byTarget(this.#claims, target);
      keys.forEach((before, key) => {
        const claims = claimed.get(key);
        if (isList(claims) || this.#conflicts.size > 0) this.#judge(target, key, listOf(claims));
        const row = winner(claims)?.row;
        if (before === row || (before && row && sameRow(before, row))) return;
        changes.push({ target, key, row });
      });
    }
    this.#touched.clear();
    return changes;
  }

  *rows(): Iterable<Row> {
    for (const keys of this.#claims.values()) {
      for (const claims of keys.values()) {
        const first = winner(claims);
        if (first) yield first.row;
      }
    }
  }

  /** Sorted by row, so that history does not show. */
  conflicts(): readonly Problem[] {
    return [...this.#conflicts].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, problems]) => problems);
  }

  #add(claim: Claim): void {
    const { target, key } = claim.row;
    const keys = byTarget(this.#claims, target);
    const claims = keys.get(key);
    this.#touch(target, key, claims);
    if (!claims) {
      keys.set(key, claim);
      return;
    }
    const list = isList(claims) ? claims : [claims];
    list.splice(placeOf(list, claim.who), 0, claim);
    if (list !== claims) keys.set(key, list);
  }

  /** In its place: taking a key out of a large Map and putting it in again makes the Map build itself anew every now and then. */
  #replace(claim: Claim): void {
    const { target, key } = claim.row;
    const keys = byTarget(this.#claims, target);
    const claims = keys.get(key);
    this.#touch(target, key, claims);
    if (isList(claims)) claims[placeOf(claims, claim.who)] = claim;
    else keys.set(key, claim);
  }

  #drop(who: Claimant, { target, key }: Row): void {
    const keys = byTarget(this.#claims, target);
    const claims = keys.get(key);
    this.#touch(target, key, claims);
    if (!isList(claims)) {
      if (claims && !differ(claims.who, who)) keys.delete(key);
      return;
    }
    const place = placeOf(claims, who);
    if (claims[place] && !differ(claims[place].who, who)) claims.splice(place, 1);
    const [only, another] = claims;
    if (only && !another) keys.set(key, only);
  }

  #touch(target: TargetName, key: string, claims: Claimed | undefined): void {
    const keys = byTarget(this.#touched, target);
    if (!keys.has(key)) keys.set(key, winner(claims)?.row);
  }

  #judge(target: TargetName, key: string, claims: readonly Claim[]): void {
    const [first, ...others] = claims;
    const losers = first ? others.filter((other) => !equal(other.row.body, first.row.body)) : [];
    const id = `${target} ${key}`;
    if (!first || losers.length === 0) {
      this.#conflicts.delete(id);
      return;
    }
    this.#conflicts.set(
      id,
      losers.map((loser) => ({
        object: id,
        message: `${name(first.who)} and ${name(loser.who)} want it differently: "${first.row.why}" is done, "${loser.row.why}" is not`,
        hint: 'the planner first in the list wins, then the unit first by name; remove one of the two causes',
      })),
    );
  }
}

const FEW = 16;

/** Finds the first row of the same target and key. */
export function finder(rows: readonly Row[]): (row: Row) => Row | undefined {
  if (rows.length <= FEW) return (row) => rows.find((other) => sameKey(other, row));
  let index: Map<TargetName, Map<string, Row>> | undefined;
  return (row) => {
    index ??= indexed(rows);
    return index.get(row.target)?.get(row.key);
  };
}

/** Whether some row's target and key are those of another. */
export function repeats(rows: readonly Row[]): boolean {
  if (rows.length > FEW) {
    const firstOf = finder(rows);
    return rows.some((row) => firstOf(row) !== row);
  }
  for (let i = 1; i < rows.length; i++) {
    const row = rows[i];
    for (let j = 0; row && j < i; j++) if (sameKey(rows[j], row)) return true;
  }
  return false;
}

function indexed(rows: readonly Row[]): Map<TargetName, Map<string, Row>> {
  const index = new Map<TargetName, Map<string, Row>>();
  for (const row of rows) {
    const keys = byTarget(index, row.target);
    if (!keys.has(row.key)) keys.set(row.key, row);
  }
  return index;
}

function sameRow(a: Row, b: Row): boolean {
  return a.why === b.why && equal(a.body, b.body) && equal(a.needs, b.needs);
}

function sameKey(a: Row | undefined, b: Row): boolean {
  return a !== undefined && a.key === b.key && a.target === b.target;
}

function precedes(a: Claimant, b: Claimant): boolean {
  return a.order !== b.order ? a.order < b.order : a.unit < b.unit;
}

function differ(a: Claimant, b: Claimant): boolean {
  return a.order !== b.order || a.unit !== b.unit;
}

/** The first place whose claimant does not come before `who`. */
function placeOf(list: readonly Claim[], who: Claimant): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const at = list[middle];
    if (at && precedes(at.who, who)) low = middle + 1;
    else high = middle;
  }
  return low;
}

const isList = (claims: Claimed | undefined): claims is Claim[] => Array.isArray(claims);
const listOf = (claims: Claimed | undefined): readonly Claim[] =>
  isList(claims) ? claims : claims ? [claims] : [];
const winner = (claims: Claimed | undefined): Claim | undefined => (isList(claims) ? claims[0] : claims);

const name = (who: Claimant): string => `${who.planner} (${who.unit})`;

function byTarget<V>(map: Map<TargetName, Map<string, V>>, target: TargetName): Map<string, V> {
  const present = map.get(target);
  if (present) return present;
  const made = new Map<string, V>();
  map.set(target, made);
  return made;
}
