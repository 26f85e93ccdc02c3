/** Plain JSON values, as they travel, and the few helpers that walking them needs. */
export type Json = null | boolean | number | string | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The object at a key, or an empty one that is not attached to anything. */
export function sub(object: JsonObject | undefined, key: string): JsonObject {
  const value = object?.[key];
  return isObject(value) ? value : {};
}

/** The object at a key, made when it is missing. */
export function ensure(object: JsonObject, key: string): JsonObject {
  const value = object[key];
  if (isObject(value)) return value;
  const made: JsonObject = {};
  object[key] = made;
  return made;
}

export const meta = (object: JsonObject): JsonObject => sub(object, 'metadata');
export const text = (value: Json | undefined): string => (typeof value === 'string' ? value : '');
export const list = (value: Json | undefined): Json[] => (Array.isArray(value) ? value : []);
export const objects = (value: Json | undefined): JsonObject[] => list(value).filter(isObject);
export const texts = (value: Json | undefined): string[] =>
  list(value).filter((item): item is string => typeof item === 'string');

export const clone = <T extends Json>(value: T): T => structuredClone(value);

/** The value at a dotted path, or undefined. */
export function at(object: JsonObject, path: string): Json | undefined {
  let value: Json | undefined = object;
  for (const key of path.split('.')) {
    if (!isObject(value)) return undefined;
    value = value[key];
  }
  return value;
}

/** Equality of content: key order does not matter, list order does. */
export function equal(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => equal(item, b[i]));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => key in b && equal(a[key], b[key]));
}

/** Parses JSON text that we wrote ourselves, or that must be an object. Throws a SyntaxError otherwise. */
export function parseObject(source: string): JsonObject {
  const value = JSON.parse(source) as Json;
  if (!isObject(value)) throw new SyntaxError('not a JSON object');
  return value;
}
