import type { ObjectMemo } from '../../../model/memo.ts';
import type { SourceName, World } from '../../../model/world.ts';

interface Input {
  readonly objects: unknown;
  readonly revision: number;
}

interface Remembered<T> {
  readonly inputs: readonly Input[];
  readonly value: T;
}

/** Where one thing that is made of tables of the World is remembered; kept with its first table, so that it goes when the table goes. */
export type Memo<T> = ObjectMemo<object, Remembered<T>>;

/** What `make` gives, made again when one of these tables has changed. It must depend on nothing else. */
export function memo<T>(
  known: Memo<T>,
  world: World,
  tables: readonly [SourceName, ...SourceName[]],
  make: () => T,
): T {
  const key = world[tables[0]].objects;
  const present = known.get(key);
  if (present && isCurrent(present.inputs, world, tables)) return present.value;
  const value = make();
  known.set(key, { inputs: tables.map((name) => pick(world, name)), value });
  return value;
}

const pick = (world: World, name: SourceName): Input => {
  const { objects, revision } = world[name];
  return { objects, revision };
};

function isCurrent(inputs: readonly Input[], world: World, tables: readonly SourceName[]): boolean {
  for (const [i, name] of tables.entries()) {
    const { objects, revision } = world[name];
    if (inputs[i]?.objects !== objects || inputs[i]?.revision !== revision) return false;
  }
  return true;
}
