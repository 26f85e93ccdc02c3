import { at, parseObject, text } from '../json.ts';
import type { Resource } from '../resources.ts';
import { type FieldTerm, parseFieldSelector, parseLabelSelector } from '../selectors.ts';
import type { Entry } from '../store.ts';
import { fromStored } from '../view/convert.ts';

export interface Selection {
  /** Undefined: everything is selected. */
  readonly match: ((entry: Entry) => boolean) | undefined;
  readonly namespace: string;
}

function fieldValue(r: Resource, entry: Entry, field: string): string {
  if (field === 'metadata.name' || field === 'name') return entry.name;
  if (field === 'metadata.namespace') return entry.namespace;
  const hot = r.hot.indexOf(field);
  if (hot >= 0) return entry.hot[hot] ?? '';
  const value = at(fromStored(r, parseObject(entry.json)), field);
  return typeof value === 'boolean' || typeof value === 'number'
    ? String(value)
    : ((text(value) || defaults[field]) ?? '');
}

/** Absent booleans select as "false". */
const defaults: Readonly<Record<string, string>> = {
  'spec.unschedulable': 'false',
  'spec.hostNetwork': 'false',
};

/** What a list or watch is limited to: the path's namespace and the selectors of the query. */
export function selectionOf(r: Resource, namespace: string, query: URLSearchParams): Selection {
  const labels = parseLabelSelector(query.get('labelSelector') ?? '');
  const allowed = [
    'metadata.name',
    'metadata.namespace',
    ...(r.storage === 'namespaces' ? ['name'] : []),
    ...r.fields,
  ];
  const fields: FieldTerm[] = parseFieldSelector(query.get('fieldSelector') ?? '', allowed);
  if (!labels && fields.length === 0) return { match: undefined, namespace };
  const match = (entry: Entry): boolean =>
    fields.every((term) => (fieldValue(r, entry, term.field) === term.value) === term.equal) &&
    (labels === undefined || labels(entry.labels));
  return { match, namespace };
}
