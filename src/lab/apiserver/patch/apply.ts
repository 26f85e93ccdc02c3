import { clone, equal, isObject, type Json, type JsonObject } from '../json.ts';
import type { Struct } from '../schema/notation.ts';
import { StatusError } from '../status.ts';
import { type FieldSet, fieldsOf, mergeTyped, printPath, removeAt, valueAt } from './fields.ts';
import { type Manager, readManagers, sameWriter, type Writer, writeManagers } from './managers.ts';

export interface ApplyRequest {
  readonly live: JsonObject | undefined;
  readonly config: JsonObject;
  readonly type: Struct | undefined;
  readonly writer: Writer;
  readonly force: boolean;
}

const label = (manager: Manager): string => {
  const how = manager.operation === 'Update' ? ` using ${manager.apiVersion}` : '';
  const where = manager.subresource === '' ? '' : ` with subresource "${manager.subresource}"`;
  return `"${manager.name}"${how}${where}`;
};

function conflictError(conflicts: ReadonlyMap<Manager, readonly string[]>): StatusError {
  const causes: Json[] = [];
  const told: string[] = [];
  let count = 0;
  for (const [manager, paths] of conflicts) {
    const fields = paths.map(printPath).sort();
    count += fields.length;
    for (const field of fields) {
      causes.push({ reason: 'FieldManagerConflict', message: `conflict with ${label(manager)}`, field });
    }
    told.push(`conflicts with ${label(manager)}:\n${fields.map((field) => `- ${field}`).join('\n')}`);
  }
  const [manager, paths] = [...conflicts][0] ?? [];
  const only =
    count === 1 && manager ? `conflict with ${label(manager)}: ${paths?.map(printPath)[0]}` : undefined;
  const message = only ?? told.sort().join('\n');
  return new StatusError(
    409,
    'Conflict',
    `Apply failed with ${count} conflict${count === 1 ? '' : 's'}: ${message}`,
    {
      causes,
    },
  );
}

function takeOver(request: ApplyRequest, applied: FieldSet, others: readonly Manager[]): Manager[] {
  const { live, config, force } = request;
  const conflicts = new Map<Manager, string[]>();
  for (const manager of others) {
    const paths = [...manager.fields].filter(
      (path) =>
        applied.has(path) &&
        !path.endsWith('}') &&
        live &&
        !equal(valueAt(live, path), valueAt(config, path)),
    );
    if (paths.length > 0) conflicts.set(manager, paths);
  }
  if (conflicts.size > 0 && !force) throw conflictError(conflicts);
  return others.map((manager) => {
    const lost = new Set(conflicts.get(manager) ?? []);
    return { ...manager, fields: new Set([...manager.fields].filter((path) => !lost.has(path))) };
  });
}

/**
 * Server-side apply (KEP-555): the configuration is laid over the live object; fields that this manager applied before and no longer
 * names go, unless another manager has them; a field of another manager with another value is a conflict, or is taken with `force`.
 */
export function apply(request: ApplyRequest): JsonObject {
  const { live, type, writer } = request;
  const config = clone(request.config);
  const configMeta = config.metadata;
  if (isObject(configMeta)) delete configMeta.managedFields;
  const applied = fieldsOf(config, type);
  if (!live) {
    writeManagers(config, [{ ...writer, fields: applied }]);
    return config;
  }
  let managers = readManagers(live);
  if (managers.length === 0) managers = [beforeFirstApply(live, type, writer)];
  const mine = managers.find((manager) => sameWriter(manager, writer));
  const others = takeOver(
    request,
    applied,
    managers.filter((manager) => manager !== mine),
  );
  const merged = mergeTyped(clone(live), config, type);
  for (const path of mine?.fields ?? []) {
    if (!applied.has(path) && !others.some((manager) => manager.fields.has(path))) removeAt(merged, path);
  }
  const unchanged =
    mine !== undefined && mine.fields.size === applied.size && [...applied].every((p) => mine.fields.has(p));
  writeManagers(merged, [
    ...others,
    { ...writer, time: unchanged ? mine.time : writer.time, fields: applied },
  ]);
  return merged;
}

function beforeFirstApply(live: JsonObject, type: Struct | undefined, writer: Writer): Manager {
  const { status: _, ...rest } = live;
  return {
    name: 'before-first-apply',
    operation: 'Update',
    apiVersion: writer.apiVersion,
    subresource: '',
    time: writer.time,
    fields: fieldsOf(rest, type),
  };
}

/** True when two revisions are the same, the times in `managedFields` aside. */
export function sameButTimes(a: JsonObject, b: JsonObject): boolean {
  const { metadata: metaA, ...restA } = a;
  const { metadata: metaB, ...restB } = b;
  return equal(timeless(metaA), timeless(metaB)) && equal(restA, restB);
}

function timeless(metadata: Json | undefined): Json | undefined {
  if (!isObject(metadata) || !Array.isArray(metadata.managedFields)) return metadata;
  const managedFields = metadata.managedFields.map((entry) =>
    isObject(entry) ? { ...entry, time: '' } : entry,
  );
  return { ...metadata, managedFields };
}
