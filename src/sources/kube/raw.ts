/** Reading of parsed JSON that may be anything. What is not of the asked type is simply not there. */
export type Raw = Readonly<Record<string, unknown>>;

const EMPTY: Raw = Object.freeze({});

/** The object that `value` is, or an empty one. */
export function record(value: unknown): Raw {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Raw) : EMPTY;
}

export function array(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The string that `value` is, or an empty one. */
export function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
