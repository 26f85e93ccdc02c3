import type { ServerResponse } from 'node:http';
import type { JsonObject } from '../json.ts';
import type { Resource } from '../resources.ts';
import {
  badRequest,
  expired,
  invalidOption,
  notAllowed,
  type StatusError,
  tooLargeVersion,
  unsupported,
} from '../status.ts';
import type { Entry, Store } from '../store.ts';
import type { View } from '../view/view.ts';
import type { Selection } from './selection.ts';

interface Page {
  readonly entries: readonly Entry[];
  readonly metadata: JsonObject;
}

interface Token {
  readonly revision: number;
  readonly start: string;
}

/** The same form as the real server's, so that a client that looks inside finds what it knows. */
function encodeToken({ revision, start }: Token): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: revision, start: `${start}\u0000` })).toString(
    'base64url',
  );
}

function decodeToken(source: string): Token {
  try {
    const { v, rv, start } = JSON.parse(Buffer.from(source, 'base64url').toString('utf8')) as Record<
      string,
      unknown
    >;
    if (v === 'meta.k8s.io/v1' && typeof rv === 'number' && typeof start === 'string') {
      return { revision: rv, start: start.endsWith('\u0000') ? start.slice(0, -1) : start };
    }
  } catch {
    // Told below.
  }
  throw badRequest('invalid continue token: continue key is not valid');
}

const tooOldToken =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.';

/** The `resourceVersion` parameter. Throws 400. */
export function revisionOf(query: URLSearchParams): number | undefined {
  const asked = query.get('resourceVersion') ?? '';
  if (asked === '') return undefined;
  if (!/^\d+$/.test(asked)) {
    throw badRequest(
      `invalid resource version: resourceVersion: Invalid value: "${asked}": strconv.ParseUint: parsing "${asked}": invalid syntax`,
    );
  }
  return Number(asked);
}

/** Which revision a list shows: now, or an exact one that was asked for. */
function listRevision(store: Store, query: URLSearchParams, limit: number): number {
  const asked = revisionOf(query);
  const match = query.get('resourceVersionMatch') ?? '';
  const fail = (words: string): never => {
    throw invalidOption('ListOptions', notAllowed('resourceVersionMatch', words));
  };
  if (match !== '') {
    if (asked === undefined) fail('resourceVersionMatch is forbidden unless resourceVersion is provided');
    if (match !== 'Exact' && match !== 'NotOlderThan') {
      throw invalidOption(
        'ListOptions',
        unsupported('resourceVersionMatch', match, ['Exact', 'NotOlderThan', '']),
      );
    }
    if (match === 'Exact' && asked === 0)
      fail('resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
  }
  if (asked === undefined || asked === 0) return store.revision;
  if (asked > store.revision) throw tooLargeVersion(asked, store.revision);
  const exact = match === 'Exact' || (match === '' && limit > 0);
  if (!exact) return store.revision;
  if (asked < store.compacted) throw expired('The resourceVersion for the provided list is too old.');
  return asked;
}

/** Reads one page: everything, or `limit` objects and a token for the rest, which shows the same revision. */
export function readPage(store: Store, r: Resource, selection: Selection, query: URLSearchParams): Page {
  // The real server answers resourceVersion=0 out of its cache and does not cut that into pages.
  const limit = query.get('resourceVersion') === '0' ? 0 : Math.max(0, Number(query.get('limit') ?? 0) || 0);
  const { match, namespace } = selection;
  let revision: number;
  let start = '';
  const token = query.get('continue') ?? '';
  if (token !== '') {
    const asked = revisionOf(query);
    if (asked !== undefined && asked !== 0) {
      throw badRequest('specifying resource version is not allowed when using continue');
    }
    const decoded = decodeToken(token);
    start = namespace === '' ? decoded.start : `${namespace}/${decoded.start}`;
    revision = decoded.revision < 0 ? store.revision : decoded.revision;
    if (revision < store.compacted) throw expiredToken(decoded.start);
  } else revision = listRevision(store, query, limit);
  const all = store.list(r.storage, namespace, revision);
  const entries: Entry[] = [];
  const metadata: JsonObject = { resourceVersion: String(revision) };
  let i = start === '' ? 0 : all.findIndex((entry) => entry.key > start);
  if (i < 0) i = all.length;
  for (; i < all.length; i++) {
    const entry = all[i];
    if (!entry || (match && !match(entry))) continue;
    if (limit > 0 && entries.length === limit) {
      const last = entries[entries.length - 1]?.key ?? '';
      metadata.continue = encodeToken({
        revision,
        start: namespace === '' ? last : last.slice(namespace.length + 1),
      });
      if (!match) metadata.remainingItemCount = all.length - i;
      break;
    }
    entries.push(entry);
  }
  return { entries, metadata };
}

function expiredToken(start: string): StatusError {
  const error = expired(tooOldToken);
  const body = error.body;
  // The offered token goes on from the same place at whatever revision is current then.
  body.metadata = { continue: encodeToken({ revision: -1, start }) };
  return error;
}

const chunkSize = 256 * 1024;

/** Sends a list in chunks, at the pace of the reader, so that 150,000 pods never stand in memory twice. */
export async function sendList(response: ServerResponse, page: Page, view: View): Promise<void> {
  const { head, tail } = view.listFrame(page.metadata);
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
  let parts: string[] = [head];
  let size = 0;
  for (const [i, entry] of page.entries.entries()) {
    const item = view.listItem(entry);
    parts.push(i === 0 ? item : `,${item}`);
    size += item.length;
    if (size < chunkSize) continue;
    if (!response.write(parts.join(''))) await drained(response);
    if (response.destroyed) return;
    parts = [];
    size = 0;
  }
  response.end(`${parts.join('')}${tail}`);
}

/** Resolves when the reader has caught up, or is gone. */
export function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    if (response.destroyed) return resolve();
    response.on('drain', done);
    response.on('close', done);
  });
}
