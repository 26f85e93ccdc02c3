import { coreTypes } from './core-types.ts';
import { groupTypes } from './groups-types.ts';
import { podTypes } from './pod-types.ts';

/**
 * A compact notation for API types, one type a line (continued by indentation): `Name field:type field!:type …`.
 *
 *     s string   b boolean   i integer   n number   y bytes   q quantity   x int or string   t time   * anything
 *     Name       another type
 *     {T}        map of T;  {T}@ replaced as a whole by server-side apply
 *     [T]        list that is replaced as a whole
 *     [T]~key    list merged by `key` (strategic merge and, unless `/` follows, server-side apply)
 *     [T](a,b)   keys that server-side apply uses, where they differ
 *     [T]~ / =   list of scalars merged as a set by strategic merge / by server-side apply
 *     …#2        the field's number in protobuf; #2.5: number 5 of the embedded message that is number 2
 *     ^          `$retainKeys`: keys not named in the patch go;  Name@ at the line's start: a struct that is one value
 */
export type Type =
  | {
      readonly kind:
        | 'string'
        | 'bytes'
        | 'boolean'
        | 'integer'
        | 'number'
        | 'quantity'
        | 'intOrString'
        | 'time'
        | 'any';
    }
  | { readonly kind: 'ref'; readonly name: string; readonly retainKeys: boolean }
  | { readonly kind: 'map'; readonly values: Type; readonly atomic: boolean }
  | {
      readonly kind: 'list';
      readonly items: Type;
      /** Strategic merge: the key, '' for a set of scalars, undefined for replace. */
      readonly merge: string | undefined;
      /** Server-side apply: keys of an associative list, 'set', or undefined for atomic. */
      readonly apply: readonly string[] | 'set' | undefined;
      readonly retainKeys: boolean;
    };

export interface Struct {
  readonly name: string;
  readonly atomic: boolean;
  readonly fields: ReadonlyMap<string, Type>;
  readonly required: ReadonlySet<string>;
  /** Field names by protobuf number, `2.5` within an embedded message; and the numbers of those messages. */
  readonly numbers: ReadonlyMap<string, string>;
  readonly embedded: ReadonlySet<string>;
}

const scalars: Readonly<Record<string, Type>> = {
  s: { kind: 'string' },
  y: { kind: 'bytes' },
  b: { kind: 'boolean' },
  i: { kind: 'integer' },
  n: { kind: 'number' },
  q: { kind: 'quantity' },
  x: { kind: 'intOrString' },
  t: { kind: 'time' },
  '*': { kind: 'any' },
};

function parseList(source: string): Type {
  const end = source.lastIndexOf(']');
  const items = parseType(source.slice(1, end));
  const marks = source.slice(end + 1);
  const merge = /^~([A-Za-z]*)/.exec(marks)?.[1];
  const keys = /\(([^)]*)\)/.exec(marks)?.[1];
  const set = marks.includes('=');
  const apply = set
    ? 'set'
    : keys !== undefined
      ? keys.split(',')
      : merge && !marks.includes('/')
        ? [merge]
        : undefined;
  return { kind: 'list', items, merge, apply, retainKeys: marks.includes('^') };
}

function parseType(source: string): Type {
  const scalar = scalars[source.replace('@', '')];
  if (scalar) return scalar;
  if (source.startsWith('[')) return parseList(source);
  if (source.startsWith('{')) {
    return {
      kind: 'map',
      values: parseType(source.slice(1, source.lastIndexOf('}'))),
      atomic: source.endsWith('@'),
    };
  }
  return { kind: 'ref', name: source.replace(/[@^]/g, ''), retainKeys: source.includes('^') };
}

function parseTypes(sources: readonly string[]): Map<string, Struct> {
  const types = new Map<string, Struct>();
  for (const line of sources.join('\n').replace(/\n +/g, ' ').split('\n')) {
    const [head, ...fields] = line.split(' ');
    if (!head) continue;
    const name = head.replace('@', '');
    const parsed = new Map<string, Type>();
    const required = new Set<string>();
    const numbers = new Map<string, string>();
    const embedded = new Set<string>();
    for (const field of fields) {
      const colon = field.indexOf(':');
      const key = field.slice(0, colon).replace('!', '');
      const [type = '', number] = field.slice(colon + 1).split('#');
      if (number !== undefined) numbers.set(number, key);
      if (number?.includes('.')) embedded.add(number.split('.')[0] ?? '');
      if (field[colon - 1] === '!') required.add(key);
      parsed.set(key, parseType(type));
    }
    types.set(name, { name, atomic: head.endsWith('@'), fields: parsed, required, numbers, embedded });
  }
  return types;
}

let parsed: Map<string, Struct> | undefined;

/** All built-in types by name; parsed once, at first use. */
export function types(): ReadonlyMap<string, Struct> {
  parsed ??= parseTypes([podTypes, coreTypes, groupTypes]);
  return parsed;
}

/** A built-in type, or undefined for a kind without a schema of its own (custom resources: everything is allowed). */
export const struct = (name: string | undefined): Struct | undefined =>
  name === undefined ? undefined : types().get(name);

/** The struct that a type refers to, if it is one. */
export const structOf = (type: Type | undefined): Struct | undefined =>
  type?.kind === 'ref' ? struct(type.name) : undefined;
