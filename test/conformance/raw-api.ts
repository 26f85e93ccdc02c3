import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';

/** A server that the suite runs against, and how to compact its history (etcd's for the real one). */
export interface RawServer {
  readonly url: string;
  readonly token?: string | undefined;
  readonly ca?: string | undefined;
  compact?(revision: number): Promise<void> | void;
}

// biome-ignore lint/suspicious/noExplicitAny: answers are asserted on, field by field
export type Body = any;

export interface Answer {
  readonly status: number;
  readonly body: Body;
  readonly headers: IncomingMessage['headers'];
}

export const kinds = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

/** Bare HTTP, so that what is tested is the server and not a client of ours. */
export class RawApi {
  readonly #server: RawServer;

  constructor(server: RawServer) {
    this.#server = server;
  }

  get canCompact(): boolean {
    return this.#server.compact !== undefined;
  }

  async compact(revision: number): Promise<void> {
    await this.#server.compact?.(revision);
  }

  #open(
    method: string,
    path: string,
    headers: Record<string, string>,
    body?: string,
  ): Promise<IncomingMessage> {
    const { url, token, ca } = this.#server;
    const make = url.startsWith('https') ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      const request = make(
        new URL(path, url),
        {
          method,
          agent: false,
          ...(ca === undefined ? { rejectUnauthorized: false } : { ca }),
          headers: {
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
            // Node.js does not frame the body of a DELETE on its own.
            ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
            ...headers,
          },
        },
        resolve,
      );
      request.on('error', reject);
      request.end(body);
    });
  }

  async ask(
    method: string,
    path: string,
    body?: unknown,
    type = 'application/json',
    accept = 'application/json',
  ): Promise<Answer> {
    const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    const answer = await this.#open(
      method,
      path,
      { 'content-type': type, accept, 'user-agent': 'suite/1' },
      text,
    );
    answer.setEncoding('utf8');
    let source = '';
    for await (const chunk of answer) source += chunk;
    let parsed: Body = source;
    try {
      parsed = JSON.parse(source);
    } catch {
      // Plain text answers stay text.
    }
    return { status: answer.statusCode ?? 0, body: parsed, headers: answer.headers };
  }

  get(path: string): Promise<Answer> {
    return this.ask('GET', path);
  }
  post(path: string, body: unknown): Promise<Answer> {
    return this.ask('POST', path, body);
  }
  put(path: string, body: unknown): Promise<Answer> {
    return this.ask('PUT', path, body);
  }
  delete(path: string, body?: unknown): Promise<Answer> {
    return this.ask('DELETE', path, body);
  }
  patch(kind: keyof typeof kinds, path: string, body: unknown): Promise<Answer> {
    return this.ask('PATCH', path, body, kinds[kind]);
  }

  /** Opens a watch. */
  async watch(path: string, accept = 'application/json'): Promise<Watch> {
    const answer = await this.#open('GET', path, { accept });
    return new Watch(answer);
  }
}

/** The events of one watch, read in order. */
export class Watch {
  readonly status: number;
  readonly #lines: Body[] = [];
  readonly #answer: IncomingMessage;
  #ended = false;
  #wake: () => void = () => {};

  constructor(answer: IncomingMessage) {
    this.#answer = answer;
    this.status = answer.statusCode ?? 0;
    let rest = '';
    answer.setEncoding('utf8');
    answer.on('data', (chunk: string) => {
      const parts = (rest + chunk).split('\n');
      rest = parts.pop() ?? '';
      for (const part of parts) if (part !== '') this.#lines.push(JSON.parse(part));
      this.#wake();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake();
    };
    answer.on('end', end);
    answer.on('error', end);
    answer.on('close', end);
  }

  /** The next event, or undefined when the stream ended. Fails after a minute. */
  async next(): Promise<Body | undefined> {
    while (this.#lines.length === 0 && !this.#ended) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('no watch event within a minute')), 60_000);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return this.#lines.shift();
  }

  /** The next events that are no bookmarks, as `TYPE name`. */
  async names(count: number): Promise<string[]> {
    const found: string[] = [];
    while (found.length < count) {
      const event = await this.next();
      if (event === undefined) break;
      if (event.type !== 'BOOKMARK')
        found.push(`${event.type} ${event.object.metadata?.name ?? event.object.reason}`);
    }
    return found;
  }

  close(): void {
    this.#answer.destroy();
  }
}
