import { badRequest } from './status.ts';

/** Decides whether an object's labels are selected. */
export type LabelMatch = (labels: Readonly<Record<string, string>>) => boolean;

/** One requirement of a field selector, already resolved to the position of its value in an entry's `fields`. */
export interface FieldTerm {
  readonly field: string;
  readonly equal: boolean;
  readonly value: string;
}

type Token = string;

function tokens(source: string): Token[] {
  return source.match(/!=|==|=|!|\(|\)|,|>|<|[^\s!=(),<>]+/g) ?? [];
}

const oneOf = ['in', 'notin', '=', '==', '!=', 'gt', 'lt'].join(', ');

/** Parses a label selector (`a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`); an empty one selects everything. */
export function parseLabelSelector(source: string): LabelMatch | undefined {
  const words = tokens(source);
  if (words.length === 0) return undefined;
  const terms: LabelMatch[] = [];
  let i = 0;
  const fail = (found: string | undefined, expected: string): never => {
    throw badRequest(`unable to parse requirement: found '${found ?? ''}', expected: ${expected}`);
  };
  const key = (): string => {
    const word = words[i++];
    if (word === undefined || !/^[A-Za-z0-9]/.test(word)) return fail(word, '!, identifier');
    if (!/^([a-z0-9.-]+\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/.test(word)) {
      throw badRequest(`unable to parse requirement: <nil>: Invalid value: "${word}": not a valid label key`);
    }
    return word;
  };
  const values = (): Set<string> => {
    if (words[i] !== '(') fail(words[i], "'('");
    i++;
    const found = new Set<string>();
    let last = '(';
    for (;;) {
      const word = words[i++];
      if (word === undefined) return fail('', "',', ')' or identifier");
      if (word === ',' || word === ')') {
        if (last === ',' || last === '(') found.add('');
        if (word === ')') return found;
      } else {
        if (last !== ',' && last !== '(') fail(word, "',' or ')'");
        found.add(word);
      }
      last = word;
    }
  };
  const value = (): string => {
    const word = words[i];
    if (word === undefined || word === ',') return '';
    if (!/^[A-Za-z0-9_.-]+$/.test(word)) return fail(word, 'identifier');
    i++;
    return word;
  };
  const term = (): LabelMatch => {
    if (words[i] === '!') {
      i++;
      const k = key();
      return (labels) => labels[k] === undefined;
    }
    const k = key();
    const operator = words[i];
    if (operator === undefined || operator === ',') return (labels) => labels[k] !== undefined;
    i++;
    if (operator === 'in' || operator === 'notin') {
      const set = values();
      if (operator === 'in') return (labels) => labels[k] !== undefined && set.has(labels[k]);
      return (labels) => labels[k] === undefined || !set.has(labels[k]);
    }
    if (operator === '=' || operator === '==') {
      const v = value();
      return (labels) => labels[k] === v;
    }
    if (operator === '!=') {
      const v = value();
      return (labels) => labels[k] !== v;
    }
    if (operator === '>' || operator === '<') {
      const v = Number(value());
      return (labels) => {
        const found = Number(labels[k] ?? Number.NaN);
        return operator === '>' ? found > v : found < v;
      };
    }
    return fail(operator, oneOf);
  };
  for (;;) {
    terms.push(term());
    if (i >= words.length) break;
    if (words[i] !== ',') fail(words[i], "',' or 'end of string'");
    i++;
  }
  const [only] = terms;
  if (terms.length === 1 && only) return only;
  return (labels) => terms.every((t) => t(labels));
}

/** Parses a field selector (`spec.nodeName=n1,status.phase!=Failed`); `\,`, `\=` and `\\` are escapes. */
export function parseFieldSelector(source: string, allowed: readonly string[]): FieldTerm[] {
  const terms: FieldTerm[] = [];
  for (const part of source.split(/(?<!\\),/)) {
    if (part === '') continue;
    const match = /^((?:[^=!\\]|\\.)*?)(!=|==|=)(.*)$/.exec(part);
    if (!match) throw badRequest(`invalid selector: '${source}'; can't understand '${part}'`);
    const [, field = '', operator, value = ''] = match;
    if (!allowed.includes(field)) throw badRequest(`field label not supported: ${field}`);
    terms.push({ field, equal: operator !== '!=', value: value.replace(/\\([\\,=])/g, '$1') });
  }
  return terms;
}
