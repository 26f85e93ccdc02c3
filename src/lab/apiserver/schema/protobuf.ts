import type { Json, JsonObject } from '../json.ts';
import { badRequest } from '../status.ts';
import { type Struct, struct, structOf, type Type } from './notation.ts';

/**
 * Reads bodies in Kubernetes' protobuf form, which typed Go clients send (`kubectl create namespace` is one). Answers are always JSON,
 * which such clients accept. Form: `k8s\0`, then runtime.Unknown {1: {1: apiVersion, 2: kind}, 2: raw object}.
 */
export function decodeProtobuf(bytes: Buffer): JsonObject {
  if (bytes.subarray(0, 4).toString('latin1') !== 'k8s\0') throw malformed('it does not begin with k8s');
  const envelope = [...fields(bytes.subarray(4))];
  const part = (number: number): Buffer =>
    envelope.find((f) => f.number === number)?.bytes ?? Buffer.alloc(0);
  const typeMeta = [...fields(part(1))];
  const word = (number: number): string =>
    typeMeta.find((f) => f.number === number)?.bytes?.toString('utf8') ?? '';
  const [apiVersion, kind] = [word(1), word(2)];
  const shape = struct(apiVersion.startsWith('events.k8s.io/') ? `Events${kind}` : kind);
  const body = shape ? readStruct(part(2), shape) : readOptions(part(2), kind);
  return { apiVersion, kind, ...body };
}

const malformed = (why: string): Error => badRequest(`the body is no valid protobuf object: ${why}`);

interface Field {
  readonly number: number;
  /** Wire types 0 and 1. */
  readonly value: bigint;
  /** Wire type 2. */
  readonly bytes: Buffer | undefined;
}

function* fields(bytes: Buffer): Generator<Field> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) throw malformed('it ends within a number');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, value);
    }
    throw malformed('a number is too long');
  };
  const take = (length: number): Buffer => {
    if (length < 0 || at + length > bytes.length) throw malformed('it ends within a field');
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const number = tag >>> 3;
    const wire = tag & 7;
    if (wire === 0) yield { number, value: varint(), bytes: undefined };
    else if (wire === 1) yield { number, value: take(8).readBigUInt64LE(), bytes: undefined };
    else if (wire === 2) yield { number, value: 0n, bytes: take(Number(varint())) };
    else if (wire === 5) yield { number, value: BigInt(take(4).readUInt32LE()), bytes: undefined };
    else throw malformed(`wire type ${wire}`);
  }
}

/** Numbers that Go always writes and that mean nothing when zero. */
const zeroIsAbsent = new Set(['generation', 'hostPort', 'nodePort']);

function readStruct(bytes: Buffer, shape: Struct, path = ''): JsonObject {
  const out: JsonObject = {};
  for (const field of fields(bytes)) {
    const at = path === '' ? String(field.number) : `${path}.${field.number}`;
    const key = shape.numbers.get(at);
    const type = key === undefined ? undefined : shape.fields.get(key);
    if (key === undefined || type === undefined) {
      // An embedded message, whose fields stand among the parent's own in JSON.
      if (field.bytes && shape.embedded.has(at)) Object.assign(out, readStruct(field.bytes, shape, at));
      continue;
    }
    if (type.kind === 'list') {
      const list = out[key];
      const item = read(field, type.items);
      if (item === undefined) continue;
      if (Array.isArray(list)) list.push(item);
      else out[key] = [item];
    } else if (type.kind === 'map') {
      const entry = [...fields(field.bytes ?? Buffer.alloc(0))];
      const name = entry.find((f) => f.number === 1)?.bytes?.toString('utf8') ?? '';
      const value = entry.find((f) => f.number === 2);
      const map = (out[key] ?? {}) as JsonObject;
      map[name] = (value && read(value, type.values, true)) ?? '';
      out[key] = map;
    } else {
      const value = read(field, type);
      if (value !== undefined && !(value === 0 && zeroIsAbsent.has(key))) out[key] = value;
    }
  }
  return out;
}

/** One value; undefined for what JSON leaves out: empty texts and zero times. */
function read({ value, bytes }: Field, type: Type, keepEmpty = false): Json | undefined {
  const inner = bytes ?? Buffer.alloc(0);
  switch (type.kind) {
    case 'string':
      return inner.length > 0 || keepEmpty ? inner.toString('utf8') : undefined;
    case 'bytes':
      return inner.toString('base64');
    case 'boolean':
      return value !== 0n;
    case 'integer':
      return Number(value);
    case 'number':
      return new Float64Array(BigUint64Array.of(BigInt.asUintN(64, value)).buffer)[0] ?? 0;
    case 'quantity':
      return [...fields(inner)].find((f) => f.number === 1)?.bytes?.toString('utf8') ?? '0';
    case 'intOrString': {
      const parts = [...fields(inner)];
      const isText = parts.some((f) => f.number === 1 && f.value === 1n);
      if (isText) return parts.find((f) => f.number === 3)?.bytes?.toString('utf8') ?? '';
      return Number(parts.find((f) => f.number === 2)?.value ?? 0n);
    }
    case 'time': {
      const seconds = [...fields(inner)].find((f) => f.number === 1)?.value ?? 0n;
      return seconds > 0n ? new Date(Number(seconds) * 1000).toISOString().replace('.000Z', 'Z') : undefined;
    }
    case 'ref': {
      const shape = structOf(type);
      return shape ? readStruct(inner, shape) : undefined;
    }
    default:
      return undefined;
  }
}

/** DeleteOptions (meta/v1), the one body without a kind of its own here: 1 grace period, 4 propagation policy, 5 dry run. */
function readOptions(bytes: Buffer, kind: string): JsonObject {
  if (kind !== 'DeleteOptions') throw badRequest(`no kind "${kind}" can be read from protobuf`);
  const out: JsonObject = {};
  const dryRun: string[] = [];
  for (const { number, value, bytes: inner } of fields(bytes)) {
    if (number === 1) out.gracePeriodSeconds = Number(value);
    else if (number === 4 && inner) out.propagationPolicy = inner.toString('utf8');
    else if (number === 5 && inner) dryRun.push(inner.toString('utf8'));
  }
  return dryRun.length > 0 ? { ...out, dryRun } : out;
}
