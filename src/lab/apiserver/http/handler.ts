import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../../../model/clock.ts';
import type { CustomResources } from '../admission/custom.ts';
import type { Faults } from '../faults.ts';
import { type JsonObject, parseObject, text } from '../json.ts';
import type { Lifecycle } from '../lifecycle.ts';
import { apiVersion, type Resource } from '../resources.ts';
import { methodNotAllowed, noSuchResource, StatusError } from '../status.ts';
import { columnsOf } from '../view/table.ts';
import { LineCache, View } from '../view/view.ts';
import { readPage, sendList } from './list.ts';
import {
  formOf,
  includeOf,
  isTrue,
  mediaType,
  parseObjectBody,
  parseTarget,
  readBody,
  type Target,
} from './request.ts';
import { selectionOf } from './selection.ts';
import { accessReview, bind } from './special.ts';
import { sendJson, sendObject, sendStatic, sendText } from './static.ts';
import { WatchStream } from './watch.ts';
import { type WriteRequest, Writes } from './write.ts';

export interface HandlerOptions {
  readonly lifecycle: Lifecycle;
  readonly custom: CustomResources;
  readonly faults: Faults;
  readonly clock: Clock;
  readonly token: string | undefined;
  readonly bookmarkMs: number;
}

const verbs: Readonly<Record<string, string>> = {
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  GET: 'get',
  DELETE: 'delete',
};

/** Answers requests: who asks, which fault is armed, what is asked for. */
export class Handler {
  readonly #options: HandlerOptions;
  readonly #writes: Writes;
  readonly #lines = new LineCache();
  readonly #watches = new Set<WatchStream>();

  constructor(options: HandlerOptions) {
    this.#options = options;
    this.#writes = new Writes(options.lifecycle);
  }

