import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { describe, FairleadError } from '../model/errors.ts';

/** Bytes. Some thousands of policies, all tested at once, are the longest that anybody has to say. */
const LARGEST_BODY = 8 << 20;

export interface Request {
  readonly query: URLSearchParams;
  /** The JSON body of a POST. */
  body(): Promise<unknown>;
}

/** What a route answers with: JSON, text, or lines that go on until the other side leaves. */
export type Reply =
  | { readonly json: unknown; readonly status?: number }
  | { readonly text: string; readonly status?: number }
  | { readonly stream: (write: LineWriter) => { close(): void } };

/** Sends one JSON value on its own line. False = the reader is slow: what comes next replaces what is not sent. */
export type LineWriter = (value: unknown) => void;

/** Keys are `METHOD /path`. */
export type Routes = Readonly<Record<string, (request: Request) => Reply | Promise<Reply>>>;

/** `routes` gives `undefined` while the agent is starting: the socket is opened first, because it is the lock. */
export function httpServer(routes: () => Routes | undefined): Server {
  const server = createServer((request, response) => {
    void answer(routes, request, response);
  });
  // A reader that never finishes its request must not hold a descriptor for ever.
  server.requestTimeout = 10_000;
  server.keepAliveTimeout = 5_000;
  return server;
}

async function answer(
  routes: () => Routes | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const url = new URL(request.url ?? '/', 'http://agent');
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    const known = routes();
    if (!known) throw new FairleadError('starting', 'the agent is starting');
    const handle = known[`${method} ${url.pathname}`];
    if (!handle) throw new FairleadError('not-found', `there is no ${method} ${url.pathname}`);
    const reply = await handle({ query: url.searchParams, body: () => readJson(request) });
    if ('stream' in reply) stream(reply.stream, response);
    else if ('json' in reply)
      send(response, reply.status ?? 200, 'application/json', `${JSON.stringify(reply.json)}\n`);
    else send(response, reply.status ?? 200, 'text/plain; version=0.0.4; charset=utf-8', reply.text);
  } catch (error) {
    if (response.headersSent) response.destroy();
    else
      send(response, statusOf(error), 'application/json', `${JSON.stringify({ error: errorBody(error) })}\n`);
  }
}

/** `{code, message, hint}`: what a client shows. */
function errorBody(error: unknown): { code: string; message: string; hint?: string } {
  if (!(error instanceof FairleadError)) return { code: 'internal', message: describe(error) };
  return { code: error.code, message: error.message, ...(error.hint ? { hint: error.hint } : {}) };
}

function statusOf(error: unknown): number {
  if (!(error instanceof FairleadError)) return 500;
  if (error.code === 'not-found') return 404;
  if (error.code === 'too-large') return 413;
  return error.code.startsWith('bad-') ? 400 : 503;
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

function stream(start: (write: LineWriter) => { close(): void }, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  response.flushHeaders();
  // One line may wait while the reader is slow; a newer one takes its place, because each is the whole truth.
  let waiting: unknown;
  let full = false;
  const write: LineWriter = (value) => {
    if (full) waiting = value;
    else full = !response.write(`${JSON.stringify(value)}\n`);
  };
  response.on('drain', () => {
    full = false;
    const value = waiting;
    waiting = undefined;
    if (value !== undefined) write(value);
  });
  const source = start(write);
  response.on('close', () => source.close());
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  // Read to its end, however long: a connection that is closed on a client in the middle of its request takes the answer with it.
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= LARGEST_BODY) chunks.push(chunk);
    else chunks.length = 0;
  }
  if (size > LARGEST_BODY)
    throw new FairleadError('too-large', `the body has ${size} bytes; at most ${LARGEST_BODY} are read`);
  if (size === 0) return {};
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (error) {
    throw new FairleadError('bad-request', 'the body is not JSON', { cause: error });
  }
}
