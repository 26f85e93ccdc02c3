import { isObject, type JsonObject, meta, objects, sub, text } from '../json.ts';
import type { Struct } from '../schema/notation.ts';
import { type FieldSet, fieldChanges, fromFieldsV1, inFieldsV1, toFieldsV1 } from './fields.ts';

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

export const readManagers = (object: JsonObject): Manager[] => objects(meta(object).managedFields).map(read);

const writerOf = (entry: JsonObject): Writer => ({
  name: text(entry.manager),
  operation: entry.operation === 'Apply' ? 'Apply' : 'Update',
  apiVersion: text(entry.apiVersion),
  subresource: text(entry.subresource),
  time: text(entry.time),
});

function read(entry: JsonObject): Manager {
  return { ...writerOf(entry), fields: fromFieldsV1(sub(entry, 'fieldsV1')) };
}

/** An entry of `managedFields`; none for a manager that owns nothing. */
function written(m: Manager): JsonObject[] {
  if (m.fields.size === 0) return [];
  return [
    {
      manager: m.name,
      operation: m.operation,
      apiVersion: m.apiVersion,
      time: m.time,
      fieldsType: 'FieldsV1',
      fieldsV1: toFieldsV1(m.fields),
      ...(m.subresource === '' ? {} : { subresource: m.subresource }),
    },
  ];
}

/** Writes the managers that own something, appliers first, in the order of time. */
export function writeManagers(object: JsonObject, managers: readonly Manager[]): void {
  setEntries(object, managers.flatMap(written));
}

function setEntries(object: JsonObject, entries: JsonObject[]): void {
  const metadata = object.metadata;
  if (!isObject(metadata)) return;
  const order = (e: JsonObject): string => `${e.operation} ${e.time} ${e.manager}`;
  entries.sort((a, b) => (order(a) < order(b) ? -1 : 1));
  if (entries.length > 0) metadata.managedFields = entries;
  else delete metadata.managedFields;
}

/**
 * After an update: the writer owns what it changed, and nobody owns what went. Objects that were never applied are not tracked
 * (their fields belong to `before-first-apply` when the first apply comes), which keeps 150,000 pods small. Managers of other fields
 * stay as they are, unread.
 */
export function trackUpdate(
  old: JsonObject,
  object: JsonObject,
  type: Struct | undefined,
  writer: Writer,
): void {
  const entries = objects(meta(object).managedFields);
  if (entries.length === 0) return;
  const { changed, gone } = fieldChanges(old, object, type);
  if (changed.size === 0 && gone.size === 0) return;
  const moved = [...changed, ...gone];
  let mine: Manager = { ...writer, fields: new Set() };
  const after: JsonObject[] = [];
  for (const entry of entries) {
    const tree = sub(entry, 'fieldsV1');
    if (sameWriter(writerOf(entry), writer)) mine = read(entry);
    else if (!moved.some((path) => inFieldsV1(tree, path))) after.push(entry);
    else {
      const other = read(entry);
      for (const path of moved) other.fields.delete(path);
      after.push(...written(other));
    }
  }
  for (const path of gone) mine.fields.delete(path);
  for (const path of changed) mine.fields.add(path);
  setEntries(object, [...after, ...written(changed.size > 0 ? { ...mine, time: writer.time } : mine)]);
}
