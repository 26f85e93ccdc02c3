import { equal, isObject, type Json, type JsonObject, list, objects } from '../json.ts';
import { type Struct, structOf, type Type } from '../schema/notation.ts';

/**
 * Sets of fields, as `managedFields` speaks of them. A path is its steps (`f:name` a field, `k:{…}` an item of an associative list,
 * `v:…` a member of a set) joined by a character that no step has.
 */
export type FieldSet = Set<string>;
const joint = '\u0001';

const notOwned = new Set(
  'name namespace uid resourceVersion generation creationTimestamp selfLink managedFields deletionTimestamp deletionGracePeriodSeconds'
    .split(' ')
    .map((key) => `f:metadata${joint}f:${key}`)
    .concat('f:apiVersion', 'f:kind'),
);

export const steps = (path: string): string[] => path.split(joint);

/** The key step of an item of an associative list; a missing protocol is TCP, as the API's default says. */
function keyStep(item: JsonObject, keys: readonly string[]): string {
  const key: JsonObject = {};
  for (const name of [...keys].sort()) {
    const value = item[name] ?? (name === 'protocol' ? 'TCP' : undefined);
    if (value !== undefined) key[name] = value;
  }
  return `k:${JSON.stringify(key)}`;
}

function fieldType(type: Type | undefined, shape: Struct | undefined, key: string): Type | undefined {
  if (shape) return shape.fields.get(key);
  return type?.kind === 'map' ? type.values : undefined;
}

const rootType = (type: Struct | undefined, key: string): Type | undefined =>
  type
    ? type.fields.get(key)
    : key === 'metadata'
      ? { kind: 'ref', name: 'ObjectMeta', retainKeys: false }
      : undefined;

const atomic = (type: Type | undefined): boolean =>
  type?.kind === 'map' ? type.atomic : type?.kind === 'any' || structOf(type)?.atomic === true;

/** An object whose fields are owned one by one. */
const divided = (value: Json | undefined, shape: Type | undefined): value is JsonObject =>
  isObject(value) && Object.keys(value).length > 0 && !atomic(shape);

/** Collects the fields below a path with their values; of items with the same key the first one counts. */
function collect(value: Json, shape: Type | undefined, path: string, into: Map<string, Json>): void {
  if (notOwned.has(path)) return;
  if (divided(value, shape)) {
    for (const [key, child] of Object.entries(value))
      collect(child, fieldType(shape, structOf(shape), key), `${path}${joint}f:${key}`, into);
  } else if (
    Array.isArray(value) &&
    value.length > 0 &&
    shape?.kind === 'list' &&
    shape.apply !== undefined
  ) {
    for (const item of value) {
      const step =
        shape.apply === 'set'
          ? `v:${JSON.stringify(item)}`
          : isObject(item)
            ? keyStep(item, shape.apply)
            : '';
      const member = `${path}${joint}${step}`;
      if (!into.has(member)) into.set(member, item);
      if (isObject(item)) collect(item, shape.items, member, into);
    }
  } else if (!into.has(path)) into.set(path, value);
}

/** Every field that an object sets, without those that the server owns. */
export function fieldsOf(object: JsonObject, type: Struct | undefined): FieldSet {
  const found = new Map<string, Json>();
  for (const [key, value] of Object.entries(object)) collect(value, rootType(type, key), `f:${key}`, found);
  return new Set(found.keys());
}

/** The fields in which two revisions differ: `changed` came or have another value, `gone` went. Costs what differs. */
export function fieldChanges(
  old: JsonObject,
  now: JsonObject,
  type: Struct | undefined,
): { changed: FieldSet; gone: FieldSet } {
  const [before, after] = [new Map<string, Json>(), new Map<string, Json>()];
  const compare = (a: Json | undefined, b: Json | undefined, shape: Type | undefined, path: string): void => {
    if (notOwned.has(path) || equal(a, b)) return;
    if (divided(a, shape) && divided(b, shape)) {
      for (const key of Object.keys({ ...a, ...b }))
        compare(a[key], b[key], fieldType(shape, structOf(shape), key), `${path}${joint}f:${key}`);
      return;
    }
    if (a !== undefined) collect(a, shape, path, before);
    if (b !== undefined) collect(b, shape, path, after);
  };
  for (const key of Object.keys({ ...old, ...now }))
    compare(old[key], now[key], rootType(type, key), `f:${key}`);
  // A list item is "changed" as a whole only when it is new.
  const changed = [...after].filter(
    ([path, value]) => !before.has(path) || (!isObject(value) && !equal(value, before.get(path))),
  );
  const gone = [...before.keys()].filter((path) => !after.has(path));
  return { changed: new Set(changed.map(([path]) => path)), gone: new Set(gone) };
}

/** The value that a path leads to, or undefined. */
export function valueAt(object: JsonObject, path: string): Json | undefined {
  let value: Json | undefined = object;
  for (const step of steps(path)) {
    const name = step.slice(2);
    if (step.startsWith('f:')) value = isObject(value) ? value[name] : undefined;
    else value = list(value).find((item) => matches(item, step));
  }
  return value;
}

