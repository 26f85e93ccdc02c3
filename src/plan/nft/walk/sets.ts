import { FairleadError } from '../../../model/errors.ts';
import type { NftBody, NftElement, NftSet, NftType, NftVerdict } from '../../../model/rows/nft.ts';
import { fromHex, NFT_VALUES, nftHex, parseNftRange, toHex } from '../../../model/rows/nft-values.ts';
import { compareBytes, type Registers } from './registers.ts';

/** A set or map as a packet finds it. */
export interface SetView {
  readonly set: NftSet;
  /** The element whose key is in the registers from `register` on. */
  find(registers: Registers, register: number): NftElement | undefined;
}

/** All sets and maps with their elements. */
export function lookupTable(bodies: Iterable<NftBody>): ReadonlyMap<string, SetView> {
  const elements = new Map<string, NftElement[]>();
  const sets: NftSet[] = [];
  for (const body of bodies) {
    if (body.kind === 'set') sets.push(body);
    if (body.kind !== 'element') continue;
    const list = elements.get(body.set);
    if (list) list.push(body);
    else elements.set(body.set, [body]);
  }
  return new Map(sets.map((set) => [set.name, viewOf(set, elements.get(set.name) ?? [])]));
}

export function verdictOf({ value, set, key }: NftElement): NftVerdict {
  if (value && 'verdict' in value) return value;
  throw new FairleadError('bad-rule', `element ${key.join(' . ')} of ${set} has no verdict`);
}

function viewOf(set: NftSet, elements: readonly NftElement[]): SetView {
  const length = set.key.reduce((sum, type) => sum + words(type), 0);
  if (!set.interval) {
    const byKey = new Map(elements.map((element) => [exactKey(set, element), element]));
    return { set, find: (registers, register) => byKey.get(toHex(registers.read(register, length))) };
  }
  const ranges = elements.map((element) => ({ element, fields: fieldRanges(set, element) }));
  const find = (registers: Registers, register: number) =>
    ranges.find(({ fields }) =>
      fields.every(({ at, from, to }) => {
        const value = registers.read(register + at / 4, from.length);
        return compareBytes(value, from) >= 0 && compareBytes(value, to) <= 0;
      }),
    )?.element;
  return { set, find };
}

function exactKey(set: NftSet, element: NftElement): string {
  return set.key
    .map((type, i) => {
      const { from, to } = parseNftRange(type, element.key[i] ?? '');
      if (compareBytes(from, to) !== 0)
        throw new FairleadError(
          'bad-rule',
          `set ${set.name} holds no ranges, but ${element.key.join(' . ')}`,
        );
      return nftHex(type, from).padEnd(2 * words(type), '0');
    })
    .join('');
}

function fieldRanges(set: NftSet, element: NftElement): { at: number; from: Uint8Array; to: Uint8Array }[] {
  let at = 0;
  return set.key.map((type, i) => {
    const { from, to } = parseNftRange(type, element.key[i] ?? '');
    const field = { at, from: fromHex(toHex(from)), to };
    at += words(type);
    return field;
  });
}

/** Bytes in whole registers. */
function words(type: NftType): number {
  return 4 * Math.ceil(NFT_VALUES[type].bytes / 4);
}
