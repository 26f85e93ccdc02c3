import { request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { FairleadError } from '../../model/errors.ts';

/** How the lab itself reaches its API server: through a unix socket, which no fault touches. */
export interface ApiAccess {
  readonly socketPath: string;
  readonly tls: boolean;
  readonly token: string;
}

/** An object of the Kubernetes API, as far as the lab reads it. */
export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly creationTimestamp?: string;
    readonly deletionTimestamp?: string;
    readonly deletionGracePeriodSeconds?: number;
  };
}

interface List<T> {
  readonly metadata: { readonly resourceVersion?: string };
  readonly items: readonly T[];
}

interface WatchEvent<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: T;
}

/** An answer of the API server that is not 2xx. `status` is the HTTP status code. */
export class ApiError extends FairleadError {
  readonly status: number;

  constructor(status: number, method: string, path: string, message: string) {
    super(`lab-api-${status}`, `${method} ${path}: ${status} ${message}`);
    this.status = status;
  }
}

export const MERGE = 'application/merge-patch+json';
export const STRATEGIC = 'application/strategic-merge-patch+json';

/** A few verbs of the Kubernetes API, for the lab's own hands (kubelet, scheduler, tests). The agent has a client of its own. */
export class LabApi {
  readonly #access: ApiAccess;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 16, rejectUnauthorized: false });

  constructor(access: ApiAccess) {
    this.#access = access;
  }

  async get<T = KubeObject>(path: string): Promise<T> {
    return this.call<T>('GET', path);
  }

  async list<T = KubeObject>(path: string): Promise<readonly T[]> {
    return (await this.call<List<T>>('GET', path)).items;
  }

  async create<T = KubeObject>(path: string, body: unknown): Promise<T> {
    return this.call<T>('POST', path, body);
  }

  async patch<T = KubeObject>(path: string, body: unknown, type: string = MERGE): Promise<T> {
    return this.call<T>('PATCH', path, body, type);
  }

  async delete(path: string, options: unknown = {}): Promise<void> {
    await this.call('DELETE', path, options);
  }

  async call<T>(method: string, path: string, body?: unknown, type = 'application/json'): Promise<T> {
    const response = await this.#send(method, path, body, type);
    const text = await textOf(response);
    const status = response.statusCode ?? 0;
    if (status < 200 || status > 299) throw new ApiError(status, method, path, messageOf(text));
    return (text === '' ? {} : JSON.parse(text)) as T;
  }

  /** Lists, then watches, for ever, until `signal` says stop. `onSync` gets each full list, `onEvent` each change after it. */
  async follow<T extends KubeObject>(
    path: string,
    handlers: {
      onSync(items: readonly T[]): void;
      onEvent(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: T): void;
    },
    signal: AbortSignal,
  ): Promise<void> {
    while (!signal.aborted) {
      try {
        const list = await this.call<List<T>>('GET', path);
        handlers.onSync(list.items);
        await this.#watch<T>(path, list.metadata.resourceVersion ?? '', handlers.onEvent, signal);
      } catch {
        await pause(100, signal);
      }
    }
  }

  async #watch<T extends KubeObject>(
    path: string,
    from: string,
    onEvent: (type: 'ADDED' | 'MODIFIED' | 'DELETED', object: T) => void,
    signal: AbortSignal,
  ): Promise<void> {
    let version = from;
    while (!signal.aborted) {
      const query = `watch=true&allowWatchBookmarks=true&resourceVersion=${version}`;
      const response = await this.#send('GET', `${path}?${query}`, undefined, '', signal);
      if (response.statusCode !== 200)
        throw new ApiError(response.statusCode ?? 0, 'WATCH', path, await textOf(response));
      let rest = '';
      response.setEncoding('utf8');
      for await (const chunk of response) {
        const lines = (rest + String(chunk)).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          const event = JSON.parse(line) as WatchEvent<T>;
          if (event.type === 'ERROR') throw new ApiError(410, 'WATCH', path, line);
          version = event.object.metadata.resourceVersion ?? version;
          if (event.type !== 'BOOKMARK') onEvent(event.type, event.object);
        }
      }
    }
  }

  #send(
    method: string,
    path: string,
    body: unknown,
    type: string,
    signal?: AbortSignal,
  ): Promise<IncomingMessage> {
    const { socketPath, tls, token } = this.#access;
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const options = {
      socketPath,
      method,
      path,
      headers: {
        accept: 'application/json',
        host: 'localhost',
        ...(token ? { authorization: `Bearer ${token}` } : {}),
        ...(payload ? { 'content-type': type, 'content-length': payload.length } : {}),
      },
      // The certificate is the lab's own and the way to it is a file: nobody can stand in between.
      ...(tls ? { agent: this.#agent, rejectUnauthorized: false } : {}),
      ...(signal ? { signal } : {}),
    };
    return new Promise((resolve, reject) => {
      const request = (tls ? httpsRequest : httpRequest)(options, resolve);
      request.once('error', (cause) =>
        reject(new FairleadError('lab-api', `${method} ${path}: ${cause.message}`, { cause })),
      );
      request.end(payload);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

export const isStatus = (error: unknown, status: number): boolean =>
  error instanceof ApiError && error.status === status;

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

function messageOf(text: string): string {
  try {
    return (JSON.parse(text) as { message?: string }).message ?? text;
  } catch {
    return text.slice(0, 200);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(resolve, ms);
    const end = () => {
      clearTimeout(timer);
      resolve();
    };
    signal.addEventListener('abort', end, { once: true });
  });
}
