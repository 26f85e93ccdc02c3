/** Sets and maps on the wire. */
import { FairleadError } from '../../../../model/errors.ts';
import { NFT_TABLE, type NftFamily, type NftSet, type NftType } from '../../../../model/rows/nft.ts';
import { checkNftComment, NFT_VALUES } from '../../../../model/rows/nft-values.ts';
import { attributes, be32, list, type NetlinkMessage, nested, raw, text } from '../attributes.ts';
import { NLM_F_CREATE, NLM_F_DUMP } from '../constants.ts';
import { BadNetlink } from '../writer.ts';
import {
  NFPROTO,
  NFT_DATA_VERDICT,
  NFT_MSG_DELSET,
  NFT_MSG_GETSET,
  NFT_MSG_NEWSET,
  NFT_SET_ANONYMOUS,
  NFT_SET_CONCAT,
  NFT_SET_EVAL,
  NFT_SET_INTERVAL,
  NFT_SET_MAP,
  NFT_SET_TIMEOUT,
  NFT_TYPE_IDS,
  TYPE_BITS,
} from './constants.ts';
import { bodyOf, checkName, familyOf, message } from './objects.ts';
import { commentIn, type UserData, userData, userNumber, userText } from './userdata.ts';
import { be64Number } from './values.ts';

const DESCRIPTION = attributes({
  size: [1, be32],
  fields: [2, list(nested(attributes({ length: [1, be32] })))],
});
/** NFTA_SET_… */
export const SET = attributes({
  table: [1, text],
  name: [2, text],
  flags: [3, be32],
  keyType: [4, be32],
  keyLength: [5, be32],
  valueType: [6, be32],
  valueLength: [7, be32],
  description: [9, nested(DESCRIPTION)],
  id: [10, be32],
  timeout: [11, be64Number],
  userdata: [13, userData],
  /** NFTA_SET_EXPR and _EXPRESSIONS: state in each element. Not ours. */
  expr: [17, raw],
  expressions: [18, raw],
  /** How many elements it has; Linux 6.18 and later say so. */
  count: [20, be32],
});

/** NFTNL_UDATA_SET_… */
const KEY_BYTE_ORDER = 0;
const VALUE_BYTE_ORDER = 1;
const COMMENT = 7;
const HOST_ORDER = 1;
const NETWORK_ORDER = 2;
/** Of a concatenation each field has its own. */
const NO_ORDER = 0;

/** The kernel's limit of a key and of a value (NFT_DATA_VALUE_MAXLEN) and of fields (NFT_REG32_COUNT). */
const MAX_KEY = 64;
const KNOWN_FLAGS = NFT_SET_INTERVAL | NFT_SET_MAP | NFT_SET_TIMEOUT | NFT_SET_EVAL | NFT_SET_CONCAT;

/** Whether ranges are kept as whole elements (concatenations) instead of as two ends each. */
export function isRangeConcatenation(set: NftSet): boolean {
  return set.interval && set.key.length > 1;
}

/** Makes a set. `id` is unique within the batch. */
export function newSet(family: NftFamily, set: NftSet, id: number): Buffer {
  checkName('set', set.name);
  if (set.comment !== undefined) checkNftComment(set.comment);
  if (set.key.length === 0 || widthOf(set.key) > MAX_KEY)
    throw new FairleadError('bad-nft-set', `set ${set.name}: a key has 1 to ${MAX_KEY} bytes`);
  return message(family, NFT_MSG_NEWSET, NLM_F_CREATE, SET, {
    table: NFT_TABLE,
    name: set.name,
    flags: flagsOf(set),
    keyType: typeId(set.key),
    keyLength: widthOf(set.key),
    ...valueAttributes(set),
    description: {
      size: set.size,
      ...(isRangeConcatenation(set) && {
        fields: set.key.map((type) => ({ length: NFT_VALUES[type].bytes })),
      }),
    },
    id,
    ...(set.timeout && { timeout: set.timeout }),
    userdata: userDataOf(set),
  });
}

export const deleteSet = (family: NftFamily, name: string) =>
  message(family, NFT_MSG_DELSET, 0, SET, { table: NFT_TABLE, name });
export const dumpSets = (family: NftFamily) =>
  message(family, NFT_MSG_GETSET, NLM_F_DUMP, SET, { table: NFT_TABLE });

/** A set of ours and how many elements the kernel counts in it; `undefined` as `setOf`. */
export function countedSetOf(
  reply: NetlinkMessage,
  family: NftFamily,
): { set: NftSet; count: number | undefined } | undefined {
  const set = setOf(reply, family);
  return set && { set, count: bodyOf(reply, SET).count };
}

