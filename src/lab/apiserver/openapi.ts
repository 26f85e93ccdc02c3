import { clone, type JsonObject } from './json.ts';
import { apiVersion, type Resource, type Resources } from './resources.ts';
import { descriptions } from './schema/descriptions.ts';
import { type Struct, struct, type Type, types } from './schema/notation.ts';

const prefix = 'io.k8s.api.';
const ref = (name: string): JsonObject => ({ $ref: `#/components/schemas/${prefix}${name}` });

function schemaOf(type: Type): JsonObject {
  switch (type.kind) {
    case 'string':
    case 'boolean':
    case 'integer':
    case 'number':
      return { type: type.kind, default: type.kind === 'string' ? '' : type.kind === 'boolean' ? false : 0 };
    case 'bytes':
      return { type: 'string', format: 'byte' };
    case 'quantity':
    case 'intOrString':
      return { oneOf: [{ type: 'string' }, { type: 'number' }], 'x-kubernetes-int-or-string': true };
    case 'time':
      return { type: 'string', format: 'date-time' };
    case 'any':
      return { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
    case 'ref':
      return {
        allOf: [ref(type.name)],
        default: {},
        ...(type.retainKeys ? { 'x-kubernetes-patch-strategy': 'retainKeys' } : {}),
      };
    case 'map':
      return {
        type: 'object',
        additionalProperties: schemaOf(type.values),
        ...(type.atomic ? { 'x-kubernetes-map-type': 'atomic' } : {}),
      };
    case 'list':
      return { type: 'array', items: schemaOf(type.items), ...listMarks(type) };
  }
}

function listMarks(type: Extract<Type, { kind: 'list' }>): JsonObject {
  const marks: JsonObject = {};
  if (type.merge !== undefined)
    marks['x-kubernetes-patch-strategy'] = type.retainKeys ? 'merge,retainKeys' : 'merge';
  if (type.merge) marks['x-kubernetes-patch-merge-key'] = type.merge;
  marks['x-kubernetes-list-type'] = type.apply === 'set' ? 'set' : type.apply ? 'map' : 'atomic';
  if (type.apply && type.apply !== 'set') marks['x-kubernetes-list-map-keys'] = [...type.apply];
  return marks;
}

function structSchema(shape: Struct): JsonObject {
  const words = descriptions[shape.name] ?? {};
  const properties: JsonObject = {};
  for (const [key, type] of shape.fields) {
    const description = words[key] ?? descriptions['*']?.[key];
    properties[key] = { ...(description === undefined ? {} : { description }), ...schemaOf(type) };
  }
  return {
    type: 'object',
    ...(words[''] === undefined ? {} : { description: words[''] }),
    properties,
    ...(shape.required.size > 0 ? { required: [...shape.required] } : {}),
  };
}

const gvk = (r: Resource): JsonObject => ({ group: r.group, version: r.version, kind: r.kind });

/** The types that these resources reach, by full name. */
function schemas(
  resources: readonly Resource[],
  customSchema: (r: Resource) => JsonObject | undefined,
): JsonObject {
  const out: JsonObject = {};
  const visit = (name: string): void => {
    const shape = struct(name);
    if (!shape || out[prefix + name] !== undefined) return;
    out[prefix + name] = structSchema(shape);
    for (const type of shape.fields.values()) for (const inner of namesIn(type)) visit(inner);
  };
  for (const r of resources) {
    const own = schemaName(r);
    if (r.type === undefined) {
      visit('ObjectMeta');
      const schema = clone(customSchema(r) ?? {});
      const properties = schema.properties as JsonObject | undefined;
      out[prefix + own] = {
        ...schema,
        type: 'object',
        properties: {
          ...properties,
          apiVersion: { type: 'string' },
          kind: { type: 'string' },
          metadata: { allOf: [ref('ObjectMeta')] },
        },
      };
    } else visit(r.type);
    const top = out[prefix + own] as JsonObject | undefined;
    if (top) top['x-kubernetes-group-version-kind'] = [gvk(r)];
  }
  return out;
}

const schemaName = (r: Resource): string => r.type ?? `custom.${r.group}.${r.version}.${r.kind}`;

function namesIn(type: Type): string[] {
  if (type.kind === 'ref') return types().has(type.name) ? [type.name] : [];
  if (type.kind === 'list') return namesIn(type.items);
  return type.kind === 'map' ? namesIn(type.values) : [];
}

const parameter = (name: string): JsonObject => ({
  name,
  in: 'query',
  schema: { type: 'string', uniqueItems: true },
});
const writeParameters = ['dryRun', 'fieldManager', 'fieldValidation', 'force'].map(parameter);

function operation(r: Resource, action: string, write: boolean): JsonObject {
  const body = { content: { 'application/json': { schema: ref(schemaName(r)) } } };
  return {
    operationId: `${action}${r.kind}`,
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': gvk(r),
    ...(write ? { parameters: writeParameters, requestBody: body } : {}),
    responses: { 200: { description: 'OK', ...body } },
  };
}

function paths(resources: readonly Resource[]): JsonObject {
  const out: JsonObject = {};
  for (const r of resources) {
    const root = r.group === '' ? `/api/${r.version}` : `/apis/${apiVersion(r)}`;
    const collection = `${root}${r.namespaced ? '/namespaces/{namespace}' : ''}/${r.plural}`;
    if (r.virtual) {
      out[collection] = { post: operation(r, 'post', true) };
      continue;
    }
    if (r.namespaced) out[`${root}/${r.plural}`] = { get: operation(r, 'list', false) };
    out[collection] = { get: operation(r, 'list', false), post: operation(r, 'post', true) };
    out[`${collection}/{name}`] = {
      get: operation(r, 'get', false),
      put: operation(r, 'put', true),
      patch: operation(r, 'patch', true),
      delete: operation(r, 'delete', false),
    };
  }
  return out;
}

const info: JsonObject = { title: 'Kubernetes', version: 'v1.36.3' };

/** `/openapi/v3/…` of one group version: enough for apply, explain, and strict validation by kubectl. */
export function openApiV3(
  resources: Resources,
  groupVersion: string,
  customSchema: (r: Resource) => JsonObject | undefined,
): JsonObject | undefined {
  const found = resources.all().filter((r) => apiVersion(r) === groupVersion);
  if (found.length === 0) return undefined;
  return {
    openapi: '3.0.0',
    info,
    paths: paths(found),
    components: { schemas: schemas(found, customSchema) },
  };
}

/** `/openapi/v3`: where each group version's document is. */
export function openApiV3Index(resources: Resources): JsonObject {
  const index: JsonObject = {};
  for (const [group, versions] of resources.groups()) {
    for (const v of versions) {
      const path = group === '' ? `api/${v}` : `apis/${group}/${v}`;
      index[path] = { serverRelativeURL: `/openapi/v3/${path}` };
    }
  }
  return { paths: index };
}

/** `/openapi/v2`: no types; clients that still ask it fall back to what they were built with. */
export const openApiV2: JsonObject = { swagger: '2.0', info, paths: {}, definitions: {} };

/** The same as `openapi.v2.Document` in protobuf, the form that client-go reads: fields 1 (swagger), 2 (info), 8 (paths), 9 (definitions). */
export function openApiV2Protobuf(): Buffer {
  const field = (number: number, bytes: Uint8Array): Buffer =>
    Buffer.concat([Uint8Array.of((number << 3) | 2, bytes.length), bytes]);
  const inner = Buffer.concat([field(1, Buffer.from('Kubernetes')), field(2, Buffer.from('v1.36.3'))]);
  return Buffer.concat([
    field(1, Buffer.from('2.0')),
    field(2, inner),
    field(8, Buffer.of()),
    field(9, Buffer.of()),
  ]);
}
