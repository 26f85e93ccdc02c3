import type { Clock, Random } from '../../model/clock.ts';
import { equal } from '../../model/equal.ts';
import { describe, FairleadError } from '../../model/errors.ts';
import type { WorldSink, WorldTables } from '../../model/world.ts';
import { backoff } from './backoff.ts';
import type { KubeClient } from './client.ts';
import { decodeEvent, type WatchEvent } from './decode.ts';
import { ApiError, StallError, statusError } from './errors.ts';
import { type InitialList, pagedList, watchList } from './initial-list.ts';
import { Interner } from './interner.ts';
import type { Kind, KubeSource } from './kind.ts';
import { LineSplitter } from './lines.ts';
import type { Log } from './log.ts';
import { type Raw, record, text } from './raw.ts';

/** Times in milliseconds. */
export interface Timing {
  /** How long one watch lasts before the server ends it; up to a third is added at random. */
  readonly watch: number;
  /** How much later than that it may end before it counts as stalled. */
  readonly grace: number;
  /** Longest silence while a list streams in. */
  readonly listSilence: number;
  /** Without contact for longer than this, the view is no longer trusted. */
  readonly distrust: number;
  readonly backoff: { readonly first: number; readonly longest: number };
  /**
   * How often an optional kind that the API does not have is asked for: the longer it has been missing, the more seldom. Up to as much again
   * is added at random.
   */
  readonly absent: { readonly first: number; readonly longest: number };
  /** A kind that had objects is missing for this long before they are given up: a server that is just starting answers 404 too. */
  readonly doubt: number;
}

/**
 * A healthy server ends every watch after 30–40 s (`timeoutSeconds`), which costs one cheap request. One that does not is
 * stalled, and that is known at most 46 s after it fell silent: a bookmark a minute would be too rare to tell by.
 */
const TIMING: Timing = {
  watch: 30_000,
  grace: 6_000,
  listSilence: 20_000,
  distrust: 90_000,
  backoff: { first: 500, longest: 8_000 },
  absent: { first: 4_000, longest: 32_000 },
  doubt: 15_000,
};

/** A server that was heard for this long was in order: the next failure is a first one again. */
const STEADY = 10_000;

export interface ReflectorOptions<S extends KubeSource> {
  readonly kind: Kind<S>;
  readonly client: Pick<KubeClient, 'list' | 'watch'>;
  readonly sink: WorldSink;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly timing?: Partial<Timing>;
}

/**
 * Keeps one table of the World as the API server has it: list, watch on from there, and again whenever the thread is lost.
 *
 * ```
 *            ┌──────────────── 410 · stall · distrust ───────────────┐
 *            ▼                                                       │
 *   list (WatchList, else pages) ──► replace, ready ──► watch ──► put / remove
 *            ▲ backoff                                  ▲    └─ ended, reset, 5xx ─┐
 *            └─ failed                                  └─ from the last version ◄─┘
 * ```
 *
 * While it lists anew or is cut off, the old objects stay: they are the last whole truth known. An optional kind that the API does not
 * have (404) is an empty table and ready; it is asked for every few seconds, by one request that costs the server nothing.
 */
export class Reflector<S extends KubeSource> {
  readonly #o: ReflectorOptions<S>;
  readonly #timing: Timing;
  readonly #shared = new Interner();
  #objects = new Map<string, WorldTables[S]>();
  /** Where to watch on; absent = list first. */
  #version: string | undefined;
  #failures = 0;
  #contact: number;
  #trusted = false;
  /** Some event could not be taken over: the next list puts it right. */
  #damaged = false;
  #reason = '';
  /** Since when the API does not have this kind. */
  #missingSince: number | undefined;
  #closed = false;
  /** Ends the request under way. */
  #request = new AbortController();
  /** Ends the wait between tries. */
  #wake: () => void = () => {};
  #finished: Promise<void> = Promise.resolve();

  constructor(options: ReflectorOptions<S>) {
    this.#o = options;
    this.#timing = { ...TIMING, ...options.timing };
    this.#contact = options.clock.monotonic();
  }

  start(): void {
    this.#distrust('the first list is not complete yet');
    this.#finished = this.#run();
  }

