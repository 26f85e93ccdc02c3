import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { CustomResources } from '../admission/custom.ts';
import { aggregated, coreVersions, groupList, oneGroup, resourceList, version } from '../discovery.ts';
import type { JsonObject } from '../json.ts';
import type { Lifecycle } from '../lifecycle.ts';
import { openApiV2, openApiV2Protobuf, openApiV3, openApiV3Index } from '../openapi.ts';

export function sendText(
  response: ServerResponse,
  status: number,
  body: string | Buffer,
  type = 'text/plain; charset=utf-8',
  headers: OutgoingHttpHeaders = {},
): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-cache, private',
    ...headers,
  });
  response.end(body);
}

/** The answer to a write, with warnings that the client's terminal shows. */
export function sendObject(
  response: ServerResponse,
  status: number,
  body: string,
  warnings: readonly string[] = [],
): void {
  const headers: OutgoingHttpHeaders = {};
  if (warnings.length > 0) headers.warning = [...warnings].join(', ');
  sendText(response, status, body, 'application/json', headers);
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: JsonObject,
  headers: OutgoingHttpHeaders = {},
): void {
  sendText(response, status, JSON.stringify(body), 'application/json', headers);
}

export interface StaticOptions {
  readonly lifecycle: Lifecycle;
  readonly custom: CustomResources;
}

const protobufV2 = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';

/** Health, version, discovery and OpenAPI. Returns false when the path is none of these. */
export function sendStatic(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  { lifecycle, custom }: StaticOptions,
): boolean {
  if (/^\/(healthz|readyz|livez)(\/|$)/.test(path)) {
    sendText(response, 200, 'ok');
    return true;
  }
  if (path === '/openapi/v2') {
    if ((request.headers.accept ?? '').includes('protobuf'))
      sendText(response, 200, openApiV2Protobuf(), protobufV2);
    else sendJson(response, 200, openApiV2);
    return true;
  }
  const { resources } = lifecycle;
  const wanted = /g=apidiscovery\.k8s\.io;v=(v2(?:beta1)?);as=APIGroupDiscoveryList/.exec(
    request.headers.accept ?? '',
  );
  if ((path === '/api' || path === '/apis') && wanted) {
    const body = JSON.stringify(aggregated(resources, path === '/api', wanted[1] ?? 'v2'));
    sendText(response, 200, body, `application/json;${wanted[0]}`);
    return true;
  }
  const parts = path.split('/').filter((part) => part !== '');
  const body = document(parts, { lifecycle, custom });
  if (body === undefined) return false;
  sendJson(response, 200, body);
  return true;
}

function document(parts: readonly string[], { lifecycle, custom }: StaticOptions): JsonObject | undefined {
  const { resources } = lifecycle;
  const [first, second, ...rest] = parts;
  if (first === 'version' && parts.length === 1) return version;
  if (first === 'openapi' && second === 'v3') {
    if (rest.length === 0) return openApiV3Index(resources);
    return openApiV3(resources, rest.slice(1).join('/'), (r) => custom.version(r)?.schema);
  }
  if (first === 'api' && parts.length <= 2)
    return second === undefined ? coreVersions : resourceList(resources, second);
  if (first !== 'apis' || parts.length > 3) return undefined;
  if (second === undefined) return groupList(resources);
  return rest[0] === undefined
    ? oneGroup(resources, second)
    : resourceList(resources, `${second}/${rest[0]}`);
}
