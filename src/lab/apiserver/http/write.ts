import { parse as parseYaml } from 'yaml';
import { ensure, isObject, type Json, type JsonObject, meta, parseObject, sub, text } from '../json.ts';
import type { Lifecycle, Part, WriteOptions } from '../lifecycle.ts';
import { apply } from '../patch/apply.ts';
import { jsonPatch } from '../patch/json-patch.ts';
import type { Writer } from '../patch/managers.ts';
import { mergePatch } from '../patch/merge-patch.ts';
import { strategicPatch } from '../patch/strategic.ts';
import { apiVersion, type Resource } from '../resources.ts';
import { decode } from '../schema/decode.ts';
import { duplicateFields } from '../schema/duplicates.ts';
import { struct } from '../schema/notation.ts';
import {
  badRequest,
  conflict,
  invalidOption,
  notFound,
  required,
  StatusError,
  unsupported,
} from '../status.ts';
import { fromStored, toStored } from '../view/convert.ts';
import { parseObjectBody } from './request.ts';

/** A write as it came, with the resource resolved. */
export interface WriteRequest {
  readonly resource: Resource;
  readonly namespace: string;
  readonly name: string;
  readonly part: Part;
  readonly query: URLSearchParams;
  readonly body: string;
  readonly contentType: string;
  readonly userAgent: string;
}

/** What a write answers: the object, its status code, and warnings for the client's terminal. */
export interface WriteResult {
  readonly object: JsonObject;
  readonly status: number;
  readonly warnings: readonly string[];
}

const applyTypes = ['application/apply-patch+yaml', 'application/apply-patch+cbor'];

/** Create, update and patch: reads bodies by their schema, and leaves the rules of life to the lifecycle. */
export class Writes {
  readonly #lifecycle: Lifecycle;

  constructor(lifecycle: Lifecycle) {
    this.#lifecycle = lifecycle;
  }

  create(request: WriteRequest): WriteResult {
    const { resource: r, namespace, query } = request;
    const options = this.#options(request, 'CreateOptions', 'Update');
    const body = parseObjectBody(request.body, request.contentType, r.kind);
    const { object, warnings } = this.#decode(r, body, query, { source: request.body, parsed: body });
    const stored = this.#stored(r);
    return {
      object: this.#lifecycle.create(stored, namespace, toStored(r, stored, object), options),
      status: 201,
      warnings,
    };
  }

  update(request: WriteRequest): WriteResult {
    const { resource: r, name, namespace, query } = request;
    const options = this.#options(request, 'UpdateOptions', 'Update');
    const body = parseObjectBody(request.body, request.contentType, r.kind);
    const { object, warnings } = this.#decode(r, body, query, { source: request.body, parsed: body });
    this.#checkName(object, name, namespace);
    const stored = this.#stored(r);
    const entry = this.#lifecycle.find(r, namespace, name);
    const result = this.#lifecycle.update(stored, entry, toStored(r, stored, object), request.part, options);
    return { object: result, status: 200, warnings };
  }

  patch(request: WriteRequest): WriteResult {
    const { resource: r, namespace, name, query, contentType } = request;
    if (applyTypes.includes(contentType)) return this.#apply(request);
    const change = patchKinds[contentType];
    if (!change) throw new StatusError(415, 'UnsupportedMediaType', '415: Unsupported Media Type', {});
    if (r.custom && contentType === 'application/strategic-merge-patch+json') {
      throw new StatusError(
        415,
        'UnsupportedMediaType',
        'the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml',
        {},
      );
    }
    const options = this.#options(request, 'PatchOptions', 'Update');
    let patch: Json;
    try {
      patch = JSON.parse(request.body) as Json;
    } catch (cause) {
      throw badRequest(`error decoding patch: ${cause instanceof Error ? cause.message : ''}`);
    }
    const entry = this.#lifecycle.find(r, namespace, name);
    const patched = change(fromStored(r, parseObject(entry.json)), patch, r);
    const { object, warnings } = this.#decode(r, patched, query, { source: request.body, parsed: patch });
    const metadata = ensure(object, 'metadata');
    if (text(metadata.name) !== name)
      throw badRequest('the name of the object does not match the name on the URL');
    if (text(metadata.resourceVersion) === '') metadata.resourceVersion = String(entry.revision);
    const stored = this.#stored(r);
    const result = this.#lifecycle.update(stored, entry, toStored(r, stored, object), request.part, options);
    return { object: result, status: 200, warnings };
  }

