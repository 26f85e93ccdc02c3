import type { RowRef } from '../model/rows/row.ts';

/** Who waits for which row, so that a row that is done wakes just those, at once. */
export class Waiters<Who> {
  readonly #byNeed = new Map<string, Map<string, Map<Who, Set<string>>>>();

  add(need: RowRef, who: Who, key: string): void {
    const keys = getOr(this.#byNeed, need.target, () => new Map<string, Map<Who, Set<string>>>());
    const whos = getOr(keys, need.key, () => new Map<Who, Set<string>>());
    getOr(whos, who, () => new Set<string>()).add(key);
  }

  /** Takes out who waits for a row. Some may long since have stopped to: they must check again. */
  take(need: RowRef): [Who, string][] {
    const keys = this.#byNeed.get(need.target);
    const whos = keys?.get(need.key);
    if (!keys || !whos) return [];
    keys.delete(need.key);
    return [...whos].flatMap(([who, waiting]) => [...waiting].map((key): [Who, string] => [who, key]));
  }

  /** Keys of a target's rows that somebody waits for. */
  awaited(target: string): Iterable<string> {
    return this.#byNeed.get(target)?.keys() ?? [];
  }
}

function getOr<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const present = map.get(key);
  if (present !== undefined) return present;
  const made = make();
  map.set(key, made);
  return made;
}
