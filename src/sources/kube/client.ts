import { performance } from 'node:perf_hooks';
import type { Clock } from '../../model/clock.ts';
import { Connection, type Material } from './connection.ts';
import { decodeObject, decodePage, type Page } from './decode.ts';
import { ApiError, apiError, ConnectionError } from './errors.ts';
import { type Answer, Transport } from './http.ts';
import { inClusterSettings } from './in-cluster.ts';
import { loadKubeconfig } from './kubeconfig.ts';
import { ItemSplitter } from './list-items.ts';
import { omitting } from './omit.ts';
import type { Raw } from './raw.ts';
import { type ObjectRef, pathOf, type Verb } from './resource.ts';
import type { ServerSettings } from './settings.ts';

/** Where the server is: a kubeconfig file, the pod that we run in, or everything said outright. */
export type KubeClientOptions = (
  | { readonly kubeconfig: string; readonly context?: string }
  | { readonly inCluster: true }
  | ServerSettings
) & {
  readonly clock?: Pick<Clock, 'wall' | 'monotonic'>;
  /** Longest wait for the head of an answer, and longest silence within one; milliseconds. */
  readonly timeout?: number;
};

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** `apply` is server-side apply: the body is the whole of what we want, `fieldManager` is needed. */
export type PatchKind = 'json' | 'merge' | 'strategic' | 'apply';

const PATCH_TYPES: Readonly<Record<PatchKind, string>> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
};

/**
 * A small Kubernetes client. Objects go in and come out as plain JSON. All methods throw `ApiError` (the server said no),
 * `ConnectionError` (no answer), `DecodeError` (not the API), or a `FairleadError` about credentials; never anything else.
 * A 401 makes it read all credentials anew and try once more.
 */
export interface KubeClient {
  get(ref: ObjectRef, query?: Query): Promise<Raw>;
  /** One page, its items one by one as they come in; `limit` and `continue` go into the query. */
  list(ref: ObjectRef, query: Query, onItem: (item: Raw) => void, signal?: AbortSignal): Promise<Page>;
  /**
   * Opens a watch and hands over its bytes as they come: newline-separated JSON. Resolves when the server ends it;
   * rejects with the signal's reason after an abort.
   */
  watch(ref: ObjectRef, query: Query, onBytes: (chunk: Buffer) => void, signal: AbortSignal): Promise<void>;
  create(ref: ObjectRef, body: unknown, query?: Query): Promise<Raw>;
  update(ref: ObjectRef, body: unknown, query?: Query): Promise<Raw>;
  patch(ref: ObjectRef, kind: PatchKind, body: unknown, query?: Query): Promise<Raw>;
  delete(ref: ObjectRef, options?: unknown): Promise<Raw>;
  close(): void;
}

const TIMEOUT = 15_000;

/** Makes a client. Files are read at the first request, so that one which is not there yet is an error of that request only. */
export function kubeClient(options: KubeClientOptions): KubeClient {
  const clock = options.clock ?? { wall: () => Date.now(), monotonic: () => performance.now() };
  return new HttpKubeClient(new Connection(() => settingsOf(options), clock), options.timeout ?? TIMEOUT);
}

function settingsOf(options: KubeClientOptions): ServerSettings | Promise<ServerSettings> {
  if ('kubeconfig' in options) return loadKubeconfig(options.kubeconfig, options.context);
  return 'inCluster' in options ? inClusterSettings() : options;
}

interface Call {
  readonly verb: Verb;
  readonly method: string;
  readonly ref: ObjectRef;
  readonly query?: Query | undefined;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
  readonly onBytes?: (chunk: Buffer) => void;
}

class HttpKubeClient implements KubeClient {
  readonly #connection: Connection;
  readonly #transport = new Transport();
  readonly #timeout: number;

  constructor(connection: Connection, timeout: number) {
    this.#connection = connection;
    this.#timeout = timeout;
  }

  get(ref: ObjectRef, query?: Query): Promise<Raw> {
    return this.#object({ verb: 'get', method: 'GET', ref, query });
  }

  async list(ref: ObjectRef, query: Query, onItem: (item: Raw) => void, signal?: AbortSignal): Promise<Page> {
    const splitter = new ItemSplitter((text) => onItem(decodeObject(omitting(text, ref.unread ?? []))));
    const onBytes = (chunk: Buffer): void => splitter.push(chunk);
    await this.#call({ verb: 'list', method: 'GET', ref, query, signal, onBytes });
    return decodePage(decodeObject(splitter.end()));
  }

  async watch(
    ref: ObjectRef,
    query: Query,
    onBytes: (chunk: Buffer) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const all = { ...query, watch: true };
    await this.#call({ verb: 'watch', method: 'GET', ref, query: all, onBytes, signal });
  }

  create(ref: ObjectRef, body: unknown, query?: Query): Promise<Raw> {
    return this.#object({ verb: 'create', method: 'POST', ref, body, query });
  }

  update(ref: ObjectRef, body: unknown, query?: Query): Promise<Raw> {
    return this.#object({ verb: 'update', method: 'PUT', ref, body, query });
  }

  patch(ref: ObjectRef, kind: PatchKind, body: unknown, query?: Query): Promise<Raw> {
    return this.#object({ verb: 'patch', method: 'PATCH', ref, body, contentType: PATCH_TYPES[kind], query });
  }

  delete(ref: ObjectRef, options?: unknown): Promise<Raw> {
    return this.#object({ verb: 'delete', method: 'DELETE', ref, body: options });
  }

  close(): void {
    this.#transport.close();
  }

  async #object(call: Call): Promise<Raw> {
    return decodeObject((await this.#call(call)).body);
  }

  async #call(call: Call): Promise<Answer> {
    try {
      return await this.#attempt(call);
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        this.#connection.refused();
        return await this.#attempt(call);
      }
      if (error instanceof ConnectionError || call.signal?.aborted) this.#transport.dropIdle();
      // The CA may have been renewed together with the server's certificate.
      if (error instanceof ConnectionError && error.code === 'kube-tls') this.#connection.refused();
      throw error;
    }
  }

  async #attempt(call: Call): Promise<Answer> {
    const material = await this.#connection.material();
    const answer = await this.#transport.send(material, {
      method: call.method,
      path: `${pathOf(call.ref)}${queryText(call.query)}`,
      headers: call.body === undefined ? {} : { 'content-type': call.contentType ?? 'application/json' },
      body: call.body === undefined ? undefined : JSON.stringify(call.body),
      timeout: this.#timeout,
      signal: call.signal,
      watch: call.verb === 'watch',
      ...(call.onBytes && { onBytes: call.onBytes }),
    });
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw apiError(answer.status, answer.body, answer.retryAfter, this.#asked(call, answer.status, material));
  }

  #asked(call: Call, status: number, material: Material) {
    const credentials = status === 401 ? this.#connection.explain(material) : undefined;
    return { verb: call.verb, ref: call.ref, credentials };
  }
}

function queryText(query: Query | undefined): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined) search.set(name, String(value));
  }
  const joined = search.toString();
  return joined === '' ? '' : `?${joined}`;
}
