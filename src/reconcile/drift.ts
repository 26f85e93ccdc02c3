import type { DriftRecord } from '../model/api.ts';
import type { TargetName } from '../model/rows/row.ts';
import type { Delta } from './delta.ts';

export type DriftKind = DriftRecord['kind'];

const KEPT = 256;

type LiveRecord = { -readonly [K in keyof DriftRecord]: DriftRecord[K] };

/** What others did to our rows, and when it was mended: the last 256, and a count by kind since start. */
export class DriftLog {
  readonly #records: LiveRecord[] = [];
  readonly #open = new Map<string, LiveRecord>();
  readonly #counts: Record<DriftKind, number> = { missing: 0, altered: 0, foreign: 0 };

  get counts(): Readonly<Record<DriftKind, number>> {
    return this.#counts;
  }

  /** Oldest first. */
  records(): readonly DriftRecord[] {
    return this.#records.map((record) => ({ ...record }));
  }

  add(target: TargetName, key: string, kind: DriftKind, at: number): DriftRecord {
    const record: LiveRecord = { at, target, key, kind, repaired: undefined };
    this.#counts[kind]++;
    this.#records.push(record);
    const dropped = this.#records.length > KEPT ? this.#records.shift() : undefined;
    if (dropped && this.#open.get(id(dropped)) === dropped) this.#open.delete(id(dropped));
    this.#open.set(id(record), record);
    return record;
  }

  /** The row is as wanted again, or wanted no more. */
  repaired(target: TargetName, key: string, at: number): void {
    if (this.#open.size === 0) return;
    const record = this.#open.get(id({ target, key }));
    if (!record) return;
    record.repaired = at;
    this.#open.delete(id(record));
  }
}

const id = (row: { target: string; key: string }): string => `${row.target} ${row.key}`;

/** Keys of which a difference says nothing about others, because something of ours may have caused it. */
export type Suspects = ReadonlySet<string> | 'all';

/**
 * What differs between what we believed and what was just read, without our doing. Called before `delta` learns of `seen`.
 *
 * missing: it was right and is gone. altered: it was right and is not. foreign: it bears our mark, we did not make it, nobody wants it.
 */
export function* classify(
  delta: Delta,
  seen: ReadonlyMap<string, unknown>,
  same: (wanted: unknown, found: unknown) => boolean,
  suspects: Suspects,
): Iterable<{ key: string; kind: DriftKind }> {
  if (suspects === 'all') return;
  for (const [key, row] of delta.wanted) {
    if (suspects.has(key) || !delta.isDone(key)) continue;
    const found = seen.get(key);
    if (found === undefined) yield { key, kind: 'missing' };
    else if (!same(row.body, found)) yield { key, kind: 'altered' };
  }
  for (const key of seen.keys()) {
    if (suspects.has(key) || delta.found.has(key) || delta.wanted.has(key)) continue;
    yield { key, kind: 'foreign' };
  }
}
