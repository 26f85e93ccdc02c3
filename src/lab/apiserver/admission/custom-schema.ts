import { clone, equal, isObject, type Json, type JsonObject, list, sub, text } from '../json.ts';
import { type Cause, duplicate, required, unsupported, wrong } from '../status.ts';

/**
 * A CRD's `openAPIV3Schema`: prunes what it does not name, fills its defaults, and finds what breaks it. Left out: CEL rules,
 * `oneOf`/`anyOf`/`not`, `format`.
 */
export function conform(value: JsonObject, schema: JsonObject): Cause[] {
  const causes: Cause[] = [];
  for (const [key, child] of Object.entries(sub(schema, 'properties'))) {
    if (['metadata', 'kind', 'apiVersion'].includes(key) || !isObject(child)) continue;
    fill(value, key, child);
    if (value[key] !== undefined) value[key] = walk(value[key], child, key, causes);
  }
  const known = sub(schema, 'properties');
  if (schema['x-kubernetes-preserve-unknown-fields'] !== true) {
    for (const key of Object.keys(value)) {
      if (!(key in known) && !['metadata', 'kind', 'apiVersion'].includes(key)) delete value[key];
    }
  }
  for (const key of list(schema.required))
    if (value[text(key)] === undefined) causes.push(required(text(key)));
  return causes;
}

function fill(value: JsonObject, key: string, schema: JsonObject): void {
  if (value[key] === undefined && schema.default !== undefined) value[key] = clone(schema.default);
}

const jsonType = (value: Json): string => {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value === 'number' && Number.isInteger(value) ? 'integer' : typeof value;
};

function typeFits(value: Json, schema: JsonObject): boolean {
  const found = jsonType(value);
  if (schema['x-kubernetes-int-or-string'] === true) return found === 'integer' || found === 'string';
  const wanted = text(schema.type);
  return wanted === '' || wanted === found || (wanted === 'number' && found === 'integer');
}

function walk(value: Json, schema: JsonObject, path: string, causes: Cause[]): Json {
  if (value === null && schema.nullable === true) return value;
  if (!typeFits(value, schema)) {
    const why = `${path} in body must be of type ${text(schema.type)}: "${jsonType(value)}"`;
    causes.push({ ...wrong(path, jsonType(value), why), reason: 'FieldValueTypeInvalid' });
    return value;
  }
  if (Array.isArray(schema.enum) && !schema.enum.some((allowed) => equal(allowed, value))) {
    causes.push(unsupported(path, value, schema.enum.map(text)));
  }
  if (typeof value === 'string') checkText(value, schema, path, causes);
  if (typeof value === 'number') checkNumber(value, schema, path, causes);
  if (Array.isArray(value)) return walkList(value, schema, path, causes);
  return isObject(value) ? walkObject(value, schema, path, causes) : value;
}

function checkText(value: string, schema: JsonObject, path: string, causes: Cause[]): void {
  const { pattern, minLength, maxLength } = schema;
  if (typeof pattern === 'string' && !new RegExp(pattern, 'u').test(value)) {
    causes.push(wrong(path, value, `${path} in body should match '${pattern}'`));
  }
  if (typeof minLength === 'number' && value.length < minLength) {
    causes.push(wrong(path, value, `${path} in body should be at least ${minLength} chars long`));
  }
  if (typeof maxLength === 'number' && value.length > maxLength) {
    causes.push({
      reason: 'FieldValueTooLong',
      message: `Too long: may not be more than ${maxLength} bytes`,
      field: path,
    });
  }
}

function checkNumber(value: number, schema: JsonObject, path: string, causes: Cause[]): void {
  const { minimum, maximum } = schema;
  if (typeof minimum === 'number' && value < minimum) {
    causes.push(wrong(path, value, `${path} in body should be greater than or equal to ${minimum}`));
  }
  if (typeof maximum === 'number' && value > maximum) {
    causes.push(wrong(path, value, `${path} in body should be less than or equal to ${maximum}`));
  }
}

function walkList(value: Json[], schema: JsonObject, path: string, causes: Cause[]): Json[] {
  const { maxItems, minItems } = schema;
  if (typeof maxItems === 'number' && value.length > maxItems) {
    causes.push({
      reason: 'FieldValueTooMany',
      message: `Too many: ${value.length}: must have at most ${maxItems} ${maxItems === 1 ? 'item' : 'items'}`,
      field: path,
    });
  }
  if (typeof minItems === 'number' && value.length < minItems) {
    causes.push(wrong(path, value.length, `${path} in body should have at least ${minItems} items`));
  }
  checkUnique(value, schema, path, causes);
  return value.map((item, i) => walk(item, sub(schema, 'items'), `${path}[${i}]`, causes));
}

/** In a list of type `set` no item may occur twice, in one of type `map` no combination of its keys. */
function checkUnique(value: Json[], schema: JsonObject, path: string, causes: Cause[]): void {
  const type = text(schema['x-kubernetes-list-type']);
  if (type !== 'set' && type !== 'map') return;
  const keys = list(schema['x-kubernetes-list-map-keys']).map(text);
  const seen = new Set<string>();
  value.forEach((item, i) => {
    const mark = type === 'map' && isObject(item) ? picked(item, keys) : item;
    const words = JSON.stringify(mark);
    if (seen.has(words)) causes.push(duplicate(`${path}[${i}]`, mark));
    seen.add(words);
  });
}

const picked = (item: JsonObject, keys: readonly string[]): JsonObject =>
  Object.fromEntries(keys.flatMap((key) => (item[key] === undefined ? [] : [[key, item[key]]])));

function walkObject(value: JsonObject, schema: JsonObject, path: string, causes: Cause[]): JsonObject {
  const known = sub(schema, 'properties');
  const extra = schema.additionalProperties;
  const keepUnknown = schema['x-kubernetes-preserve-unknown-fields'] === true || extra === true;
  for (const [key, child] of Object.entries(known)) if (isObject(child)) fill(value, key, child);
  for (const [key, child] of Object.entries(value)) {
    const inner = known[key] ?? (isObject(extra) ? extra : undefined);
    if (isObject(inner)) value[key] = walk(child, inner, `${path}.${key}`, causes);
    else if (!keepUnknown) delete value[key];
  }
  for (const key of list(schema.required)) {
    if (value[text(key)] === undefined) causes.push(required(`${path}.${text(key)}`));
  }
  checkSize(Object.keys(value).length, schema, path, causes);
  return value;
}

/** Counted after pruning: an object whose only field is not known is empty. */
function checkSize(
  size: number,
  { minProperties, maxProperties }: JsonObject,
  path: string,
  causes: Cause[],
): void {
  if (typeof minProperties === 'number' && size < minProperties) {
    causes.push(wrong(path, size, `${path} in body should have at least ${minProperties} properties`));
  }
  if (typeof maxProperties === 'number' && size > maxProperties) {
    const items = maxProperties === 1 ? 'item' : 'items';
    causes.push({
      reason: 'FieldValueTooMany',
      message: `Too many: ${size}: must have at most ${maxProperties} ${items}`,
      field: path,
    });
  }
}
