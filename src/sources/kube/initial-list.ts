import type { Clock } from '../../model/clock.ts';
import { FairleadError } from '../../model/errors.ts';
import type { KubeClient } from './client.ts';
import { decodeEvent } from './decode.ts';
import { ApiError, StallError, statusError } from './errors.ts';
import { LineSplitter } from './lines.ts';
import { type Raw, record, text } from './raw.ts';
import type { ObjectRef } from './resource.ts';
import { Watchdog } from './watchdog.ts';

/** What a whole list takes. */
export interface InitialList {
  readonly client: Pick<KubeClient, 'list' | 'watch'>;
  readonly clock: Clock;
  readonly ref: ObjectRef;
  readonly fieldSelector: string | undefined;
  /** Longest silence while objects stream in, milliseconds. */
  readonly silence: number;
  /** Aborted from outside to give up, and by `watchList` itself when the stream has said all that was asked. */
  readonly request: AbortController;
  /** Forget everything heard so far: the list begins anew. */
  restart(): void;
  put(raw: Raw): void;
  remove(raw: Raw): void;
}

const PAGE = 500;
/** kube-apiserver marks the bookmark that ends the initial events with this (KEP-3157). */
const INITIAL_EVENTS_END = 'k8s.io/initial-events-end';
/** A server that closes the stream this late has streamed more than any cluster holds. */
const LONGEST_STREAM_SECONDS = 600;

const DONE = Symbol('the initial events are complete');

/**
 * Streams every object as a watch does (KEP-3157 WatchList), so that neither we nor the server hold the list as one text.
 * Answers the resourceVersion from which to watch on, or `undefined` when this server does not offer it.
 */
export async function watchList(list: InitialList): Promise<string | undefined> {
  list.restart();
  const watchdog = new Watchdog(list.clock, list.silence, () =>
    list.request.abort(new StallError(list.silence)),
  );
  let version: string | undefined;
  const splitter = new LineSplitter((line) => {
    if (version !== undefined) return;
    version = initialEvent(list, line);
    if (version !== undefined) list.request.abort(DONE);
  });
  const query = {
    sendInitialEvents: true,
    resourceVersionMatch: 'NotOlderThan',
    allowWatchBookmarks: true,
    timeoutSeconds: LONGEST_STREAM_SECONDS,
    fieldSelector: list.fieldSelector,
  };
  const onBytes = (chunk: Buffer): void => {
    watchdog.heard();
    splitter.push(chunk);
  };
  try {
    await list.client.watch(list.ref, query, onBytes, list.request.signal);
  } catch (error) {
    if (error !== DONE && !isRefusal(error)) throw error;
  } finally {
    watchdog.stop();
  }
  return version;
}

/** The version of the bookmark that ends the initial events, once it comes. */
function initialEvent(list: InitialList, line: string): string | undefined {
  const { type, object } = decodeEvent(line, list.ref.unread);
  if (type === 'ERROR') {
    const error = statusError(500, object, undefined, { verb: 'watch', ref: list.ref });
    throw error.status === 500 ? new Refusal('kube-no-watch-list', error.message, { cause: error }) : error;
  }
  if (type === 'DELETED') list.remove(object);
  else if (type !== 'BOOKMARK') list.put(object);
  else {
    const meta = record(object.metadata);
    if (record(meta.annotations)[INITIAL_EVENTS_END] === 'true') return text(meta.resourceVersion);
  }
  return undefined;
}

/**
 * How API servers say that they do not know WatchList or cannot serve it: as an invalid request when the feature is unknown or off,
 * with a 500 inside the stream when their etcd is older than 3.4.25 (no RequestWatchProgress).
 */
function isRefusal(error: unknown): boolean {
  return error instanceof Refusal || (error instanceof ApiError && REFUSALS.has(error.status));
}

const REFUSALS: ReadonlySet<number> = new Set([400, 404, 405, 406, 415, 422]);

class Refusal extends FairleadError {}

/** The list in pages of 500, for servers without WatchList. Answers the resourceVersion from which to watch on. */
export async function pagedList(list: InitialList): Promise<string> {
  list.restart();
  let next = '';
  for (;;) {
    const query = {
      limit: PAGE,
      fieldSelector: list.fieldSelector,
      ...(next !== '' && { continue: next }),
    };
    const page = await list.client.list(list.ref, query, list.put, list.request.signal);
    if (page.next === '') return page.resourceVersion;
    next = page.next;
  }
}