  /** Resolves when the last request has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#request.abort();
    this.#wake();
    await this.#finished;
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      this.#request = new AbortController();
      const began = this.#o.clock.monotonic();
      let error: unknown;
      try {
        if (this.#version === undefined) await this.#list();
        else await this.#watch(this.#version);
      } catch (thrown) {
        error = thrown;
      }
      if (this.#closed) return;
      if (error !== undefined) await this.#failed(error, began);
    }
  }

  async #list(): Promise<void> {
    const objects = new Map<string, WorldTables[S]>();
    const list: InitialList = {
      client: this.#o.client,
      clock: this.#o.clock,
      ref: this.#o.kind.resource,
      fieldSelector: this.#o.kind.fieldSelector,
      silence: this.#timing.listSilence,
      request: this.#request,
      restart: () => objects.clear(),
      put: (raw) => {
        this.#heard();
        this.#collect(objects, raw);
      },
      remove: (raw) => objects.delete(this.#o.kind.key(raw)),
    };
    if (this.#missingSince !== undefined) await this.#ask();
    const streamed = await watchList(list);
    const version = streamed ?? (await pagedList(list));
    if (this.#closed) return;
    this.#heard();
    const { sink, kind, log } = this.#o;
    sink.replace(kind.source, objects);
    sink.ready(kind.source);
    this.#objects = objects;
    this.#version = version;
    this.#trusted = true;
    this.#damaged = false;
    this.#reason = '';
    this.#missingSince = undefined;
    const how = streamed === undefined ? 'pages' : 'stream';
    log.info({ source: kind.source, objects: objects.size, version, how }, 'listed');
  }

  /** Throws when the API still does not have this kind. */
  async #ask(): Promise<void> {
    const { client, kind } = this.#o;
    await client.list(kind.resource, { limit: 1 }, () => {}, this.#request.signal);
  }

  /** Equal content keeps the object that is there, so that a relist makes no garbage and no change. */
  #collect(objects: Map<string, WorldTables[S]>, raw: Raw): void {
    const key = this.#key(raw);
    if (key === '') return;
    const fresh = this.#o.kind.project(raw, this.#shared);
    const known = this.#objects.get(key);
    const kept = known !== undefined && equal(known, fresh) ? known : fresh;
    objects.set(this.#o.kind.keyOf(kept), kept);
  }

