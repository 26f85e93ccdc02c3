import type { IncomingMessage } from 'node:http';
import { parse as parseYaml } from 'yaml';
import { isObject, type Json, type JsonObject } from '../json.ts';
import { decodeProtobuf } from '../schema/protobuf.ts';
import { badRequest, StatusError } from '../status.ts';
import type { IncludeObject } from '../view/table.ts';
import type { Form } from '../view/view.ts';

/** A path below /api or /apis, taken apart. */
export interface Target {
  readonly groupVersion: string;
  readonly namespace: string;
  readonly plural: string;
  readonly name: string;
  readonly subresource: string;
}

/** `/api/v1/namespaces/x/pods/y/status` and its kind; undefined when the path is no resource's. */
export function parseTarget(path: string): Target | undefined {
  const parts = path.split('/').filter((part) => part !== '');
  const core = parts[0] === 'api';
  if (!core && parts[0] !== 'apis') return undefined;
  const groupVersion = core ? parts[1] : `${parts[1]}/${parts[2]}`;
  let rest = parts.slice(core ? 2 : 3).map(decodeURIComponent);
  if (groupVersion === undefined || rest.length === 0) return undefined;
  let namespace = '';
  // `namespaces/x` is the namespace itself, and so are its subresources.
  if (
    rest[0] === 'namespaces' &&
    rest.length > 2 &&
    !(core && ['status', 'finalize'].includes(rest[2] ?? ''))
  ) {
    namespace = rest[1] ?? '';
    rest = rest.slice(2);
  }
  const [plural = '', name = '', ...more] = rest;
  return { groupVersion, namespace, plural, name, subresource: more.join('/') };
}

const protobuf = 'application/vnd.kubernetes.protobuf';
const bodyLimit = 3 * 1024 * 1024;

/** The request's body as JSON or YAML text. 413 above 3 MiB, as on the real server. */
export async function readBody(request: IncomingMessage): Promise<string> {
  const bytes = await bytesOf(request);
  // Everything after this sees JSON.
  return mediaType(request) === protobuf && bytes.length > 0
    ? JSON.stringify(decodeProtobuf(bytes))
    : bytes.toString('utf8');
}

function bytesOf(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      chunks.push(chunk);
      if (size <= bodyLimit) return;
      request.pause();
      reject(new StatusError(413, 'RequestEntityTooLarge', `limit is ${bodyLimit}`));
    });
    request.once('end', () => resolve(Buffer.concat(chunks)));
    request.once('error', reject);
  });
}

export const mediaType = (request: IncomingMessage): string =>
  (request.headers['content-type'] ?? 'application/json').split(';')[0]?.trim().toLowerCase() ?? '';

/** Reads JSON, or YAML where the content type says so. */
function parseBody(source: string, type: string, kind: string): Json {
  try {
    if (type.includes('yaml')) return parseYaml(source) as Json;
    return JSON.parse(source) as Json;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw badRequest(
      `the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind; json parse error: ${why}`,
    );
  }
}

export function parseObjectBody(source: string, type: string, kind: string): JsonObject {
  const value = parseBody(source, type, kind);
  if (!isObject(value))
    throw badRequest(`the object provided is unrecognized (must be of type ${kind}): not an object`);
  return value;
}

/** What `Accept` asks for, of what we have. */
export function formOf(request: IncomingMessage): Form {
  for (const part of (request.headers.accept ?? '*/*').split(',')) {
    const type = part.trim();
    if (type.includes('as=Table')) {
      if (type.startsWith('application/json')) return 'table';
    } else if (type.includes('as=PartialObjectMetadata')) {
      if (type.startsWith('application/json')) return 'partial';
    } else if (/^(application\/(json|yaml|\*)|\*\/\*)/.test(type)) return 'object';
  }
  throw new StatusError(
    406,
    'NotAcceptable',
    'only the following media types are accepted: application/json, application/yaml',
  );
}

export function includeOf(query: URLSearchParams): IncludeObject {
  const wanted = query.get('includeObject') ?? 'Metadata';
  return wanted === 'Object' || wanted === 'None' ? wanted : 'Metadata';
}

export const isTrue = (value: string | null): boolean => value === 'true' || value === '1';
