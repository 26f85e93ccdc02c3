import { at, type Json, type JsonObject, list, meta, text } from '../json.ts';
import type { Resource } from '../resources.ts';
import { age, type Column, column, columns, created, name } from './columns.ts';

/** The columns of a resource: its own, those its CRD prints, or name and age. */
export function columnsOf(r: Resource, printed: readonly JsonObject[]): readonly Column[] {
  const own = columns[r.storage];
  if (own) return own;
  if (printed.length === 0) return [name, created];
  return [name, ...printed.map(printedColumn)];
}

/** `jsonPath` of simple fields and of `[?(@.type=="Ready")]` filters, which is what printer columns use. */
function printedColumn(spec: JsonObject): Column {
  const path = text(spec.jsonPath);
  const type = text(spec.type);
  return column(
    text(spec.name),
    (object, now) => {
      const value = find(object, path);
      if (value === undefined) return '';
      return type === 'date' ? age(value, now) : typeof value === 'object' ? JSON.stringify(value) : value;
    },
    Number(spec.priority ?? 0),
    type,
  );
}

function find(object: JsonObject, path: string): Json | undefined {
  const filter = /^(.*)\[\?\(@\.(\w+)==["']([^"']*)["']\)\](.*)$/.exec(path);
  if (!filter) return at(object, path.replace(/^\./, '').replaceAll('\\.', '.'));
  const [, head = '', key = '', wanted, tail = ''] = filter;
  for (const item of list(at(object, head.replace(/^\./, '')))) {
    const holder = item as JsonObject;
    if (holder?.[key] === wanted) return at(holder, tail.replace(/^\./, ''));
  }
  return undefined;
}

/** `includeObject` of a table request: what stands beside the cells. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

export const partial = (object: JsonObject): JsonObject => ({
  kind: 'PartialObjectMetadata',
  apiVersion: 'meta.k8s.io/v1',
  metadata: meta(object),
});

export function row(
  object: JsonObject,
  shown: readonly Column[],
  now: number,
  include: IncludeObject,
): JsonObject {
  return {
    cells: shown.map((c) => c.cell(object, now)),
    object: include === 'Object' ? object : include === 'None' ? null : partial(object),
  };
}

export const definitions = (shown: readonly Column[]): JsonObject[] =>
  shown.map(({ name: label, type, format, priority }) => ({
    name: label,
    type,
    format,
    description: label,
    priority,
  }));