/**
 * A set of ours; `undefined` for other tables' and for those that belong to one rule. One that we could not have made (another type, state in
 * its elements) has an empty key, so that it is the same as nothing that is wanted.
 */
export function setOf(reply: NetlinkMessage, family: NftFamily): NftSet | undefined {
  const found = bodyOf(reply, SET);
  const { table, name, flags = 0, description, timeout, userdata } = found;
  if (table !== NFT_TABLE || familyOf(reply) !== NFPROTO[family] || (flags & NFT_SET_ANONYMOUS) !== 0)
    return undefined;
  if (name === undefined || found.keyType === undefined) throw new BadNetlink('a set without name or key');
  const key = typesOf(found.keyType);
  const value = (flags & NFT_SET_MAP) === 0 ? undefined : valueTypes(found.valueType);
  const strange =
    (flags & ~KNOWN_FLAGS) !== 0 ||
    value === 'strange' ||
    found.expr !== undefined ||
    found.expressions !== undefined;
  const comment = commentIn(userdata, COMMENT);
  return {
    kind: 'set',
    name,
    key: strange ? [] : key,
    ...(value !== undefined && value !== 'strange' && { value }),
    interval: (flags & NFT_SET_INTERVAL) !== 0,
    ...((flags & NFT_SET_TIMEOUT) !== 0 && { timeout: timeout ?? 0 }),
    ...((flags & NFT_SET_EVAL) !== 0 && { dynamic: true }),
    ...(description?.size && { size: description.size }),
    ...(comment !== undefined && comment !== '' && { comment }),
  };
}

/** Fields are padded to whole registers. */
export function widthOf(types: readonly NftType[]): number {
  if (types.length === 1 && types[0] !== undefined) return NFT_VALUES[types[0]].bytes;
  return types.reduce((sum, type) => sum + paddedBytes(type), 0);
}

export function paddedBytes(type: NftType): number {
  return (NFT_VALUES[type].bytes + 3) & ~3;
}

function flagsOf(set: NftSet): number {
  let flags = 0;
  if (set.interval) flags |= NFT_SET_INTERVAL;
  if (isRangeConcatenation(set)) flags |= NFT_SET_CONCAT;
  if (set.value !== undefined) flags |= NFT_SET_MAP;
  if (set.timeout !== undefined) flags |= NFT_SET_TIMEOUT;
  if (set.dynamic) flags |= NFT_SET_EVAL;
  return flags;
}

function valueAttributes({ value }: NftSet): { valueType?: number; valueLength?: number } {
  if (value === undefined) return {};
  if (value === 'verdict') return { valueType: NFT_DATA_VERDICT, valueLength: 0 };
  return { valueType: typeId(value), valueLength: widthOf(value) };
}

function typeId(types: readonly NftType[]): number {
  return types.reduce((id, type) => (id << TYPE_BITS) | NFT_TYPE_IDS[type], 0) >>> 0;
}

const TYPES = new Map<number, NftType>(
  Object.entries(NFT_TYPE_IDS).map(([name, id]) => [id, name as NftType]),
);

/** Empty when one of them is not known. */
function typesOf(id: number): NftType[] {
  const types: NftType[] = [];
  for (let rest = id; rest > 0; rest >>>= TYPE_BITS) {
    const type = TYPES.get(rest & ((1 << TYPE_BITS) - 1));
    if (type === undefined) return [];
    types.unshift(type);
  }
  return types;
}

function valueTypes(id: number | undefined): NftType[] | 'verdict' | 'strange' {
  if (id === NFT_DATA_VERDICT) return 'verdict';
  const types = typesOf(id ?? 0);
  return types.length === 0 ? 'strange' : types;
}

function userDataOf(set: NftSet): UserData {
  const entries = new Map<number, Uint8Array>([[KEY_BYTE_ORDER, userNumber(byteOrder(set.key))]]);
  if (set.value !== undefined)
    entries.set(VALUE_BYTE_ORDER, userNumber(set.value === 'verdict' ? NO_ORDER : byteOrder(set.value)));
  if (set.comment) entries.set(COMMENT, userText(set.comment));
  return entries;
}

function byteOrder(types: readonly NftType[]): number {
  const [type] = types;
  if (types.length !== 1 || type === undefined) return NO_ORDER;
  return NFT_VALUES[type].hostOrder ? HOST_ORDER : NETWORK_ORDER;
}
