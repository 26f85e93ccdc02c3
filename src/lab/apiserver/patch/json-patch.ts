import { clone, equal, isObject, type Json, type JsonObject } from '../json.ts';
import { badRequest, StatusError } from '../status.ts';

const rejected = (): StatusError =>
  new StatusError(422, 'Invalid', 'the server rejected our request due to an error in our request', {});

const unescapePart = (part: string): string => part.replaceAll('~1', '/').replaceAll('~0', '~');

function split(pointer: string): string[] {
  if (pointer === '') return [];
  if (!pointer.startsWith('/')) throw rejected();
  return pointer.slice(1).split('/').map(unescapePart);
}

/** RFC 6901: `-` is the place after the last element; other indices are digits without leading zeros. */
function index(part: string, length: number, adding: boolean): number {
  if (adding && part === '-') return length;
  const i = /^-?(0|[1-9]\d*)$/.test(part) ? Number(part) : Number.NaN;
  if (!(i >= 0 && i < length + (adding ? 1 : 0))) throw rejected();
  return i;
}

function read(document: Json, path: readonly string[]): Json {
  let value: Json = document;
  for (const part of path) {
    let next: Json | undefined;
    if (Array.isArray(value)) next = value[index(part, value.length, false)];
    else if (isObject(value)) next = value[part];
    if (next === undefined) throw rejected();
    value = next;
  }
  return value;
}

function add(document: Json, path: readonly string[], value: Json, replace: boolean): Json {
  const last = path[path.length - 1];
  if (last === undefined) return value;
  const parent = read(document, path.slice(0, -1));
  if (Array.isArray(parent)) {
    if (replace) parent[index(last, parent.length, false)] = value;
    else parent.splice(index(last, parent.length, true), 0, value);
  } else if (isObject(parent)) {
    if (replace && !(last in parent)) throw rejected();
    parent[last] = value;
  } else throw rejected();
  return document;
}

function remove(document: Json, path: readonly string[]): Json {
  const last = path[path.length - 1];
  if (last === undefined) return null;
  const parent = read(document, path.slice(0, -1));
  if (Array.isArray(parent)) parent.splice(index(last, parent.length, false), 1);
  else if (isObject(parent) && last in parent) delete parent[last];
  else throw rejected();
  return document;
}

/** RFC 6902 on a copy of the object. Any operation that fails makes the whole patch fail with 422, as on the real server. */
export function jsonPatch(object: JsonObject, patch: Json): JsonObject {
  if (!Array.isArray(patch)) {
    throw badRequest(
      'error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp',
    );
  }
  let document: Json = clone(object);
  for (const step of patch) {
    if (!isObject(step) || typeof step.op !== 'string' || typeof step.path !== 'string') throw rejected();
    const path = split(step.path);
    const from = typeof step.from === 'string' ? split(step.from) : undefined;
    const value = step.value;
    if (step.op === 'remove') document = remove(document, path);
    else if ((step.op === 'add' || step.op === 'replace') && value !== undefined) {
      document = add(document, path, clone(value), step.op === 'replace');
    } else if (step.op === 'test') {
      if (!equal(read(document, path), value ?? null)) throw rejected();
    } else if (step.op === 'copy' && from) document = add(document, path, clone(read(document, from)), false);
    else if (step.op === 'move' && from) {
      const moved = read(document, from);
      document = add(remove(document, from), path, moved, false);
    } else throw rejected();
  }
  if (!isObject(document)) throw rejected();
  return document;
}
