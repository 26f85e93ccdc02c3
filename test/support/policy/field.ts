/** A file is not what its format says: told without a stack, by the field's place. */
export class CaseError extends Error {}

/** A value of a JSON file of anybody's, and its place in it. What is not as it must be throws {@link CaseError}: `steps[0].probe.kind: …`. */
export class Field {
  readonly value: unknown;
  readonly path: string;

  constructor(value: unknown, path = '') {
    this.value = value;
    this.path = path;
  }

  /** A member of an object; one that is not there is `undefined`. */
  at(key: string): Field {
    const path = this.path === '' ? key : `${this.path}.${key}`;
    return new Field(this.#object()[key], path);
  }

  get absent(): boolean {
    return this.value === undefined || this.value === null;
  }

  /** Of a list; absent = none. */
  items(): readonly Field[] {
    if (this.absent) return [];
    if (!Array.isArray(this.value)) return this.fail('must be a list');
    return this.value.map((value, i) => new Field(value, `${this.path}[${i}]`));
  }

  /** Of an object; absent = none. */
  entries(): readonly (readonly [string, Field])[] {
    return this.absent ? [] : Object.keys(this.#object()).map((key) => [key, this.at(key)]);
  }

  text(): string {
    return typeof this.value === 'string' ? this.value : this.fail('must be a text');
  }

  /** Not the empty text. */
  name(): string {
    return this.text() || this.fail('must not be empty');
  }

  texts(): readonly string[] {
    return this.items().map((item) => item.text());
  }

  /** Texts by name, as labels are; absent = none. */
  textsByName(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.entries().map(([key, field]) => [key, field.text()]));
  }

  /** A port's number. */
  port(): number {
    const { value } = this;
    const fits = typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535;
    return fits ? value : this.fail('must be a number from 1 to 65535');
  }

  oneOf<T extends string>(...known: readonly T[]): T {
    return known.find((one) => one === this.value) ?? this.fail(`must be ${known.join(' or ')}`);
  }

  fail(words: string): never {
    const found = this.absent ? 'is not there' : `is ${shortened(JSON.stringify(this.value))}`;
    throw new CaseError(`${this.path === '' ? 'the file' : this.path} ${found}: ${words}`);
  }

  #object(): Readonly<Record<string, unknown>> {
    const { value } = this;
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return this.fail('must be an object');
    return value as Readonly<Record<string, unknown>>;
  }
}

const shortened = (text: string): string => (text.length <= 60 ? text : `${text.slice(0, 60)}…`);
