import type { SourceName, World } from '../../../model/world.ts';

interface Remembered<T> {
  readonly inputs: readonly unknown[];
  readonly value: T;
}

/** Where one thing that is made of tables of the World is remembered; kept with its first table, so that it goes when the table goes. */
export type Memo<T> = WeakMap<object, Remembered<T>>;

/** What `make` gives, made again when one of these tables has changed. It must depend on nothing else. */
export function memo<T>(
  known: Memo<T>,
  world: World,
  tables: readonly [SourceName, ...SourceName[]],
  make: () => T,
): T {
  const inputs = tables.flatMap((table): unknown[] => [world[table].objects, world[table].revision]);
  const key = world[tables[0]].objects;
  const present = known.get(key);
  if (present?.inputs.every((input, i) => input === inputs[i])) return present.value;
  const value = make();
  known.set(key, { inputs, value });
  return value;
}
