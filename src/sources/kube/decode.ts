import { DecodeError } from './errors.ts';
import { omitting } from './omit.ts';
import { type Raw, record, text } from './raw.ts';

/** One line of a watch (apimachinery `metav1.WatchEvent`). */
export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: Raw;
}

/** A page of a list, apart from its items. */
export interface Page {
  readonly resourceVersion: string;
  /** Token for the next page; empty on the last one. */
  readonly next: string;
}

const TYPES: ReadonlySet<unknown> = new Set(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']);

/** Reads one line of a watch, without the fields `unread`. Throws `DecodeError`, nothing else. */
export function decodeEvent(line: string, unread: readonly string[] = []): WatchEvent {
  const event = record(parse(omitting(line, unread)));
  if (!TYPES.has(event.type)) throw new DecodeError(`a watch event has the type ${excerpt(event.type)}`);
  if (typeof event.object !== 'object' || event.object === null) {
    throw new DecodeError(`a watch event ${excerpt(event.type)} has no object`);
  }
  return { type: event.type as WatchEvent['type'], object: record(event.object) };
}

/** Reads a page of a list whose items were taken out. Throws `DecodeError`, nothing else. */
export function decodePage(body: Raw): Page {
  const meta = record(body.metadata);
  // Go writes an empty list as null.
  if (!Array.isArray(body.items) && body.items !== null) throw new DecodeError('a list has no items');
  if (text(meta.resourceVersion) === '') throw new DecodeError('a list has no metadata.resourceVersion');
  return { resourceVersion: text(meta.resourceVersion), next: text(meta.continue) };
}

/** Parses the body of an answer that must be one JSON object. Throws `DecodeError`, nothing else. */
export function decodeObject(body: string): Raw {
  const parsed = parse(body);
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new DecodeError(`an answer is not an object: ${excerpt(body)}`);
  }
  return parsed as Raw;
}

function parse(source: string): unknown {
  try {
    return JSON.parse(source);
  } catch (cause) {
    throw new DecodeError(`an answer is not JSON (${source.length} characters)`, cause);
  }
}

function excerpt(value: unknown): string {
  return String(JSON.stringify(value)).slice(0, 60);
}