  /** Running watches, for faults that end them. */
  get watches(): ReadonlySet<WatchStream> {
    return this.#watches;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#answer(request, response);
    } catch (error) {
      if (response.headersSent) return void response.destroy();
      const status = error instanceof StatusError ? error : unexpected(error);
      sendJson(response, status.status, status.body, status.headers);
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://server');
    const target = parseTarget(url.pathname);
    const r = target ? this.#options.lifecycle.resources.get(target.groupVersion, target.plural) : undefined;
    const verdict = await this.#options.faults.meet({
      verb: verbOf(request.method ?? 'GET', target, url.searchParams),
      resource: target?.plural ?? '',
      watchList: isTrue(url.searchParams.get('sendInitialEvents')),
    });
    if (verdict.kind === 'cut') return void request.socket.destroy();
    if (verdict.kind === 'hold') await verdict.released;
    if (response.destroyed) return;
    this.#authenticate(request, url.pathname);
    if (!target || !r) {
      if (sendStatic(request, response, url.pathname, this.#options)) return;
      const known =
        target && this.#options.lifecycle.resources.all().some((x) => apiVersion(x) === target.groupVersion);
      if (known) throw noSuchResource();
      return sendText(response, 404, '404 page not found\n');
    }
    if (target.namespace !== '' && !r.namespaced) throw noSuchResource();
    await this.#resource(request, response, r, target, url.searchParams);
  }

  #authenticate(request: IncomingMessage, path: string): void {
    const { token } = this.#options;
    if (token === undefined || /^\/(healthz|readyz|livez|version)/.test(path)) return;
    if (request.headers.authorization === `Bearer ${token}`) return;
    throw new StatusError(401, 'Unauthorized', 'Unauthorized');
  }

  async #resource(
    request: IncomingMessage,
    response: ServerResponse,
    r: Resource,
    target: Target,
    query: URLSearchParams,
  ): Promise<void> {
    const { name, subresource } = target;
    const method = request.method ?? 'GET';
    const isStatus = subresource === 'status' && r.status;
    const isBinding = subresource === 'binding' && r.storage === 'pods';
    if (subresource !== '' && !isStatus && !isBinding) throw noSuchResource();
    const view = this.#view(request, r, query);
    if (method === 'GET' && !r.virtual) {
      if (isTrue(query.get('watch'))) return this.#watch(request, response, r, target, query, view);
      if (name === '') return this.#list(response, r, target, query, view);
      const entry = this.#options.lifecycle.find(r, target.namespace, name);
      return sendObject(response, 200, view.single(parseObject(entry.json)));
    }
    const creating = method === 'POST' && ((name === '' && subresource === '') || isBinding);
    if (!creating && (name === '') !== (method === 'DELETE' && name === '')) throw methodNotAllowed();
    if (r.namespaced && target.namespace === '' && method !== 'GET') throw methodNotAllowed();
    const body = await readBody(request);
    if (response.destroyed) return;
    const contentType = mediaType(request);
    if (r.virtual || isBinding) {
      if (!creating) throw methodNotAllowed();
      return this.#virtual(response, r, target, parseObjectBody(body, contentType, r.kind));
    }
    if (method === 'DELETE' && subresource === '')
      return this.#delete(response, r, target, query, view, body);
    const write: WriteRequest = {
      resource: r,
      namespace: target.namespace,
      name,
      part: isStatus ? 'status' : 'main',
      query,
      body,
      contentType,
      userAgent: request.headers['user-agent'] ?? '',
    };
    const result = creating
      ? this.#writes.create(write)
      : method === 'PUT'
        ? this.#writes.update(write)
        : method === 'PATCH'
          ? this.#writes.patch(write)
          : undefined;
    if (!result) throw methodNotAllowed();
    const warnings = result.warnings.map((words) => `299 - "${words.replace(/[\\"]/g, '\\$&')}"`);
    sendObject(response, result.status, view.single(result.object), warnings);
  }

  #view(request: IncomingMessage, r: Resource, query: URLSearchParams): View {
    const columns = columnsOf(r, this.#options.custom.version(r)?.columns ?? []);
    return new View(r, formOf(request), columns, includeOf(query), this.#options.clock);
  }

  #list(
    response: ServerResponse,
    r: Resource,
    target: Target,
    query: URLSearchParams,
    view: View,
  ): Promise<void> {
    const selection = selectionOf(r, target.namespace, query);
    return sendList(response, readPage(this.#options.lifecycle.store, r, selection, query), view);
  }

  async #watch(
    request: IncomingMessage,
    response: ServerResponse,
    r: Resource,
    target: Target,
    query: URLSearchParams,
    view: View,
  ): Promise<void> {
    if (target.name !== '') query.set('fieldSelector', `metadata.name=${target.name}`);
    const { lifecycle, faults, clock, bookmarkMs } = this.#options;
    const stream = new WatchStream(
      {
        store: lifecycle.store,
        resource: r,
        selection: selectionOf(r, target.namespace, query),
        query,
        view,
        // One line serves all who want plain objects in the stored shape.
        shared: formOf(request) === 'object' && lifecycle.resources.stored(r.storage) === r,
        lines: this.#lines,
        clock,
        bookmarkMs,
        gate: faults,
      },
      response,
    );
    this.#watches.add(stream);
    response.on('close', () => this.#watches.delete(stream));
    await stream.run();
  }

  #virtual(response: ServerResponse, r: Resource, target: Target, body: JsonObject): void {
    const { lifecycle } = this.#options;
    const pods = lifecycle.resources.stored('pods');
    if ((r.kind === 'Binding' || target.subresource === 'binding') && pods) {
      const name = target.name || text((body.metadata as JsonObject | undefined)?.name);
      sendJson(response, 201, bind(lifecycle, pods, target.namespace, name, body));
    } else sendJson(response, 201, { kind: r.kind, apiVersion: apiVersion(r), ...accessReview(body) });
  }

  async #delete(
    response: ServerResponse,
    r: Resource,
    target: Target,
    query: URLSearchParams,
    view: View,
    body: string,
  ): Promise<void> {
    const { lifecycle } = this.#options;
    const options: JsonObject =
      body.trim() === '' ? {} : parseObjectBody(body, 'application/json', 'DeleteOptions');
    const grace = query.get('gracePeriodSeconds');
    if (grace !== null) options.gracePeriodSeconds = Number(grace);
    const dryRun =
      query.get('dryRun') === 'All' || (Array.isArray(options.dryRun) && options.dryRun.includes('All'));
    if (target.name === '') {
      const page = readPage(lifecycle.store, r, selectionOf(r, target.namespace, query), query);
      for (const entry of page.entries) lifecycle.remove(r, entry, options, dryRun);
      return sendList(response, page, view);
    }
    const entry = lifecycle.find(r, target.namespace, target.name);
    const stored = lifecycle.resources.stored(r.storage) ?? r;
    const { object, gone } = lifecycle.remove(r.custom ? r : stored, entry, options, dryRun);
    if (r.returnsDeleted || !gone) return sendObject(response, 200, view.single(object));
    sendJson(response, 200, {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Success',
      details: {
        name: entry.name,
        ...(r.group === '' ? {} : { group: r.group }),
        kind: r.plural,
        uid: entry.uid,
      },
    });
  }
}

function verbOf(method: string, target: Target | undefined, query: URLSearchParams): string {
  const verb = verbs[method] ?? method.toLowerCase();
  if (!target) return verb;
  if (verb === 'get' && isTrue(query.get('watch'))) return 'watch';
  if (target.name !== '') return verb;
  return verb === 'get' ? 'list' : verb === 'delete' ? 'deletecollection' : verb;
}

/** Ours, not the client's: the words help to find it, a stack trace does not belong on the wire. */
function unexpected(error: unknown): StatusError {
  const words = error instanceof Error ? error.message : String(error);
  return new StatusError(500, 'InternalError', `Internal error occurred: ${words}`);
}
