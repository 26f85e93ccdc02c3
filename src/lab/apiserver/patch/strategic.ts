import { equal, isObject, type Json, type JsonObject, list, objects } from '../json.ts';
import { type Struct, structOf, type Type } from '../schema/notation.ts';
import { badRequest } from '../status.ts';
import { notAnObject } from './merge-patch.ts';

type ListType = Extract<Type, { kind: 'list' }>;

/**
 * Strategic merge patch: like a merge patch, but lists with a merge key are merged by it. Directives: `$patch: delete|replace|merge`,
 * `$retainKeys`, `$deleteFromPrimitiveList/<field>`, `$setElementOrder/<field>` (used for the order of the result).
 */
export function strategicPatch(object: JsonObject, patch: Json, type: Struct | undefined): JsonObject {
  if (!isObject(patch)) throw badRequest(notAnObject(patch));
  return mergeObject(object, patch, type);
}

function mergeObject(target: JsonObject, patch: JsonObject, type: Struct | undefined): JsonObject {
  if (patch.$patch === 'replace') {
    const { $patch: _, ...rest } = patch;
    return rest;
  }
  if (patch.$patch === 'delete') return {};
  const out: JsonObject = { ...target };
  const keep = patch.$retainKeys;
  if (Array.isArray(keep)) for (const key of Object.keys(out)) if (!keep.includes(key)) delete out[key];
  for (const [key, value] of Object.entries(patch)) {
    if (key === '$patch' || key === '$retainKeys' || key.startsWith('$setElementOrder/')) continue;
    if (key.startsWith('$deleteFromPrimitiveList/')) {
      const field = key.slice(key.indexOf('/') + 1);
      const gone = list(value);
      out[field] = list(out[field]).filter((item) => !gone.some((g) => equal(g, item)));
      continue;
    }
    const child = type?.fields.get(key);
    if (value === null) delete out[key];
    else if (isObject(value)) out[key] = mergeChild(out[key], value, child);
    else if (Array.isArray(value) && child?.kind === 'list' && child.merge !== undefined) {
      out[key] = mergeList(list(out[key]), value, child);
    } else out[key] = value;
  }
  for (const [key, order] of Object.entries(patch)) {
    if (!key.startsWith('$setElementOrder/') || !Array.isArray(order)) continue;
    const field = key.slice(key.indexOf('/') + 1);
    const child = type?.fields.get(field);
    if (Array.isArray(out[field]) && child?.kind === 'list')
      out[field] = ordered(list(out[field]), order, child.merge);
  }
  return out;
}

function mergeChild(target: Json | undefined, patch: JsonObject, type: Type | undefined): JsonObject {
  const values: Struct | undefined = type?.kind === 'map' ? structOf(type.values) : structOf(type);
  if (type?.kind === 'map' && values) {
    const out: JsonObject = isObject(target) ? { ...target } : {};
    for (const [key, value] of Object.entries(patch)) {
      if (value === null) delete out[key];
      else out[key] = isObject(value) ? mergeChild(out[key], value, type.values) : value;
    }
    return out;
  }
  return mergeObject(isObject(target) ? target : {}, patch, values);
}

function mergeList(target: readonly Json[], patch: readonly Json[], type: ListType): Json[] {
  const key = type.merge ?? '';
  if (key === '') {
    const out = [...target];
    for (const item of patch) if (!out.some((o) => equal(o, item))) out.push(item);
    return out;
  }
  if (objects([...patch]).some((item) => item.$patch === 'replace')) {
    return patch.filter((item) => !(isObject(item) && item.$patch === 'replace'));
  }
  let out = [...target];
  for (const item of patch) {
    if (!isObject(item)) throw badRequest('error decoding patch: expected an object in a merged list');
    const id = item[key];
    if (id === undefined)
      throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`);
    const same = (o: Json): boolean => isObject(o) && equal(o[key], id);
    if (item.$patch === 'delete') {
      out = out.filter((o) => !same(o));
      continue;
    }
    const found = out.findIndex(same);
    const merged = mergeObject(objects([out[found] ?? null])[0] ?? {}, item, structOf(type.items));
    if (found < 0) out.push(merged);
    else out[found] = merged;
  }
  return out;
}

/** Items named in `order` take its order; items that it does not name keep their place before their old successors. */
function ordered(items: readonly Json[], order: readonly Json[], key: string | undefined): Json[] {
  const id = (item: Json): Json | undefined => (key && isObject(item) ? item[key] : item);
  const rank = (item: Json): number => order.findIndex((o) => equal(id(o), id(item)));
  const named = items.filter((item) => rank(item) >= 0).sort((a, b) => rank(a) - rank(b));
  let next = 0;
  return items.map((item) => (rank(item) < 0 ? item : (named[next++] ?? item)));
}
