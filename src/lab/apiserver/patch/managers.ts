import { equal, isObject, type Json, type JsonObject, meta, objects, sub, text } from '../json.ts';
import type { Struct } from '../schema/notation.ts';
import { type FieldSet, fieldsOf, fromFieldsV1, toFieldsV1, valueAt } from './fields.ts';

/** Who owns which fields: one entry of `metadata.managedFields`. */
export interface Manager {
  readonly name: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  readonly subresource: string;
  readonly time: string;
  readonly fields: FieldSet;
}

/** Who writes now. */
export type Writer = Omit<Manager, 'fields'>;

export const sameWriter = (a: Writer, b: Writer): boolean =>
  a.name === b.name &&
  a.operation === b.operation &&
  a.subresource === b.subresource &&
  a.apiVersion === b.apiVersion;

export function readManagers(object: JsonObject): Manager[] {
  return objects(meta(object).managedFields).map((entry) => ({
    name: text(entry.manager),
    operation: entry.operation === 'Apply' ? 'Apply' : 'Update',
    apiVersion: text(entry.apiVersion),
    subresource: text(entry.subresource),
    time: text(entry.time),
    fields: fromFieldsV1(sub(entry, 'fieldsV1')),
  }));
}

/** Writes the managers that own something, appliers first, in the order of time. */
export function writeManagers(object: JsonObject, managers: readonly Manager[]): void {
  const metadata = object.metadata;
  if (!isObject(metadata)) return;
  const order = (m: Manager): string => `${m.operation} ${m.time} ${m.name}`;
  const entries = managers
    .filter((manager) => manager.fields.size > 0)
    .sort((a, b) => (order(a) < order(b) ? -1 : 1))
    .map(
      (m): Json => ({
        manager: m.name,
        operation: m.operation,
        apiVersion: m.apiVersion,
        time: m.time,
        fieldsType: 'FieldsV1',
        fieldsV1: toFieldsV1(m.fields),
        ...(m.subresource === '' ? {} : { subresource: m.subresource }),
      }),
    );
  if (entries.length > 0) metadata.managedFields = entries;
  else delete metadata.managedFields;
}

/**
 * After an update: the writer owns what it changed, and nobody owns what went. Objects that were never applied are not tracked
 * (their fields belong to `before-first-apply` when the first apply comes), which keeps 150,000 pods small.
 */
export function trackUpdate(
  old: JsonObject,
  object: JsonObject,
  type: Struct | undefined,
  writer: Writer,
): void {
  const managers = readManagers(old);
  if (managers.length === 0) return;
  const before = fieldsOf(old, type);
  const after = fieldsOf(object, type);
  const changed = new Set<string>();
  for (const path of after) {
    if (!before.has(path) || !equal(valueAt(old, path), valueAt(object, path))) {
      // A list item is "changed" as a whole only when it is new.
      if (!before.has(path) || !isObject(valueAt(object, path))) changed.add(path);
    }
  }
  const mine = managers.find((manager) => sameWriter(manager, writer));
  const kept = managers.map((manager): Manager => {
    const fields = new Set([...manager.fields].filter((path) => after.has(path) || !before.has(path)));
    if (manager !== mine) for (const path of changed) fields.delete(path);
    else for (const path of changed) fields.add(path);
    return manager === mine && changed.size > 0
      ? { ...manager, time: writer.time, fields }
      : { ...manager, fields };
  });
  if (!mine) kept.push({ ...writer, fields: changed });
  writeManagers(object, kept);
}