  async #watch(version: string): Promise<void> {
    const { client, clock, kind, random } = this.#o;
    const request = this.#request;
    const lasts = this.#timing.watch * (1 + random() / 3);
    const began = clock.monotonic();
    const overdue = clock.after(lasts + this.#timing.grace, () => {
      const silent = clock.monotonic() - Math.max(began, this.#contact);
      // Still talking, only not ending: such a server does not know timeoutSeconds, and watching on anew is all it takes.
      request.abort(silent > this.#timing.grace ? new StallError(silent) : REOPEN);
    });
    const splitter = new LineSplitter((line) => this.#event(decodeEvent(line, kind.resource.unread)));
    const query = {
      resourceVersion: version,
      allowWatchBookmarks: true,
      timeoutSeconds: Math.max(1, Math.round(lasts / 1000)),
      fieldSelector: kind.fieldSelector,
    };
    const onBytes = (chunk: Buffer): void => {
      this.#heard();
      splitter.push(chunk);
    };
    try {
      await client.watch(kind.resource, query, onBytes, request.signal);
      this.#heard();
    } catch (error) {
      if (error !== REOPEN) throw error;
    } finally {
      overdue.cancel();
    }
    if (this.#damaged) this.#version = undefined;
    if (clock.monotonic() - began < SHORTEST_WATCH) throw TOO_SHORT;
    this.#failures = 0;
  }

  #event(event: WatchEvent): void {
    const { type, object } = event;
    if (type === 'ERROR') {
      throw statusError(500, object, undefined, { verb: 'watch', ref: this.#o.kind.resource });
    }
    if (type !== 'BOOKMARK') this.#take(type, object);
    this.#version = text(record(object.metadata).resourceVersion) || this.#version;
  }

  /** Whoever takes the objects may fail; the watch goes on, and the next list mends what was missed. */
  #take(type: WatchEvent['type'], raw: Raw): void {
    const { kind, sink, log } = this.#o;
    const key = this.#key(raw);
    if (key === '') return;
    try {
      if (type === 'DELETED') {
        if (this.#objects.has(key)) sink.remove(kind.source, key);
        this.#objects.delete(key);
        return;
      }
      const fresh = kind.project(raw, this.#shared);
      if (equal(this.#objects.get(key), fresh)) return;
      sink.put(kind.source, kind.keyOf(fresh), fresh);
      this.#objects.set(kind.keyOf(fresh), fresh);
    } catch (error) {
      this.#damaged = true;
      log.warn({ source: kind.source, key, error: describe(error) }, 'event not taken over');
    }
  }

  #key(raw: Raw): string {
    const key = this.#o.kind.key(raw);
    if (key === '') this.#o.log.warn({ source: this.#o.kind.source }, 'an object without a name is left out');
    return key;
  }

  #heard(): void {
    this.#contact = this.#o.clock.monotonic();
  }

  /** The API does not have this kind: nothing of it is the whole truth. */
  async #missing(): Promise<void> {
    const { clock, kind, log, random, sink } = this.#o;
    const now = clock.monotonic();
    this.#heard();
    this.#version = undefined;
    this.#failures = 0;
    this.#missingSince ??= now;
    const believed = this.#objects.size === 0 || now - this.#missingSince >= this.#timing.doubt;
    if (believed && (!this.#trusted || this.#objects.size > 0)) {
      this.#objects = new Map();
      sink.replace(kind.source, this.#objects);
      sink.ready(kind.source);
      this.#trusted = true;
      this.#reason = '';
      log.info({ source: kind.source }, 'the API server does not have this kind');
    }
    const { first, longest } = this.#timing.absent;
    const since = this.#o.clock.monotonic() - (this.#missingSince ?? 0);
    await this.#pause(Math.min(longest, Math.max(first, since / 4)) * (1 + random()));
  }

  async #failed(error: unknown, began: number): Promise<void> {
    const { clock, kind, log, random } = this.#o;
    if (kind.optional && error instanceof ApiError && error.status === 404) return this.#missing();
    if (needsList(error)) this.#version = undefined;
    this.#failures = this.#contact - began >= STEADY ? 1 : this.#failures + 1;
    const words = describe(error);
    const away = clock.monotonic() - this.#contact;
    if (!this.#trusted) this.#distrust(words);
    else if (away > this.#timing.distrust) {
      const since = new Date(clock.wall() - away).toISOString();
      this.#distrust(`no contact with the API server since ${since}: ${words}`);
    }
    const retryAfter = error instanceof ApiError ? error.retryAfter : undefined;
    const wait = backoff(this.#failures, this.#timing.backoff, random, retryAfter);
    const fields = { source: kind.source, error: words, failures: this.#failures, retryMs: Math.round(wait) };
    if (this.#failures === 1) log.warn(fields, 'list or watch failed');
    else log.debug(fields, 'list or watch failed again');
    await this.#pause(wait);
  }

  #distrust(reason: string): void {
    this.#trusted = false;
    this.#version = undefined;
    if (reason === this.#reason) return;
    try {
      this.#o.sink.notReady(this.#o.kind.source, reason);
      this.#reason = reason;
    } catch (error) {
      this.#o.log.warn({ source: this.#o.kind.source, error: describe(error) }, 'readiness not taken over');
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#o.clock.after(ms, resolve);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}

const REOPEN = Symbol('watch again from the last version');

const SHORTEST_WATCH = 1000;
const TOO_SHORT = new FairleadError('kube-short-watch', 'the API server ended the watch at once');

/** Errors after which watching on from the last version cannot help, or cannot be trusted. */
function needsList(error: unknown): boolean {
  if (error instanceof StallError) return true;
  if (!(error instanceof ApiError)) return false;
  // 504 is also "Too large resource version": the server's store went back in time.
  if (error.status === 504) return true;
  return error.status < 500 && ![401, 403, 408, 429].includes(error.status);
}
