import type { SourceName, WorldSink, WorldTables } from '../../src/model/world.ts';

/** A sink that keeps what it is told: the objects of each table, its readiness, and the words in which it all came. */
export class RecordingSink implements WorldSink {
  readonly tables = new Map<SourceName, Map<string, unknown>>();
  readonly notReadyReason = new Map<SourceName, string | undefined>();
  readonly log: string[] = [];
  /** Called before each put; may throw. */
  beforePut: (key: string) => void = () => {};

  table<S extends SourceName>(source: S): Map<string, WorldTables[S]> {
    const table = this.tables.get(source) ?? new Map<string, unknown>();
    this.tables.set(source, table);
    return table as Map<string, WorldTables[S]>;
  }

  isReady(source: SourceName): boolean {
    return this.notReadyReason.has(source) && this.notReadyReason.get(source) === undefined;
  }

  put<S extends SourceName>(source: S, key: string, object: WorldTables[S]): void {
    this.beforePut(key);
    this.table(source).set(key, object);
    this.log.push(`put ${key}`);
  }

  remove<S extends SourceName>(source: S, key: string): void {
    this.table(source).delete(key);
    this.log.push(`remove ${key}`);
  }

  replace<S extends SourceName>(source: S, objects: ReadonlyMap<string, WorldTables[S]>): void {
    this.tables.set(source, new Map(objects));
    this.log.push(`replace ${[...objects.keys()].join(' ')}`);
  }

  ready(source: SourceName): void {
    this.notReadyReason.set(source, undefined);
    this.log.push('ready');
  }

  notReady(source: SourceName, reason: string): void {
    this.notReadyReason.set(source, reason);
    this.log.push('not ready');
  }
}