  #apply(request: WriteRequest): WriteResult {
    const { resource: r, namespace, name, query, part } = request;
    const options = this.#options(request, 'PatchOptions', 'Apply');
    if ((query.get('fieldManager') ?? '') === '') {
      throw invalidOption('PatchOptions', required('fieldManager', 'is required for apply patch'));
    }
    const config = parseYaml(request.body) as Json;
    if (!isObject(config)) throw badRequest('error decoding YAML: not an object');
    const { object, warnings } = this.#decode(r, config, query, { source: request.body, parsed: config });
    if (meta(config).managedFields !== undefined) throw badRequest('metadata.managedFields must be nil');
    this.#checkName(object, name, namespace);
    const key = namespace === '' ? name : `${namespace}/${name}`;
    const entry = this.#lifecycle.store.get(r.storage, key);
    // What this path may not write is not owned through it either.
    if (r.status && part === 'main') delete object.status;
    if (part === 'status')
      for (const field of Object.keys(object)) if (!statusParts.includes(field)) delete object[field];
    const live = entry ? parseObject(entry.json) : undefined;
    if (!live && part === 'status') throw notFound(r, name);
    const wantedVersion = text(meta(object).resourceVersion);
    if (wantedVersion !== '' && live && wantedVersion !== String(entry?.revision)) throw conflict(r, name);
    delete ensure(object, 'metadata').resourceVersion;
    const merged = apply({
      live,
      config: object,
      type: struct(r.type),
      writer: options.writer,
      force: query.get('force') === 'true',
    });
    if (!entry) {
      ensure(merged, 'metadata').name = name;
      return { object: this.#lifecycle.create(r, namespace, merged, options), status: 201, warnings };
    }
    return { object: this.#lifecycle.update(r, entry, merged, part, options), status: 200, warnings };
  }

  #stored(r: Resource): Resource {
    return r.custom ? r : (this.#lifecycle.resources.stored(r.storage) ?? r);
  }

  #options(
    { resource, part, query, userAgent }: WriteRequest,
    kind: string,
    operation: Writer['operation'],
  ): WriteOptions {
    const dryRun = query.getAll('dryRun').filter((value) => value !== '');
    if (dryRun.some((value) => value !== 'All'))
      throw invalidOption(kind, unsupported('dryRun', dryRun, ['All']));
    const validation = query.get('fieldValidation') ?? '';
    if (!['', 'Strict', 'Warn', 'Ignore'].includes(validation)) {
      throw invalidOption(kind, unsupported('fieldValidation', validation, ['', 'Ignore', 'Strict', 'Warn']));
    }
    return {
      dryRun: dryRun.length > 0,
      writer: {
        name: query.get('fieldManager') || userAgent.split('/')[0] || 'unknown',
        operation,
        apiVersion: apiVersion(resource),
        subresource: part === 'status' ? 'status' : '',
        time: this.#lifecycle.now(),
      },
    };
  }

  #decode(
    r: Resource,
    body: JsonObject,
    query: URLSearchParams,
    { source, parsed }: { readonly source: string; readonly parsed: Json },
  ): { object: JsonObject; warnings: string[] } {
    const version = apiVersion(r);
    const [kind, given] = [text(body.kind) || r.kind, text(body.apiVersion) || version];
    const wrongVersion =
      given === version ? `converting (v1.${kind}) to (core.${r.kind}): unknown conversion` : undefined;
    if (kind !== r.kind || given !== version) {
      throw badRequest(
        `${kind} in version "${given}" cannot be handled as a ${r.kind}: ${wrongVersion ?? `no kind "${kind}" is registered for version "${given}" in scheme "fairlead/lab"`}`,
      );
    }
    const { object, complaints } = decode(body, struct(r.type), r.kind, r.version);
    // The status of these is not part of the notation's types for writing, and unknown to no one.
    const validation = query.get('fieldValidation') ?? '';
    if (validation === 'Ignore') return { object, warnings: [] };
    const all = [...complaints, ...(source.startsWith('{') ? duplicateFields(source, parsed) : [])];
    if (validation === 'Strict' && all.length > 0) {
      throw badRequest(
        `${r.kind} in version "${r.version}" cannot be handled as a ${r.kind}: strict decoding error: ${all.join(', ')}`,
      );
    }
    return { object, warnings: validation === 'Warn' || validation === '' ? all : [] };
  }

  #checkName(object: JsonObject, name: string, namespace: string): void {
    const metadata = sub(object, 'metadata');
    const own = text(metadata.name);
    if (own !== name) {
      const why =
        own === ''
          ? 'name must be provided'
          : `the name of the object (${own}) does not match the name on the URL (${name})`;
      throw badRequest(why);
    }
    const ownNamespace = text(metadata.namespace);
    if (ownNamespace !== '' && ownNamespace !== namespace) {
      throw badRequest(
        `the namespace of the object (${ownNamespace}) does not match the namespace on the URL (${namespace})`,
      );
    }
  }
}

const statusParts = ['apiVersion', 'kind', 'metadata', 'status'];

const patchKinds: Readonly<Record<string, (object: JsonObject, patch: Json, r: Resource) => JsonObject>> = {
  'application/json-patch+json': (object, patch) => jsonPatch(object, patch),
  'application/merge-patch+json': (object, patch) => mergePatch(object, patch),
  'application/strategic-merge-patch+json': (object, patch, r) =>
    strategicPatch(object, patch, struct(r.type)),
};
