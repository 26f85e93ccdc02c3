import type { ServerResponse } from 'node:http';
import type { Clock } from '../../../model/clock.ts';
import type { Resource } from '../resources.ts';
import { expired, invalidOption, notAllowed, type StatusError } from '../status.ts';
import type { Change, Entry, Store } from '../store.ts';
import type { EventType, LineCache, View } from '../view/view.ts';
import { drained, revisionOf } from './list.ts';
import { isTrue } from './request.ts';
import type { Selection } from './selection.ts';

/** Whether a stream may send now; while it may not, what happens is kept for later. */
export interface Gate {
  readonly silent: boolean;
  /** Calls back when streams may send again. */
  onOpen(callback: () => void): () => void;
}

export interface WatchRequest {
  readonly store: Store;
  readonly resource: Resource;
  readonly selection: Selection;
  readonly query: URLSearchParams;
  readonly view: View;
  readonly shared: boolean;
  readonly lines: LineCache;
  readonly clock: Clock;
  readonly bookmarkMs: number;
  readonly gate: Gate;
}

/** How far a reader may fall behind before it is cut off, in characters. */
const backlogLimit = 256 * 1024 * 1024;
const chunkSize = 256 * 1024;

export const expiredWatch = (asked: number, oldest: number): StatusError =>
  expired(`too old resource version: ${asked} (${oldest})`);

