import { isObject, type Json, type JsonObject } from '../json.ts';
import { badRequest } from '../status.ts';

function merge(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const out: JsonObject = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete out[key];
    else out[key] = merge(out[key], value);
  }
  return out;
}

/** RFC 7396: null removes, objects merge, everything else replaces. */
export function mergePatch(object: JsonObject, patch: Json): JsonObject {
  if (!isObject(patch)) throw badRequest(notAnObject(patch));
  const merged = merge(object, patch);
  return isObject(merged) ? merged : {};
}

export function notAnObject(patch: Json): string {
  const kind = Array.isArray(patch) ? 'array' : patch === null ? 'null' : typeof patch;
  return `error decoding patch: json: cannot unmarshal ${kind} into Go value of type map[string]interface {}`;
}
