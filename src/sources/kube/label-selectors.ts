import { EVERYTHING, type Selector, type SelectorTerm, selector } from '../../model/cluster/selector.ts';
import { type Field, shown } from './field.ts';
import { record } from './raw.ts';

/** apimachinery `validation.IsQualifiedName` and `IsValidLabelValue`. */
const NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const PREFIX = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LONGEST_PREFIX = 253;

/** A meta/v1 LabelSelector; absent = everything. What cannot be used is told, and the answer is then everything: the caller closes. */
export function labelSelector(field: Field): Selector {
  const before = field.faults;
  field.known('matchLabels', 'matchExpressions');
  const labels = field.at('matchLabels');
  labels.keys();
  // Not the keys of present fields: in a map of strings null is the empty string.
  const terms = Object.keys(record(labels.value)).map((key): SelectorTerm => {
    checkKey(key, labels);
    return { key, operator: 'In', values: [labelValue(labels.at(key))] };
  });
  for (const expression of field.at('matchExpressions').items()) {
    const term = termOf(expression);
    if (term) terms.push(term);
  }
  return field.faults > before ? EVERYTHING : selector(terms);
}

function termOf(field: Field): SelectorTerm | undefined {
  field.known('key', 'operator', 'values');
  const key = field.at('key').string();
  checkKey(key, field.at('key'));
  const values = field.at('values').items().map(labelValue);
  const operator = field.at('operator');
  switch (operator.value) {
    case 'In':
    case 'NotIn':
      if (values.length === 0) field.at('values').fault(`${operator.value} needs values`);
      return { key, operator: operator.value, values };
    case 'Exists':
    case 'DoesNotExist':
      if (values.length > 0) field.at('values').fault(`${operator.value} takes no values`);
      return { key, operator: operator.value, values: [] };
    default:
      operator.fault(`${shown(operator.value)} is not In, NotIn, Exists or DoesNotExist`);
      return undefined;
  }
}

function checkKey(key: string, field: Field): void {
  const slash = key.indexOf('/');
  const prefix = key.slice(0, slash);
  const sound =
    NAME.test(key.slice(slash + 1)) &&
    (slash < 0 || (PREFIX.test(prefix) && prefix.length <= LONGEST_PREFIX));
  if (!sound) field.fault(`${shown(key)} cannot be the key of a label`);
}

function labelValue(field: Field): string {
  const value = field.string();
  if (value !== '' && !NAME.test(value)) field.fault(`${shown(value)} cannot be the value of a label`);
  return value;
}
