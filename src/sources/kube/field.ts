import { type Raw, record } from './raw.ts';

/**
 * One value in what somebody wrote, with the way to it. What is wrong with it is collected as `spec.ingress[0].ports[1].port: …`;
 * reading goes on with something that can be used, so that one look finds all faults. `null` is absent, as the API has it.
 */
export class Field {
  readonly path: string;
  readonly value: unknown;
  readonly #faults: string[];

  constructor(path: string, value: unknown, faults: string[]) {
    this.path = path;
    this.value = value === null ? undefined : value;
    this.#faults = faults;
  }

  get present(): boolean {
    return this.value !== undefined;
  }

  /** How much is wrong in the whole object so far: a part is sound when reading it left this as it was. */
  get faults(): number {
    return this.#faults.length;
  }

  fault(words: string): void {
    this.#faults.push(`${this.path}: ${words}`);
  }

  /** Ends the last fault with what becomes of it. */
  conclude(words: string): void {
    const last = this.#faults.pop();
    if (last !== undefined) this.#faults.push(`${last}; ${words}`);
  }

  at(key: string): Field {
    const raw = record(this.value);
    const path = this.path === '' ? key : `${this.path}.${key}`;
    return new Field(path, Object.hasOwn(raw, key) ? raw[key] : undefined, this.#faults);
  }

  /** Names of the fields that are there. Anything but an object is a fault and has none. */
  keys(): readonly string[] {
    if (!this.present) return [];
    if (typeof this.value !== 'object' || Array.isArray(this.value)) {
      this.fault(`${shown(this.value)} is not an object`);
      return [];
    }
    const raw: Raw = record(this.value);
    return Object.keys(raw).filter((key) => raw[key] !== null && raw[key] !== undefined);
  }

  /** Fields that we do not know may narrow what the known ones say, so each is a fault. Answers the names of those that are there. */
  known(...names: readonly string[]): readonly string[] {
    const keys = this.keys();
    for (const key of keys) if (!names.includes(key)) this.at(key).fault('this field is not known here');
    return keys;
  }

  /** The items of a list; absent = none. Anything but a list is a fault and has none. */
  items(): readonly Field[] {
    if (!this.present) return [];
    if (!Array.isArray(this.value)) {
      this.fault(`${shown(this.value)} is not a list`);
      return [];
    }
    return this.value.map((item, i) => new Field(`${this.path}[${i}]`, item, this.#faults));
  }

  /** The string that it is; absent = empty. Anything else is a fault, and empty. */
  string(): string {
    if (!this.present) return '';
    if (typeof this.value === 'string') return this.value;
    this.fault(`${shown(this.value)} is not a string`);
    return '';
  }

  /** The whole number from `least` to `most` that it is; anything else, also nothing, is a fault. */
  whole(least: number, most: number): number | undefined {
    const { value } = this;
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
    this.fault(`${shown(value)} is not a whole number from ${least} to ${most}`);
    return undefined;
  }
}

/** A value as somebody may recognise it, short. */
export function shown(value: unknown): string {
  const words = JSON.stringify(value) ?? 'nothing';
  return words.length > 60 ? `${words.slice(0, 57)}…` : words;
}

const TOLD = 10;

/** Faults for people: the first ones, and how many there are besides. */
export function told(faults: readonly string[]): readonly string[] {
  const more = faults.length - TOLD;
  return Object.freeze(more > 0 ? [...faults.slice(0, TOLD), `and ${more} more`] : faults);
}