function matches(item: Json, step: string): boolean {
  const wanted = JSON.parse(step.slice(2)) as Json;
  if (step.startsWith('v:')) return equal(item, wanted);
  return isObject(item) && isObject(wanted) && keyStep(item, Object.keys(wanted)) === step;
}

/** Takes a field away; containers that become empty by it go too. */
export function removeAt(object: JsonObject, path: string): void {
  const trail: { holder: JsonObject; key: string }[] = [];
  let value: Json | undefined = object;
  for (const step of steps(path)) {
    const name = step.slice(2);
    if (step.startsWith('f:') && isObject(value)) {
      trail.push({ holder: value, key: name });
      value = value[name];
    } else if (Array.isArray(value)) {
      const last = trail[trail.length - 1];
      const found: Json | undefined = value.find((item) => matches(item, step));
      if (step === steps(path).at(-1) && last) {
        last.holder[last.key] = value.filter((item) => item !== found);
        return;
      }
      value = found;
    } else return;
  }
  for (const { holder, key } of trail.reverse()) {
    const child = holder[key];
    const isLeaf = key === trail[0]?.key && holder === trail[0]?.holder;
    if (isLeaf || (isObject(child) && Object.keys(child).length === 0)) delete holder[key];
    else return;
  }
}

/** Lays an applied configuration over the live object. */
export function mergeTyped(live: JsonObject, config: JsonObject, type: Struct | undefined): JsonObject {
  const merge = (a: Json | undefined, b: Json, shape: Type | undefined): Json => {
    if (isObject(a) && isObject(b) && !atomic(shape)) {
      const out: JsonObject = { ...a };
      for (const [key, child] of Object.entries(b))
        out[key] = merge(a[key], child, fieldType(shape, structOf(shape), key));
      return out;
    }
    if (Array.isArray(a) && Array.isArray(b) && shape?.kind === 'list' && shape.apply !== undefined) {
      return mergeList(a, b, shape.apply, (x, y) => merge(x, y, shape.items));
    }
    return b;
  };
  const out: JsonObject = { ...live };
  for (const [key, value] of Object.entries(config)) out[key] = merge(live[key], value, rootType(type, key));
  return out;
}

function mergeList(
  a: readonly Json[],
  b: readonly Json[],
  keys: readonly string[] | 'set',
  merge: (x: Json, y: Json) => Json,
): Json[] {
  const out = [...a];
  for (const item of b) {
    const same = (o: Json): boolean =>
      keys === 'set' || !isObject(item)
        ? equal(o, item)
        : isObject(o) && keyStep(o, keys) === keyStep(item, keys);
    const found = out.findIndex(same);
    if (found < 0) out.push(item);
    else out[found] = merge(out[found] ?? null, item);
  }
  return out;
}

/** The `fieldsV1` form: nested steps; `.` marks a member that has members below it. */
export function toFieldsV1(fields: FieldSet): JsonObject {
  const root: JsonObject = {};
  for (const path of [...fields].sort()) {
    let node = root;
    for (const step of steps(path)) {
      const next = node[step];
      const child: JsonObject = isObject(next) ? next : {};
      node[step] = child;
      node = child;
    }
    node['.'] = {};
  }
  const tidy = (node: JsonObject): JsonObject => {
    const keys = Object.keys(node);
    if (keys.length === 1 && keys[0] === '.') return {};
    return Object.fromEntries(keys.map((key) => [key, key === '.' ? {} : tidy(node[key] as JsonObject)]));
  };
  return tidy(root);
}

/** Whether a tree in the `fieldsV1` form names a field itself. */
export function inFieldsV1(tree: JsonObject, path: string): boolean {
  let node: Json | undefined = tree;
  for (const step of steps(path)) {
    node = node[step];
    if (!isObject(node)) return false;
  }
  return '.' in node || Object.keys(node).length === 0;
}

export function fromFieldsV1(tree: JsonObject): FieldSet {
  const fields: FieldSet = new Set();
  const walk = (node: JsonObject, path: string): void => {
    const children = Object.entries(node);
    if (children.length === 0 || '.' in node) fields.add(path);
    for (const [step, child] of children) {
      if (step !== '.' && isObject(child)) walk(child, path === '' ? step : `${path}${joint}${step}`);
    }
  };
  if (Object.keys(tree).length > 0)
    for (const [step, child] of Object.entries(tree)) if (isObject(child)) walk(child, step);
  return fields;
}

/** `.spec.containers[name="a"].image`, as conflicts are told. */
export function printPath(path: string): string {
  return steps(path)
    .map((step) => {
      if (step.startsWith('f:')) return `.${step.slice(2)}`;
      if (step.startsWith('v:')) return `[=${step.slice(2)}]`;
      const key = objects([JSON.parse(step.slice(2)) as Json])[0] ?? {};
      return `[${Object.entries(key)
        .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
        .join(',')}]`;
    })
    .join('');
}
