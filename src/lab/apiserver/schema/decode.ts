import { isObject, type Json, type JsonObject } from '../json.ts';
import { badRequest } from '../status.ts';
import { type Struct, struct, type Type } from './notation.ts';

/** What reading a body against its schema found besides the object. */
export interface Decoded {
  readonly object: JsonObject;
  /** `unknown field "spec.foo"`, in the words of the real server. */
  readonly complaints: string[];
}

const goType = {
  string: 'string',
  bytes: '[]uint8',
  boolean: 'bool',
  integer: 'int32',
  number: 'float64',
} as const;

function jsonKind(value: Json): string {
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'boolean') return 'bool';
  return typeof value === 'object' ? 'object' : typeof value;
}

/** Reads a body: unknown fields and nulls are dropped (and named), a value of the wrong type is an error. */
export function decode(body: JsonObject, type: Struct | undefined, kind: string, version: string): Decoded {
  const complaints: string[] = [];
  const fail = (value: Json, owner: string, path: string, wanted: string): never => {
    throw badRequest(
      `${kind} in version "${version}" cannot be handled as a ${kind}: json: cannot unmarshal ${jsonKind(value)} into Go struct field ${owner}.${path} of type ${wanted}`,
    );
  };

  const readStruct = (value: JsonObject, shape: Struct, path: string): JsonObject => {
    const out: JsonObject = {};
    for (const [key, child] of Object.entries(value)) {
      const where = path === '' ? key : `${path}.${key}`;
      const childShape = shape.fields.get(key);
      if (childShape === undefined) complaints.push(`unknown field "${where}"`);
      else if (child !== null) {
        const value = read(child, childShape, where, shape.name);
        // Empty maps and lists are the same as absent ones, and are stored so.
        if (shape.required.has(key) || !isEmpty(value, childShape)) out[key] = value;
      }
    }
    return out;
  };

  const read = (value: Json, shape: Type, path: string, owner: string): Json => {
    const wrong = (wanted: string): never => fail(value, owner, path.replace(/\[\d+\]/g, ''), wanted);
    switch (shape.kind) {
      case 'any':
        return value;
      case 'bytes':
        return typeof value === 'string' ? value : wrong(goType.bytes);
      case 'string':
      case 'boolean':
        return typeof value === shape.kind ? value : wrong(goType[shape.kind]);
      case 'integer':
      case 'number':
        if (typeof value !== 'number') return wrong(goType[shape.kind]);
        return shape.kind === 'integer' && !Number.isInteger(value) ? wrong(goType.integer) : value;
      case 'quantity':
      case 'intOrString':
        return typeof value === 'string' || typeof value === 'number' ? value : wrong('intstr.IntOrString');
      case 'time':
        if (typeof value !== 'string' || Number.isNaN(Date.parse(value))) return wrong('time.Time');
        return value;
      case 'map': {
        if (!isObject(value)) return wrong(`map[string]${goName(shape.values)}`);
        const out: JsonObject = {};
        for (const [key, child] of Object.entries(value)) {
          if (child !== null) out[key] = read(child, shape.values, `${path}.${key}`, owner);
          else if (shape.values.kind === 'string') out[key] = '';
        }
        return out;
      }
      case 'list':
        if (!Array.isArray(value)) return wrong(`[]${goName(shape.items)}`);
        return value.map((child, i) => read(child, shape.items, `${path}[${i}]`, owner));
      case 'ref': {
        const inner = struct(shape.name);
        if (!isObject(value)) return wrong(`v1.${shape.name}`);
        return inner === undefined ? value : readStruct(value, inner, path);
      }
    }
  };

  if (type) return { object: readStruct(body, type, ''), complaints };
  // A custom resource: its own schema is checked elsewhere, its metadata is ours.
  const shape = struct('ObjectMeta');
  const metadata = body.metadata;
  if (!shape || metadata === undefined || metadata === null) return { object: { ...body }, complaints };
  if (!isObject(metadata)) return fail(metadata, kind, 'metadata', 'v1.ObjectMeta');
  return { object: { ...body, metadata: readStruct(metadata, shape, 'metadata') }, complaints };
}

const isEmpty = (value: Json, type: Type): boolean =>
  (type.kind === 'map' && isObject(value) && Object.keys(value).length === 0) ||
  (type.kind === 'list' && Array.isArray(value) && value.length === 0);

function goName(type: Type): string {
  if (type.kind === 'ref') return `v1.${type.name}`;
  if (type.kind === 'string' || type.kind === 'boolean' || type.kind === 'integer') return goType[type.kind];
  return 'interface {}';
}
