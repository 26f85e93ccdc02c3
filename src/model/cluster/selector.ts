/**
 * A label selector (meta/v1 LabelSelector) in one form: all terms must hold; no terms = everything. `matchLabels` become `In` with one value.
 * Terms are in order of key, operator and values, values sorted and distinct, so that equal selectors have equal `text`.
 */
export interface Selector {
  readonly terms: readonly SelectorTerm[];
  /** Canonical, readable and unambiguous, as kubectl writes it: `app=web,tier in (a,b),!legacy`; empty = everything. */
  readonly text: string;
}

export interface SelectorTerm {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  readonly values: readonly string[];
}

export type Labels = Readonly<Record<string, string>>;

export const EVERYTHING: Selector = Object.freeze({ terms: Object.freeze([]), text: '' });

export function selector(terms: readonly SelectorTerm[]): Selector {
  if (terms.length === 0) return EVERYTHING;
  const sorted = terms
    .map(({ key, operator, values }) => ({ key, operator, values: [...new Set(values)].sort() }))
    .map((term) => ({ term, text: textOf(term) }))
    .sort((a, b) => (a.text < b.text ? -1 : 1));
  const distinct = sorted.filter(({ text }, i) => text !== sorted[i - 1]?.text);
  return Object.freeze({
    terms: Object.freeze(distinct.map(({ term }) => Object.freeze(term))),
    text: distinct.map(({ text }) => text).join(','),
  });
}

export function matches({ terms }: Selector, labels: Labels): boolean {
  for (const term of terms) if (!holds(term, labels)) return false;
  return true;
}

/** NotIn and DoesNotExist also hold for labels without the key. */
function holds({ key, operator, values }: SelectorTerm, labels: Labels): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
  }
}

function textOf({ key, operator, values }: SelectorTerm): string {
  switch (operator) {
    case 'In':
      return values.length === 1 ? `${key}=${values[0]}` : `${key} in (${values.join(',')})`;
    case 'NotIn':
      return values.length === 1 ? `${key}!=${values[0]}` : `${key} notin (${values.join(',')})`;
    case 'Exists':
      return key;
    case 'DoesNotExist':
      return `!${key}`;
  }
}