function checkOptions(query: URLSearchParams): { initial: boolean; explicit: boolean } {
  const match = query.get('resourceVersionMatch') ?? '';
  const fail = (field: string, words: string): never => {
    throw invalidOption('ListOptions', notAllowed(field, words));
  };
  const send = query.get('sendInitialEvents');
  if (send === null && match !== '') {
    fail(
      'resourceVersionMatch',
      'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
    );
  }
  if (send !== null && match !== 'NotOlderThan') {
    fail('resourceVersionMatch', 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan');
  }
  const asked = revisionOf(query) ?? 0;
  return { initial: send === null ? asked === 0 : isTrue(send), explicit: isTrue(send) };
}

/** One watch: initial state or replay, then every change until the reader goes, time is up, or it is too slow. */
export class WatchStream {
  readonly #request: WatchRequest;
  readonly #response: ServerResponse;
  readonly #cleanups: (() => void)[] = [];
  #queue: string[] = [];
  #queued = 0;
  #scheduled = false;
  #draining = false;
  #initial = true;
  #ended = false;

  constructor(request: WatchRequest, response: ServerResponse) {
    this.#request = request;
    this.#response = response;
  }

  get resource(): Resource {
    return this.#request.resource;
  }

  /** Throws a StatusError before anything is sent when the options are wrong. */
  async run(): Promise<void> {
    const { store, query, resource, selection, view } = this.#request;
    const { initial, explicit } = checkOptions(query);
    const since = revisionOf(query) ?? 0;
    const snapshot = initial ? store.list(resource.storage, selection.namespace) : [];
    const revision = store.revision;
    const missed = initial ? [] : since > 0 ? store.since(resource.storage, since) : [];
    this.#response.writeHead(200, {
      'content-type': 'application/json',
      'cache-control': 'no-cache, private',
    });
    this.#response.flushHeaders();
    if (missed === undefined) return this.fail(expiredWatch(since, store.compacted));
    this.#cleanups.push(store.subscribe(resource.storage, (change) => this.#onChange(change, since)));
    this.#cleanups.push(this.#request.gate.onOpen(() => this.#schedule()));
    this.#response.on('close', () => this.close());
    for (const change of missed) this.#onChange(change, since);
    if (initial) await this.#sendSnapshot(snapshot);
    if (explicit && isTrue(query.get('allowWatchBookmarks'))) this.#push(view.bookmark(revision, true), true);
    this.#initial = false;
    this.#startTimers();
    this.#schedule();
  }

  /** Ends the stream with an ERROR event, as a watch does whose history was compacted away. */
  fail(error: StatusError): void {
    this.#push(`${JSON.stringify({ type: 'ERROR', object: error.body })}\n`);
    this.#flush();
    this.end();
  }

  end(): void {
    if (this.#ended) return;
    this.#flush();
    this.close();
    this.#response.end();
  }

  /** The end is bytes too: a stream that must be silent ends once it may speak again. */
  #timeIsUp(): void {
    const { gate } = this.#request;
    if (gate.silent) this.#cleanups.push(gate.onOpen(() => this.end()));
    else this.end();
  }

  close(): void {
    this.#ended = true;
    for (const cleanup of this.#cleanups.splice(0)) cleanup();
  }

  async #sendSnapshot(snapshot: readonly Entry[]): Promise<void> {
    const { selection, view, gate } = this.#request;
    let parts: string[] = [];
    let size = 0;
    for (const entry of snapshot) {
      if (selection.match && !selection.match(entry)) continue;
      const line = view.event('ADDED', entry.json);
      parts.push(line);
      size += line.length;
      if (size < chunkSize) continue;
      if (gate.silent)
        await new Promise<void>((resolve) => this.#cleanups.push(gate.onOpen(resolve), resolve));
      if (this.#ended) return;
      if (!this.#response.write(parts.join(''))) await drained(this.#response);
      parts = [];
      size = 0;
    }
    if (parts.length > 0) this.#push(parts.join(''), true);
  }

  #onChange(change: Change, since: number): void {
    if (change.revision <= since) return;
    const { selection, view, shared, lines } = this.#request;
    const type = this.#eventType(change, selection);
    if (type) this.#push(lines.line(view, shared, type, change));
  }

  /** An object that stops being selected is DELETED for this watcher, one that starts to be is ADDED. */
  #eventType({ before, after }: Change, { match, namespace }: Selection): EventType | undefined {
    const entry = after ?? before;
    if (namespace !== '' && entry?.namespace !== namespace) return undefined;
    const was = before !== undefined && (!match || match(before));
    const is = after !== undefined && (!match || match(after));
    if (is) return was ? 'MODIFIED' : 'ADDED';
    return was ? 'DELETED' : undefined;
  }

  /** `first`: before the changes that came while the initial state was being sent. */
  #push(line: string, first = false): void {
    if (first) {
      // Changes queued meanwhile are newer than the initial state: they stay behind it.
      const at = this.#initialEnd++;
      this.#queue.splice(at, 0, line);
    } else this.#queue.push(line);
    this.#queued += line.length;
    if (this.#queued > backlogLimit) this.#response.destroy();
    this.#schedule();
  }
  #initialEnd = 0;

  #schedule(): void {
    if (this.#scheduled || this.#initial || this.#queue.length === 0) return;
    this.#scheduled = true;
    // The first change goes out before its writer has an answer; what else this turn brings goes together.
    this.#flush();
    setImmediate(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#ended || this.#draining || this.#request.gate.silent || this.#queue.length === 0) return;
    const text = this.#queue.join('');
    this.#queue = [];
    this.#queued = 0;
    const taken = this.#response.write(text);
    // Node.js holds it back until the end of the turn, and the turn goes on with the writer's answer.
    this.#response.socket?.uncork();
    if (taken) return;
    this.#draining = true;
    void drained(this.#response).then(() => {
      this.#draining = false;
      this.#schedule();
    });
  }

  #startTimers(): void {
    const { clock, query, store, view, bookmarkMs } = this.#request;
    const seconds = Number(query.get('timeoutSeconds') ?? 0);
    if (seconds > 0) {
      const timer = clock.after(seconds * 1000, () => this.#timeIsUp());
      this.#cleanups.push(() => timer.cancel());
    }
    if (!isTrue(query.get('allowWatchBookmarks'))) return;
    let timer: { cancel(): void };
    const next = (): void => {
      timer = clock.after(bookmarkMs, () => {
        this.#push(view.bookmark(store.revision, false));
        next();
      });
    };
    next();
    this.#cleanups.push(() => timer.cancel());
  }
}
