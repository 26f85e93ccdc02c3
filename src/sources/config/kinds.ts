import * as v from 'valibot';
import { type Cidr, tryCidr } from '../../model/net/cidr.ts';

/** A kind of value that a setting can have: how it is checked, how text becomes it, and the words for what is allowed. */
export interface Kind<T> {
  readonly schema: v.GenericSchema<unknown, T>;
  /** Completes "allowed: …". */
  readonly allowed: string;
  /** What stands for the value in a usage line. */
  readonly placeholder: string;
  /** From a flag or an environment variable; text that does not fit comes back as it is and the schema refuses it. */
  fromText(text: string): unknown;
}

export function oneOf<const T extends string>(names: readonly T[]): Kind<T> {
  return {
    schema: v.picklist(names),
    allowed: names.length > 1 ? `${names.slice(0, -1).join(', ')} or ${names.at(-1)}` : names.join(),
    placeholder: names.length > 4 ? 'NAME' : names.join('|'),
    fromText: (text) => text,
  };
}

export function wholeNumber(min: number, max: number, unit = ''): Kind<number> {
  return {
    schema: v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max)),
    allowed: `a whole number from ${min} to ${max}${unit && ` ${unit}`}`,
    placeholder: 'NUMBER',
    fromText: (text) => (/^\d{1,15}$/.test(text) ? Number(text) : text),
  };
}

export function yesNo(): Kind<boolean> {
  return {
    schema: v.boolean(),
    allowed: 'true or false',
    placeholder: 'true|false',
    fromText: (text) => (text === 'true' ? true : text === 'false' ? false : text),
  };
}

/** Text of a form; `allowed` describes the form. */
export function text(form: RegExp, allowed: string, placeholder: string): Kind<string> {
  return { schema: v.pipe(v.string(), v.regex(form)), allowed, placeholder, fromText: (t) => t };
}

/** Linux: at most 15 bytes, no slash, no space (net/core/dev.c, dev_valid_name). */
export function linkName(): Kind<string> {
  return text(
    /^(?!\.\.?$)[^\s/:]{1,15}$/,
    'a link name of 1 to 15 characters without space, "/" or ":"',
    'LINK',
  );
}

export function path(allowed = 'an absolute path'): Kind<string> {
  return text(/^\/[^\0]*$/, allowed, 'PATH');
}

/** Names of namespaces (RFC 1123 labels). */
export function nameList(): Kind<readonly string[]> {
  return {
    schema: v.array(v.pipe(v.string(), v.regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/))),
    allowed: 'a list of names of namespaces',
    placeholder: 'NAME,…',
    fromText: list,
  };
}

export function cidrList(): Kind<readonly Cidr[]> {
  return {
    schema: v.array(
      v.pipe(
        v.string(),
        v.transform((entry) => tryCidr(entry) ?? entry),
        v.custom<Cidr>((entry) => typeof entry === 'string' && tryCidr(entry) !== undefined),
      ),
    ),
    allowed: 'a list of prefixes without host bits, as 192.0.2.0/24 or 2001:db8::/32',
    placeholder: 'CIDR,…',
    fromText: list,
  };
}

function list(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}
