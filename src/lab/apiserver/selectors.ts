import { badRequest } from './status.ts';

/** Decides whether an object's labels are selected. */
export type LabelMatch = (labels: Readonly<Record<string, string>>) => boolean;

/** One requirement of a field selector, already resolved to the position of its value in an entry's `fields`. */
export interface FieldTerm {
  readonly field: string;
  readonly equal: boolean;
  readonly value: string;
}

/** Parses a label selector (`a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`); an empty one selects everything. */
export function parseLabelSelector(source: string): LabelMatch | undefined {
  const words = source.match(/!=|==|=|!|\(|\)|,|>|<|[^\s!=(),<>]+/g) ?? [];
  return words.length === 0 ? undefined : new LabelSelectorParser(words).parse();
}

/** Recursive descent over the words, failing with those of the real server. */
class LabelSelectorParser {
  readonly #words: readonly string[];
  #at = 0;

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  parse(): LabelMatch {
    const first = this.#term();
    const more: LabelMatch[] = [];
    while (this.#at < this.#words.length) {
      if (this.#words[this.#at] !== ',') fail(this.#words[this.#at], "',' or 'end of string'");
      this.#at++;
      more.push(this.#term());
    }
    if (more.length === 0) return first;
    return (labels) => first(labels) && more.every((term) => term(labels));
  }

  #term(): LabelMatch {
    if (this.#words[this.#at] === '!') {
      this.#at++;
      const key = this.#key();
      return (labels) => labels[key] === undefined;
    }
    const key = this.#key();
    const operator = this.#words[this.#at];
    if (operator === undefined || operator === ',') return (labels) => labels[key] !== undefined;
    this.#at++;
    return this.#comparison(key, operator);
  }

  #comparison(key: string, operator: string): LabelMatch {
    switch (operator) {
      case 'in': {
        const values = this.#values();
        return ({ [key]: found }) => found !== undefined && values.has(found);
      }
      case 'notin': {
        const values = this.#values();
        return ({ [key]: found }) => found === undefined || !values.has(found);
      }
      case '=':
      case '==': {
        const value = this.#value();
        return ({ [key]: found }) => found === value;
      }
      case '!=': {
        const value = this.#value();
        return ({ [key]: found }) => found !== value;
      }
      case '>': {
        const value = Number(this.#value());
        return ({ [key]: found }) => Number(found) > value;
      }
      case '<': {
        const value = Number(this.#value());
        return ({ [key]: found }) => Number(found) < value;
      }
      default:
        return fail(operator, 'in, notin, =, ==, !=, gt, lt');
    }
  }

  #key(): string {
    const word = this.#words[this.#at++];
    if (word === undefined || !/^[A-Za-z0-9]/.test(word)) return fail(word, '!, identifier');
    if (!/^([a-z0-9.-]+\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/.test(word)) {
      throw badRequest(`unable to parse requirement: <nil>: Invalid value: "${word}": not a valid label key`);
    }
    return word;
  }

  /** `(a,b)`; nothing between two commas is the empty value. */
  #values(): Set<string> {
    if (this.#words[this.#at] !== '(') fail(this.#words[this.#at], "'('");
    this.#at++;
    const found = new Set<string>();
    for (let last = '('; ; ) {
      const word = this.#words[this.#at++];
      if (word === undefined) return fail('', "',', ')' or identifier");
      const afterSeparator = last === ',' || last === '(';
      if (word === ',' || word === ')') {
        if (afterSeparator) found.add('');
        if (word === ')') return found;
      } else {
        if (!afterSeparator) fail(word, "',' or ')'");
        found.add(word);
      }
      last = word;
    }
  }

  #value(): string {
    const word = this.#words[this.#at];
    if (word === undefined || word === ',') return '';
    if (!/^[A-Za-z0-9_.-]+$/.test(word)) return fail(word, 'identifier');
    this.#at++;
    return word;
  }
}

function fail(found: string | undefined, expected: string): never {
  throw badRequest(`unable to parse requirement: found '${found ?? ''}', expected: ${expected}`);
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
