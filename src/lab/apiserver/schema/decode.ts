import { isObject, type Json, type JsonObject } from '../json.ts';
import { badRequest } from '../status.ts';
import { type Struct, struct, type Type } from './notation.ts';

/** What reading a body against its schema found besides the object. */
export interface Decoded {
  readonly object: JsonObject;
  /** `unknown field "spec.foo"`, in the words of the real server. */
  readonly complaints: string[];
}

const GO_TYPES = {
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
  const decoder = new Decoder(kind, version);
  const { complaints } = decoder;
  if (type) return { object: decoder.struct(body, type, ''), complaints };
  // A custom resource: its own schema is checked elsewhere, its metadata is ours.
  const { metadata } = body;
  if (metadata === undefined || metadata === null) return { object: { ...body }, complaints };
  const ref = { kind: 'ref', name: 'ObjectMeta', retainKeys: false } as const;
  return { object: { ...body, metadata: decoder.value(metadata, ref, 'metadata', kind) }, complaints };
}

class Decoder {
  readonly complaints: string[] = [];
  readonly #kind: string;
  readonly #version: string;

  constructor(kind: string, version: string) {
    this.#kind = kind;
    this.#version = version;
  }

  struct(value: JsonObject, shape: Struct, path: string): JsonObject {
    const out: JsonObject = {};
    for (const [key, child] of Object.entries(value)) {
      const where = path === '' ? key : `${path}.${key}`;
      const childShape = shape.fields.get(key);
      if (childShape === undefined) this.complaints.push(`unknown field "${where}"`);
      else if (child !== null) {
        const read = this.value(child, childShape, where, shape.name);
        // Empty maps and lists are the same as absent ones, and are stored so.
        if (shape.required.has(key) || !isEmpty(read, childShape)) out[key] = read;
      }
    }
    return out;
  }

  /** `owner`: the struct whose field it is, for the words of a failure. */
  value(value: Json, shape: Type, path: string, owner: string): Json {
    switch (shape.kind) {
      case 'map': {
        if (!isObject(value)) break;
        return this.#map(value, shape.values, path, owner);
      }
      case 'list':
        if (!Array.isArray(value)) break;
        return value.map((child, i) => this.value(child, shape.items, `${path}[${i}]`, owner));
      case 'ref': {
        if (!isObject(value)) break;
        const inner = struct(shape.name);
        return inner === undefined ? value : this.struct(value, inner, path);
      }
      default:
        if (isScalar(value, shape.kind)) return value;
    }
    throw badRequest(
      `${this.#kind} in version "${this.#version}" cannot be handled as a ${this.#kind}: json: cannot unmarshal ${jsonKind(value)} into Go struct field ${owner}.${path.replace(/\[\d+\]/g, '')} of type ${goType(shape)}`,
    );
  }

  #map(value: JsonObject, values: Type, path: string, owner: string): JsonObject {
    const out: JsonObject = {};
    for (const [key, child] of Object.entries(value)) {
      if (child !== null) out[key] = this.value(child, values, `${path}.${key}`, owner);
      else if (values.kind === 'string') out[key] = '';
    }
    return out;
  }
}

function isScalar(value: Json, kind: Exclude<Type['kind'], 'map' | 'list' | 'ref'>): boolean {
  switch (kind) {
    case 'any':
      return true;
    case 'string':
    case 'bytes':
      return typeof value === 'string';
    case 'boolean':
    case 'number':
      return typeof value === kind;
    case 'integer':
      return Number.isInteger(value);
    case 'quantity':
    case 'intOrString':
      return typeof value === 'string' || typeof value === 'number';
    case 'time':
      return typeof value === 'string' && !Number.isNaN(Date.parse(value));
  }
}

const isEmpty = (value: Json, type: Type): boolean =>
  (type.kind === 'map' && isObject(value) && Object.keys(value).length === 0) ||
  (type.kind === 'list' && Array.isArray(value) && value.length === 0);

/** As the real server writes the type that it wanted. */
function goType(type: Type): string {
  switch (type.kind) {
    case 'map':
      return `map[string]${goElement(type.values)}`;
    case 'list':
      return `[]${goElement(type.items)}`;
    case 'ref':
      return `v1.${type.name}`;
    case 'quantity':
    case 'intOrString':
      return 'intstr.IntOrString';
    case 'time':
      return 'time.Time';
    case 'any':
      return 'interface {}';
    default:
      return GO_TYPES[type.kind];
  }
}

const goElement = (type: Type): string =>
  ['ref', 'string', 'boolean', 'integer'].includes(type.kind) ? goType(type) : 'interface {}';
