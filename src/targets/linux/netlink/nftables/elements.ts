/**
 * Elements of sets and maps on the wire. A range in a set of one field is two elements, its first value and the first behind it
 * (NFT_SET_ELEM_INTERVAL_END; none when the range ends with the last value there is); in a concatenation it is one element with KEY and KEY_END.
 */
import { FairleadError } from '../../../../model/errors.ts';
import {
  NFT_TABLE,
  type NftElement,
  type NftFamily,
  type NftSet,
  type NftType,
  type NftVerdict,
} from '../../../../model/rows/nft.ts';
import {
  checkNftComment,
  formatNftRange,
  NFT_VALUES,
  type NftRange,
  parseNftRange,
  parseNftValue,
} from '../../../../model/rows/nft-values.ts';
import { attributes, be32, list, type NetlinkMessage, nested, text, type Values } from '../attributes.ts';
import { NLM_F_CREATE, NLM_F_DUMP } from '../constants.ts';
import { BadNetlink } from '../writer.ts';
import {
  NFT_MSG_DELSETELEM,
  NFT_MSG_GETSETELEM,
  NFT_MSG_NEWSETELEM,
  NFT_SET_ELEM_INTERVAL_END,
} from './constants.ts';
import { bodyOf, message } from './objects.ts';
import { isRangeConcatenation, paddedBytes, widthOf } from './sets.ts';
import { commentIn, commentOnly, userData } from './userdata.ts';
import { be64Number, data, verdictOf } from './values.ts';

/** NFTA_SET_ELEM_… */
const ELEMENT = attributes({
  key: [1, data],
  value: [2, data],
  flags: [3, be32],
  timeout: [4, be64Number],
  userdata: [6, userData],
  keyEnd: [10, data],
});
/** NFTA_SET_ELEM_LIST_… */
export const ELEMENTS = attributes({
  table: [1, text],
  set: [2, text],
  elements: [3, list(nested(ELEMENT))],
  setId: [4, be32],
});
/** One element as the kernel has it. */
export type WireElement = Values<typeof ELEMENT>;

/** Bytes of one element on the wire at most: two ends of 64 bytes each, a value, a comment, headers. */
const MAX_ELEMENT = 640;
/** How many fit one message: an attribute, and so a list, has at most 65,535 bytes. */
export const ELEMENTS_PER_MESSAGE = Math.floor(0xffff / MAX_ELEMENT);

/** `set`: its name, or the id that it was made with in the same batch: the kernel looks for a name among all sets, one by one. */
export function addElements(
  family: NftFamily,
  set: string | number,
  elements: readonly WireElement[],
): Buffer {
  const which = typeof set === 'number' ? { setId: set } : { set };
  return message(family, NFT_MSG_NEWSETELEM, NLM_F_CREATE, ELEMENTS, {
    table: NFT_TABLE,
    ...which,
    elements,
  });
}

export function deleteElements(family: NftFamily, set: string, elements: readonly WireElement[]): Buffer {
  return message(family, NFT_MSG_DELSETELEM, 0, ELEMENTS, { table: NFT_TABLE, set, elements });
}

export const dumpElements = (family: NftFamily, set: string) =>
  message(family, NFT_MSG_GETSETELEM, NLM_F_DUMP, ELEMENTS, { table: NFT_TABLE, set });

export function elementsOf(reply: NetlinkMessage): readonly WireElement[] {
  return bodyOf(reply, ELEMENTS).elements ?? [];
}

/** One or two elements. Throws a typed error for text that is not in normal form or does not fit the set. */
export function wireElements(set: NftSet, element: NftElement): readonly WireElement[] {
  const { value, timeout, comment } = element;
  if (comment !== undefined) checkNftComment(comment);
  if ((value === undefined) !== (set.value === undefined))
    throw misfit(element, set.value === undefined ? 'takes no values' : 'wants a value');
  if (timeout && set.timeout === undefined) throw misfit(element, 'knows no timeouts');
  if (timeout && timeout === set.timeout) throw misfit(element, 'has this timeout already: leave it out');
  const { from, to } = wireKey(set, element);
  const start: WireElement = {
    key: { value: from },
    value: value && wireValue(set, element, value),
    timeout: timeout || undefined,
    userdata: commentOnly(comment),
    keyEnd: to && isRangeConcatenation(set) ? { value: to } : undefined,
  };
  return withEnd(set, start, to);
}

/** As much as a deletion needs. */
export function wireKeys(set: NftSet, element: NftElement): readonly WireElement[] {
  const { from, to } = wireKey(set, element);
  const keyEnd = to && isRangeConcatenation(set) ? { value: to } : undefined;
  return withEnd(set, { key: { value: from }, keyEnd }, to);
}

function withEnd(set: NftSet, start: WireElement, to: Uint8Array | undefined): readonly WireElement[] {
  if (to === undefined || isRangeConcatenation(set)) return [start];
  const behind = plusOne(to, 1);
  // Nothing lies behind a range that ends with the last value.
  return behind === undefined
    ? [start]
    : [start, { key: { value: behind }, flags: NFT_SET_ELEM_INTERVAL_END }];
}

function wireValue(
  set: NftSet,
  element: NftElement,
  value: readonly string[] | NftVerdict,
): Values<typeof data> {
  if ('verdict' in value) {
    if (set.value !== 'verdict') throw misfit(element, 'takes no verdicts');
    return { verdict: value };
  }
  const types = set.value;
  if (types === 'verdict' || types === undefined || types.length !== value.length)
    throw misfit(element, 'takes other values');
  const values = types.map((type, i) => parseNftValue(type, value[i] ?? ''));
  return { value: joined(types, values, false) };
}

