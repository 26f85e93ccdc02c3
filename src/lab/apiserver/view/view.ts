import type { Clock } from '../../../model/clock.ts';
import { ensure, type JsonObject, parseObject } from '../json.ts';
import { apiVersion, type Resource } from '../resources.ts';
import type { Change, Entry } from '../store.ts';
import type { Column } from './columns.ts';
import { fromStored } from './convert.ts';
import { definitions, type IncludeObject, partial, row } from './table.ts';

export type EventType = 'ADDED' | 'MODIFIED' | 'DELETED';
export type Form = 'object' | 'table' | 'partial';

/** How one request wants to see objects. The plain form sends stored texts as they are. */
export class View {
  readonly #resource: Resource;
  readonly #form: Form;
  readonly #columns: readonly Column[];
  readonly #include: IncludeObject;
  readonly #clock: Clock;
  #headersSent = false;

  constructor(r: Resource, form: Form, columns: readonly Column[], include: IncludeObject, clock: Clock) {
    this.#resource = r;
    this.#form = form;
    this.#columns = columns;
    this.#include = include;
    this.#clock = clock;
  }

  /** A stored text in the shape of the resource that was asked for. */
  text(json: string): string {
    return json.startsWith(this.#resource.head)
      ? json
      : JSON.stringify(fromStored(this.#resource, parseObject(json)));
  }

  /** One object as the answer to a get, create, update, … */
  single(object: JsonObject): string {
    const shown = fromStored(this.#resource, object);
    if (this.#form === 'object') return JSON.stringify(shown);
    if (this.#form === 'partial') return JSON.stringify(partial(shown));
    return JSON.stringify(this.#table([shown], {}));
  }

  /** What a list begins and ends with; the items go between, joined by commas. */
  listFrame(metadata: JsonObject): { head: string; tail: string } {
    const listMeta = JSON.stringify(metadata);
    if (this.#form === 'table') {
      const head = `{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":${listMeta},"columnDefinitions":`;
      return { head: `${head}${JSON.stringify(definitions(this.#columns))},"rows":[`, tail: ']}' };
    }
    const kind = this.#form === 'partial' ? 'PartialObjectMetadata' : this.#resource.kind;
    const version = this.#form === 'partial' ? 'meta.k8s.io/v1' : apiVersion(this.#resource);
    return {
      head: `{"kind":"${kind}List","apiVersion":"${version}","metadata":${listMeta},"items":[`,
      tail: ']}',
    };
  }

  listItem(entry: Entry): string {
    const json = this.text(entry.json);
    if (this.#form === 'table')
      return JSON.stringify(row(parseObject(json), this.#columns, this.#clock.wall(), this.#include));
    if (this.#form === 'partial') return JSON.stringify(partial(parseObject(json)));
    // Items of built-in kinds do not repeat the list's kind and version; custom resources do.
    return this.#resource.custom ? json : `{${json.slice(this.#resource.head.length)}`;
  }

  /** One line of a watch. */
  event(type: EventType, json: string): string {
    const shown = this.text(json);
    if (this.#form === 'object') return `{"type":"${type}","object":${shown}}\n`;
    const object = parseObject(shown);
    const body = this.#form === 'partial' ? partial(object) : this.#table([object], {});
    return `${JSON.stringify({ type, object: body })}\n`;
  }

  /** A line that carries no object but a resourceVersion. */
  bookmark(revision: number, initialEnd: boolean): string {
    const metadata: JsonObject = { resourceVersion: String(revision), creationTimestamp: null };
    if (initialEnd) metadata.annotations = { 'k8s.io/initial-events-end': 'true' };
    const plain = { kind: this.#resource.kind, apiVersion: apiVersion(this.#resource), metadata };
    if (this.#form === 'object') return `${JSON.stringify({ type: 'BOOKMARK', object: plain })}\n`;
    if (this.#form === 'partial') return `${JSON.stringify({ type: 'BOOKMARK', object: partial(plain) })}\n`;
    // A table of no rows whose own metadata has the version.
    const table = {
      kind: 'Table',
      apiVersion: 'meta.k8s.io/v1',
      metadata,
      columnDefinitions: null,
      rows: [],
    };
    return `${JSON.stringify({ type: 'BOOKMARK', object: table })}\n`;
  }

  #table(shown: readonly JsonObject[], metadata: JsonObject): JsonObject {
    const first = !this.#headersSent;
    this.#headersSent = true;
    return {
      kind: 'Table',
      apiVersion: 'meta.k8s.io/v1',
      metadata: {
        resourceVersion: String(ensure(shown[0] ?? {}, 'metadata').resourceVersion ?? ''),
        ...metadata,
      },
      columnDefinitions: first ? definitions(this.#columns) : null,
      rows: shown.map((object) => row(object, this.#columns, this.#clock.wall(), this.#include)),
    };
  }
}

/**
 * The lines of changes. Watchers of one change ask one after the other, so remembering the last line makes the fan-out to any number
 * of them cost one rendering.
 */
export class LineCache {
  #last: { change: Change; type: EventType; line: string } | undefined;

  /** `shared`: the line is the same for every watcher that wants plain objects of the stored version. */
  line(view: View, shared: boolean, type: EventType, change: Change): string {
    const last = this.#last;
    if (shared && last?.change === change && last.type === type) return last.line;
    const line = view.event(type, eventText(type, change));
    if (shared) this.#last = { change, type, line };
    return line;
  }
}

/** A deletion shows the object as it last was, at the revision of the deletion. */
function eventText(type: EventType, change: Change): string {
  if (type !== 'DELETED') return change.after?.json ?? '';
  const object = parseObject(change.before?.json ?? '{}');
  ensure(object, 'metadata').resourceVersion = String(change.revision);
  return JSON.stringify(object);
}
