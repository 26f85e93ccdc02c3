import * as http from 'node:http';
import * as https from 'node:https';
import type { Material } from './connection.ts';
import { ConnectionError, connectionError } from './errors.ts';

/** One exchange with the server, below all knowledge of Kubernetes. */
export interface Exchange {
  readonly method: string;
  /** Path and query, beginning with a slash. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  /** Longest silence before the answer's head, and within the body of an ordinary answer; milliseconds. */
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  /** The body may pause for any length of time; its connection is not shared with other requests' kind. */
  readonly watch: boolean;
  /** Given every piece of a 2xx body as it comes; absent = the body is collected. */
  readonly onBytes?: (chunk: Buffer) => void;
}

export interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  /** The body, empty when it went to `onBytes`. */
  readonly body: string;
}

const LARGEST_BODY = 256 * 1024 * 1024;
const KEEP_ALIVE = { keepAlive: true, keepAliveMsecs: 15_000, timeout: 120_000 };

/** Connections to one server. Watches have their own pool, so that they only ever reuse a connection whose last watch ended well. */
export class Transport {
  readonly #agents = {
    http: { call: new http.Agent(KEEP_ALIVE), stream: new http.Agent(KEEP_ALIVE) },
    https: { call: new https.Agent(KEEP_ALIVE), stream: new https.Agent(KEEP_ALIVE) },
  };

  /** Throws `ConnectionError` when no whole answer came. */
  async send(material: Material, exchange: Exchange): Promise<Answer> {
    try {
      return await this.#once(material, exchange);
    } catch (error) {
      if (exchange.signal?.aborted) throw exchange.signal.reason;
      // An idle connection that the server had closed: nothing was answered, so one more try on a new one (RFC 9112 section 9.3.1).
      if (error instanceof StaleConnection && exchange.method !== 'POST') {
        this.dropIdle();
        return await this.#once(material, exchange);
      }
      throw connectionError(error, material.server.host);
    }
  }

  /** Closes connections that nobody uses: after one went silent the others lead down the same dead path. */
  dropIdle(): void {
    for (const { call, stream } of Object.values(this.#agents)) {
      for (const agent of [call, stream]) {
        for (const sockets of Object.values(agent.freeSockets)) for (const s of sockets ?? []) s.destroy();
      }
    }
  }

  close(): void {
    for (const { call, stream } of Object.values(this.#agents)) {
      call.destroy();
      stream.destroy();
    }
  }

  #once(material: Material, exchange: Exchange): Promise<Answer> {
    const { server, tls } = material;
    const secure = server.protocol === 'https:';
    const agents = secure ? this.#agents.https : this.#agents.http;
    return new Promise<Answer>((resolve, reject) => {
      const request = (secure ? https : http).request({
        agent: exchange.watch ? agents.stream : agents.call,
        hostname: server.hostname.replace(/^\[|\]$/g, ''),
        port: server.port || (secure ? 443 : 80),
        method: exchange.method,
        path: `${server.pathname.replace(/\/$/, '')}${exchange.path}`,
        headers: headersOf(material, exchange),
        ...(exchange.signal && { signal: exchange.signal }),
        ...(secure && tls),
      });
      const timer = setTimeout(() => request.destroy(silence(server, exchange)), exchange.timeout);
      let answered = false;
      const fail = (cause: unknown): void => {
        clearTimeout(timer);
        request.destroy();
        reject(
          !answered && isStale(cause, request)
            ? new StaleConnection('kube-connection', STALE, { cause })
            : cause,
        );
      };
      request.on('error', fail);
      request.on('response', (response) => {
        clearTimeout(timer);
        answered = true;
        receive(response, exchange, server).then(resolve, fail);
      });
      request.end(exchange.body);
    });
  }
}

class StaleConnection extends ConnectionError {}

/** Reads an answer to its end, or hands it on piece by piece. */
function receive(response: http.IncomingMessage, exchange: Exchange, server: URL): Promise<Answer> {
  const status = response.statusCode ?? 0;
  const header = response.headers['retry-after'];
  const answer = { status, retryAfter: header };
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let size = 0;
    const stream = status < 300 ? exchange.onBytes : undefined;
    if (!exchange.watch)
      response.setTimeout(exchange.timeout, () => response.destroy(silence(server, exchange)));
    response.on('data', (chunk: Buffer) => {
      try {
        if (stream) return stream(chunk);
        size += chunk.length;
        if (size > LARGEST_BODY)
          throw new ConnectionError('kube-connection', `an answer exceeds ${LARGEST_BODY} bytes`);
        pieces.push(chunk);
      } catch (error) {
        reject(error);
        response.destroy();
      }
    });
    response.on('error', reject);
    response.on('end', () => resolve({ ...answer, body: Buffer.concat(pieces).toString('utf8') }));
    response.on('close', () => reject(brokenOff(server)));
  });
}

function headersOf(material: Material, exchange: Exchange): Record<string, string> {
  return {
    accept: 'application/json',
    'user-agent': 'fairlead',
    ...exchange.headers,
    ...(material.authorization !== undefined && { authorization: material.authorization }),
    ...(exchange.body !== undefined && { 'content-length': String(Buffer.byteLength(exchange.body)) }),
  };
}

const STALE = 'an idle connection had been closed';

function isStale(cause: unknown, request: http.ClientRequest): boolean {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return request.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE');
}

function silence(server: URL, exchange: Exchange): ConnectionError {
  const seconds = Math.round(exchange.timeout / 1000);
  return new ConnectionError(
    'kube-timeout',
    `the API server ${server.host} did not answer within ${seconds} s`,
  );
}

function brokenOff(server: URL): ConnectionError {
  return new ConnectionError(
    'kube-connection',
    `the API server ${server.host} broke off in the middle of an answer`,
  );
}
