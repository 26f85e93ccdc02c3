/** A scripted HTTP server for tests of the Kubernetes client: answers what the test says, remembers what it was asked. */
import * as http from 'node:http';
import * as https from 'node:https';
import type { AddressInfo } from 'node:net';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
  /** Whether it is a WatchList, a watch from a version, or neither. */
  readonly kind: 'watch-list' | 'watch' | 'call';
}

export type Handler = (asked: Asked, response: http.ServerResponse, number: number) => void;

export interface ScriptedServer {
  readonly url: string;
  readonly asked: Asked[];
  handle: Handler;
  close(): Promise<void>;
}

export async function scriptedServer(handle: Handler, tls?: https.ServerOptions): Promise<ScriptedServer> {
  const asked: Asked[] = [];
  const listener = (request: http.IncomingMessage, response: http.ServerResponse): void => {
    let body = '';
    request.on('data', (chunk) => (body += chunk));
    request.on('end', () => {
      const url = new URL(request.url ?? '/', 'http://server');
      const query = url.searchParams;
      const initial = query.get('sendInitialEvents') === 'true';
      const kind = query.get('watch') !== 'true' ? 'call' : initial ? 'watch-list' : 'watch';
      const { method = '', headers } = request;
      const one = { method, path: url.pathname, query, headers, body, kind } as const;
      asked.push(one);
      server.handle(one, response, asked.length);
    });
  };
  const inner = tls ? https.createServer(tls, listener) : http.createServer(listener);
  await new Promise<void>((resolve) => inner.listen(0, '127.0.0.1', resolve));
  const { port } = inner.address() as AddressInfo;
  const server: ScriptedServer = {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    asked,
    handle,
    async close() {
      inner.closeAllConnections();
      await new Promise((resolve) => inner.close(resolve));
    },
  };
  return server;
}

export function reply(
  response: http.ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

/** A Kubernetes Status, as errors are answered. */
export function status(code: number, reason: string, message: string, details?: object) {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message, details };
}

/** One line of a watch. */
export const line = (type: string, object: unknown): string => `${JSON.stringify({ type, object })}\n`;

export const bookmark = (resourceVersion: string, end = false): string =>
  line('BOOKMARK', {
    kind: 'Node',
    metadata: { resourceVersion, ...(end && { annotations: { 'k8s.io/initial-events-end': 'true' } }) },
  });

/** A Node as an API server would show it, small. */
export function rawNode(name: string, resourceVersion: string, podCidr = '10.1.1.0/24') {
  return {
    kind: 'Node',
    apiVersion: 'v1',
    metadata: { name, uid: `uid-${name}`, resourceVersion, creationTimestamp: '2026-01-02T03:04:05Z' },
    spec: { podCIDR: podCidr, podCIDRs: [podCidr] },
    status: { addresses: [{ type: 'InternalIP', address: '192.0.2.1' }] },
  };
}
