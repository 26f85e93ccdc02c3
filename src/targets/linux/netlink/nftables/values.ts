/** Codecs of payloads that only nftables has. */
import type { NftVerdict } from '../../../../model/rows/nft.ts';
import { attributes, be32, type Codec, eachAttribute, nested, raw, text } from '../attributes.ts';
import { BadNetlink } from '../writer.ts';

/** A number by name; a number without a name cannot be read. */
export function named<const N extends Readonly<Record<string, number>>>(
  codec: Codec<number>,
  names: N,
): Codec<keyof N & string> {
  const byNumber = new Map(Object.entries(names).map(([name, n]) => [n, name as keyof N & string]));
  return {
    write(out, name, siblings) {
      const n = names[name];
      if (n === undefined) throw new BadNetlink(`"${name}" is none of ${Object.keys(names).join(', ')}`);
      codec.write(out, n, siblings);
    },
    read(bytes, start, end, siblings) {
      const n = codec.read(bytes, start, end, siblings);
      const name = byNumber.get(n);
      if (name === undefined) throw new BadNetlink(`${n} is none of ${Object.keys(names).join(', ')}`);
      return name;
    },
  };
}

/** A number that must be this one. */
export function constant(codec: Codec<number>, n: number): Codec<number> {
  return {
    write: (out, _, siblings) => codec.write(out, n, siblings),
    read(bytes, start, end, siblings) {
      const found = codec.read(bytes, start, end, siblings);
      if (found !== n) throw new BadNetlink(`${found} where ${n} belongs`);
      return found;
    },
  };
}

/** One bit that is set or not, of a number without other bits. */
export function bit(codec: Codec<number>, mask: number): Codec<boolean> {
  return {
    write: (out, set, siblings) => codec.write(out, set ? mask : 0, siblings),
    read(bytes, start, end, siblings) {
      const found = codec.read(bytes, start, end, siblings);
      if (found !== 0 && found !== mask) throw new BadNetlink(`flags ${found} where ${mask} belongs`);
      return found === mask;
    },
  };
}

/** Names of the bits that are set. */
export function bits<const N extends Readonly<Record<string, number>>>(
  codec: Codec<number>,
  names: N,
): Codec<readonly (keyof N & string)[]> {
  const all = Object.entries(names) as [keyof N & string, number][];
  return {
    write: (out, set, siblings) =>
      codec.write(
        out,
        set.reduce((sum, name) => sum | (names[name] ?? 0), 0),
        siblings,
      ),
    read(bytes, start, end, siblings) {
      const found = codec.read(bytes, start, end, siblings);
      const rest = all.reduce((left, [, mask]) => left & ~mask, found);
      if (rest !== 0) throw new BadNetlink(`unknown flags ${rest}`);
      return all.filter(([, mask]) => (found & mask) !== 0).map(([name]) => name);
    },
  };
}

/** A whole number of 64 bits in network order; rates and times stay far below 2⁵³. */
export const be64Number: Codec<number> = {
  write: (out, n) => out.be64(BigInt(n)),
  read(bytes, start, end) {
    if (end - start !== 8 || end > bytes.length) throw new BadNetlink(`${end - start} bytes where 8 belong`);
    return Number(bytes.readBigUInt64BE(start));
  },
};

/** Register numbers: the kernel accepts 8 … 23 and reports those on 16-byte borders as 1 … 4. */
export const register: Codec<number> = {
  write: be32.write,
  read(bytes, start, end, siblings) {
    const n = be32.read(bytes, start, end, siblings);
    return n >= 1 && n <= 4 ? 8 + 4 * (n - 1) : n;
  },
};

/** NFT_VERDICTs, and the netfilter verdicts that end a hook. */
const VERDICTS = { drop: 0, accept: 1, continue: -1, jump: -3, goto: -4, return: -5 } as const;
const be32Signed: Codec<number> = {
  write: be32.write,
  read: (bytes, start, end, siblings) => be32.read(bytes, start, end, siblings) | 0,
};
const VERDICT = attributes({ verdict: [1, named(be32Signed, VERDICTS)], chain: [2, text] });
const NFTA_DATA_VALUE = 1;
/** `NFTA_DATA_…` */
const DATA = attributes({ value: [NFTA_DATA_VALUE, raw], verdict: [2, nested(VERDICT)] });
export const data = nested(DATA);

/** NFTA_DATA_VALUE as hexadecimal text. Written out, because rules consist of these. */
export const hex: Codec<string> = {
  nested: true,
  write(out, value) {
    const start = out.beginAttribute(NFTA_DATA_VALUE);
    out.hex(value);
    out.endAttribute(start);
  },
  read(bytes, start, end) {
    let value: string | undefined;
    eachAttribute(bytes, start, end, (type, from, to) => {
      if (type === NFTA_DATA_VALUE) value = bytes.toString('hex', from, to);
    });
    if (value === undefined) throw new BadNetlink('a verdict where a value belongs');
    return value;
  },
};

/** NFTA_DATA_VERDICT. */
export const verdict: Codec<NftVerdict> = {
  nested: true,
  write: (out, value) => DATA.write(out, { verdict: value }, {}),
  read: (bytes, start, end) => verdictOf(DATA.read(bytes, start, end, {}).verdict),
};

export function verdictOf(
  found: { verdict?: NftVerdict['verdict'] | undefined; chain?: string | undefined } | undefined,
): NftVerdict {
  if (found?.verdict === undefined) throw new BadNetlink('a value where a verdict belongs');
  return found.chain === undefined
    ? { verdict: found.verdict }
    : { verdict: found.verdict, chain: found.chain };
}