/** First and, in a set with ranges, last key of the element. */
function wireKey(set: NftSet, element: NftElement): { from: Uint8Array; to: Uint8Array | undefined } {
  const { key } = element;
  if (key.length !== set.key.length) throw misfit(element, `has a key of ${set.key.length} fields`);
  const [type] = set.key;
  if (!set.interval && set.key.length === 1 && type !== undefined)
    return { from: joined(set.key, [parseNftValue(type, key[0] ?? '')], false), to: undefined };
  if (!set.interval) {
    const values = set.key.map((type, i) => parseNftValue(type, key[i] ?? ''));
    return { from: joined(set.key, values, false), to: undefined };
  }
  const ranges = set.key.map((type, i) => parseNftRange(type, key[i] ?? ''));
  return {
    from: joined(
      set.key,
      ranges.map((range) => range.from),
      true,
    ),
    to: joined(
      set.key,
      ranges.map((range) => range.to),
      true,
    ),
  };
}

/** Fields side by side as in registers. Sets with ranges keep all in network order, as comparisons of size want it. */
function joined(types: readonly NftType[], values: readonly Uint8Array[], networkOrder: boolean): Uint8Array {
  const [first] = values;
  if (types.length === 1 && first !== undefined)
    return types[0] === 'mark' && !networkOrder ? first.toReversed() : first;
  const bytes = new Uint8Array(widthOf(types));
  let at = 0;
  for (const [i, type] of types.entries()) {
    const value = values[i] ?? new Uint8Array();
    bytes.set(type === 'mark' && !networkOrder ? value.toReversed() : value, at);
    at += paddedBytes(type);
  }
  return bytes;
}

function apart(
  types: readonly NftType[],
  bytes: Uint8Array | undefined,
  networkOrder: boolean,
): Uint8Array[] {
  if (bytes === undefined || bytes.length < widthOf(types))
    throw new BadNetlink('an element without a whole key');
  let at = 0;
  return types.map((type) => {
    const value = bytes.subarray(at, at + NFT_VALUES[type].bytes);
    at += paddedBytes(type);
    return type === 'mark' && !networkOrder ? value.toReversed() : value;
  });
}

/** Elements in normal form out of all that the kernel has of a set (order does not matter). */
export function readElements(set: NftSet, found: readonly WireElement[]): NftElement[] {
  if (!set.interval || isRangeConcatenation(set))
    return found.map((one) => elementOf(set, one, rangesOf(set, one)));
  return pairedEnds(set, found);
}

function rangesOf(set: NftSet, found: WireElement): NftRange[] {
  const from = apart(set.key, found.key?.value, set.interval);
  const to = found.keyEnd?.value === undefined ? from : apart(set.key, found.keyEnd.value, set.interval);
  return from.map((value, i) => ({ from: value, to: to[i] ?? value }));
}

function pairedEnds(set: NftSet, found: readonly WireElement[]): NftElement[] {
  const [type] = set.key;
  if (type === undefined) return [];
  const points = found.map((one) => ({
    one,
    at: apart(set.key, one.key?.value, true)[0] ?? new Uint8Array(),
    isEnd: ((one.flags ?? 0) & NFT_SET_ELEM_INTERVAL_END) !== 0,
  }));
  // An end before the start at the same place: it belongs to the range before.
  points.sort((a, b) => Buffer.compare(a.at, b.at) || Number(b.isEnd) - Number(a.isEnd));
  const elements: NftElement[] = [];
  let open: (typeof points)[number] | undefined;
  const close = (to: Uint8Array) => {
    if (open) elements.push(elementOf(set, open.one, [{ from: open.at, to }]));
    open = undefined;
  };
  for (const point of points) {
    const before = plusOne(point.at, -1);
    if (before) close(before);
    if (!point.isEnd) open = point;
  }
  close(new Uint8Array(NFT_VALUES[type].bytes).fill(0xff));
  return elements;
}

function elementOf(set: NftSet, found: WireElement, ranges: readonly NftRange[]): NftElement {
  const comment = commentIn(found.userdata);
  const base: NftElement = {
    kind: 'element',
    set: set.name,
    key: set.key.map((type, i) => formatNftRange(type, ranges[i] ?? { from: empty, to: empty })),
    ...(set.value !== undefined && { value: readValue(set.value, found) }),
    ...(found.timeout && found.timeout !== set.timeout && { timeout: found.timeout }),
    ...(comment !== undefined && comment !== '' && { comment }),
  };
  return base;
}

const empty = new Uint8Array();

function readValue(
  types: readonly NftType[] | 'verdict',
  found: WireElement,
): readonly string[] | NftVerdict {
  if (types === 'verdict') return verdictOf(found.value?.verdict);
  return apart(types, found.value?.value, false).map((value, i) => {
    const type = types[i];
    return type === undefined ? '' : NFT_VALUES[type].format(value);
  });
}

/** The value behind (1) or before (-1), `undefined` when there is none. */
function plusOne(value: Uint8Array, step: 1 | -1): Uint8Array | undefined {
  const result = Uint8Array.from(value);
  for (let i = result.length - 1; i >= 0; i--) {
    const sum = (result[i] ?? 0) + step;
    result[i] = sum & 0xff;
    if (sum >= 0 && sum <= 0xff) return result;
  }
  return undefined;
}

function misfit({ set, key }: NftElement, what: string): FairleadError {
  return new FairleadError('bad-nft-element', `element ${key.join(' . ')}: the set ${set} ${what}`);
}
