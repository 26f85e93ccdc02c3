/**
 * Netlink attributes (linux/netlink.h `struct nlattr`) as tables: a table says which attribute has which number and which
 * codec, and one walker encodes and decodes by it.
 *
 *     const ADDRESS = attributes({ address: [1, ip], local: [2, ip], label: [3, text] });
 *     ADDRESS.write(out, { local: '10.0.0.1' });      // absent and undefined values are not written
 *     ADDRESS.read(bytes, start, end);                // → { local?: string, … }; unknown attributes are skipped
 *
 * Reading never looks outside `start … end` and throws nothing but `BadNetlink`.
 */
import { ipBytes, ipFromBytes } from '../../../model/net/ip.ts';
import { macBytes, macFromBytes } from '../../../model/net/mac.ts';
import { NLMSG_HEADER } from './constants.ts';
import { BadNetlink, TYPE_MASK, Writer } from './writer.ts';

const NESTED = 0x8000;
const HEADER = 4;

/** Values of the attributes beside the one at hand: some attributes mean what a neighbour says (IFLA_INFO_DATA by IFLA_INFO_KIND). */
export type Siblings = Readonly<Record<string, unknown>>;

/** How one attribute's payload is written and read. */
export interface Codec<T> {
  write(out: Writer, value: T, siblings: Siblings): void;
  read(bytes: Buffer, start: number, end: number, siblings: Siblings): T;
  /** Sets NLA_F_NESTED. */
  readonly nested?: true;
  /** The attribute may come several times; the value is the array of all. */
  readonly repeated?: true;
}

export type Schema = Readonly<Record<string, readonly [type: number, codec: Codec<unknown>]>>;
export type ValuesOf<S extends Schema> = {
  readonly [K in keyof S]?: (S[K][1] extends Codec<infer T> ? T : never) | undefined;
};
/** A table of attributes, itself the codec of a payload that holds them. */
export type Table<S extends Schema> = Codec<ValuesOf<S>>;
/** The values that a table reads and writes. */
export type Values<T> = T extends Codec<infer V> ? V : never;

const NO_SIBLINGS: Siblings = Object.freeze({});

const shared = new Writer();

/** One request: `head` writes the family's fixed header, the table the attributes. Flags include NLM_F_REQUEST. */
export function encode<T>(
  type: number,
  flags: number,
  head: (out: Writer) => void,
  table?: Codec<T>,
  values?: T,
): Buffer {
  shared.begin(type, flags);
  head(shared);
  shared.align();
  if (table !== undefined && values !== undefined) table.write(shared, values, NO_SIBLINGS);
  return shared.end();
}

/** One message as it came. `bytes` is only lent: it is overwritten after the callback that got it. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Of a notification: the port of the socket whose request caused it, 0 when the kernel acted by itself. */
  readonly port: number;
  readonly bytes: Buffer;
  /** Where the family's fixed header begins. */
  readonly start: number;
  readonly end: number;
}

/** Walks the messages of one datagram. Throws `BadNetlink` for lengths that do not fit. */
export function eachMessage(bytes: Buffer, length: number, visit: (message: NetlinkMessage) => void): void {
  const limit = Math.min(length, bytes.length);
  for (let at = 0; at < limit; ) {
    if (limit - at < NLMSG_HEADER) throw new BadNetlink(`${limit - at} bytes are too few for a message`);
    const size = bytes.readUInt32LE(at);
    if (size < NLMSG_HEADER || size > limit - at)
      throw new BadNetlink(`a message of ${size} bytes does not fit`);
    visit({
      type: bytes.readUInt16LE(at + 4),
      flags: bytes.readUInt16LE(at + 6),
      sequence: bytes.readUInt32LE(at + 8),
      port: bytes.readUInt32LE(at + 12),
      bytes,
      start: at + NLMSG_HEADER,
      end: at + size,
    });
    at += (size + 3) & ~3;
  }
}

/** Where the attributes of a message begin, `size` being that of the family's fixed header. Throws when it is cut short. */
export function afterHeader(message: NetlinkMessage, size: number): number {
  if (message.end - message.start < size) {
    throw new BadNetlink(`message ${message.type} has no room for its header of ${size} bytes`);
  }
  return message.start + ((size + 3) & ~3);
}

/** Visits each attribute in `start … end`. */
export function eachAttribute(
  bytes: Buffer,
  start: number,
  end: number,
  visit: (type: number, start: number, end: number) => void,
): void {
  const limit = Math.min(end, bytes.length);
  for (let at = start; at + HEADER <= limit; ) {
    const size = bytes.readUInt16LE(at);
    if (size < HEADER || size > limit - at)
      throw new BadNetlink(`an attribute of ${size} bytes does not fit`);
    visit(bytes.readUInt16LE(at + 2) & TYPE_MASK, at + HEADER, at + size);
    at += (size + 3) & ~3;
  }
}

/** Makes a table. Attributes are written in the order of the table. */
export function attributes<const S extends Schema>(schema: S): Table<S> {
  const entries = Object.entries(schema).map(([name, [type, codec]]) => ({ name, type, codec }));
  const byType: ((typeof entries)[number] | undefined)[] = [];
  for (const entry of entries) byType[entry.type] = entry;
  return {
    write(out, values) {
      const given = values as Siblings;
      for (const { name, type, codec } of entries) {
        const value = given[name];
        if (value === undefined) continue;
        if (codec.repeated)
          for (const one of value as readonly unknown[]) writeOne(out, type, codec, one, given);
        else writeOne(out, type, codec, value, given);
      }
    },
    read(bytes, start, end) {
      const values: Record<string, unknown> = {};
      eachAttribute(bytes, start, end, (type, from, to) => {
        const entry = byType[type];
        if (entry === undefined) return;
        const { name, codec } = entry;
        const value = codec.read(bytes, from, to, values);
        if (!codec.repeated) values[name] = value;
        else if (Array.isArray(values[name])) values[name].push(value);
        else values[name] = [value];
      });
      return values as ValuesOf<S>;
    },
  };
}

function writeOne<T>(out: Writer, type: number, codec: Codec<T>, value: T, siblings: Siblings): void {
  const start = out.beginAttribute(codec.nested ? type | NESTED : type);
  codec.write(out, value, siblings);
  out.endAttribute(start);
}

function sized<T>(
  size: number,
  write: (out: Writer, value: T) => void,
  read: (bytes: Buffer, at: number) => T,
): Codec<T> {
  return {
    write,
    read(bytes, start, end) {
      if (end - start < size || end > bytes.length)
        throw new BadNetlink(`${end - start} bytes where ${size} belong`);
      return read(bytes, start);
    },
  };
}

/** Numbers in host order. */
export const u8 = sized<number>(
  1,
  (out, n) => out.u8(n),
  (b, at) => b.readUInt8(at),
);
export const u16 = sized<number>(
  2,
  (out, n) => out.u16(n),
  (b, at) => b.readUInt16LE(at),
);
export const u32 = sized<number>(
  4,
  (out, n) => out.u32(n),
  (b, at) => b.readUInt32LE(at),
);
export const i32 = sized<number>(
  4,
  (out, n) => out.u32(n),
  (b, at) => b.readInt32LE(at),
);
export const u64 = sized<bigint>(
  8,
  (out, n) => out.u64(n),
  (b, at) => b.readBigUInt64LE(at),
);
/** Numbers in network order. */
export const be16 = sized<number>(
  2,
  (out, n) => out.be16(n),
  (b, at) => b.readUInt16BE(at),
);
export const be32 = sized<number>(
  4,
  (out, n) => out.be32(n),
  (b, at) => b.readUInt32BE(at),
);
export const be64 = sized<bigint>(
  8,
  (out, n) => out.be64(n),
  (b, at) => b.readBigUInt64BE(at),
);

/** Present or not. */
export const flag: Codec<true> = { write() {}, read: () => true };

/** Text with a closing zero, as NLA_NUL_STRING wants it. */
export const text: Codec<string> = {
  write(out, value) {
    out.text(value);
    out.u8(0);
  },
  read(bytes, start, end) {
    const zero = bytes.indexOf(0, start);
    return bytes.toString('utf8', start, zero >= start && zero < end ? zero : end);
  },
};

/** Raw bytes; reading copies them. */
export const raw: Codec<Uint8Array> = {
  write: (out, value) => out.bytes(value),
  read: (bytes, start, end) => Buffer.from(bytes.subarray(start, end)),
};

/** An address of either family, canonical text. */
export const ip: Codec<string> = {
  write: (out, value) => out.bytes(ipBytes(value)),
  read(bytes, start, end) {
    const size = end - start;
    if (end > bytes.length || (size !== 4 && size !== 16))
      throw new BadNetlink(`an address of ${size} bytes`);
    if (size === 4) return `${bytes[start]}.${bytes[start + 1]}.${bytes[start + 2]}.${bytes[start + 3]}`;
    return ipFromBytes(bytes.subarray(start, end));
  },
};

/** A MAC address. Link addresses of another length (tunnels, InfiniBand) read as empty text. */
export const mac: Codec<string> = {
  write: (out, value) => out.bytes(macBytes(value)),
  read: (bytes, start, end) => (end - start === 6 ? macFromBytes(bytes.subarray(start, end)) : ''),
};

/** Attributes within the attribute. */
export function nested<T>(table: Codec<T>): Codec<T> {
  return { nested: true, write: table.write, read: table.read };
}

/** The same attribute several times, side by side. */
export function repeated<T>(codec: Codec<T>): Codec<readonly T[]> {
  return { ...(codec as unknown as Codec<readonly T[]>), repeated: true };
}

/** Elements within the attribute, all of one type (NFTA_LIST_ELEM = 1). Reading takes every type. */
export function list<T>(codec: Codec<T>, type = 1): Codec<readonly T[]> {
  return elements(codec, () => type);
}

/** Elements numbered from `first`. */
export function indexed<T>(codec: Codec<T>, first = 1): Codec<readonly T[]> {
  return elements(codec, (i) => first + i);
}

function elements<T>(codec: Codec<T>, typeOf: (i: number) => number): Codec<readonly T[]> {
  return {
    nested: true,
    write(out, values) {
      let i = 0;
      for (const value of values) writeOne(out, typeOf(i++), codec, value, NO_SIBLINGS);
    },
    read(bytes, start, end) {
      const values: T[] = [];
      eachAttribute(bytes, start, end, (_, from, to) => values.push(codec.read(bytes, from, to, {})));
      return values;
    },
  };
}

/**
 * A nested payload whose table the sibling `name` chooses (it must stand before it, in the table and on the wire).
 * An unknown choice reads as `undefined` and cannot be written.
 */
export function chosenBy<const C extends Readonly<Record<string, Codec<unknown>>>>(
  name: string,
  choices: C,
): Codec<Values<C[keyof C]> | undefined> {
  const choose = (siblings: Siblings) => {
    const key = siblings[name];
    return typeof key === 'string' && Object.hasOwn(choices, key) ? choices[key] : undefined;
  };
  return {
    nested: true,
    write(out, value, siblings) {
      const codec = choose(siblings);
      if (codec === undefined) throw new BadNetlink(`no table for ${name} "${String(siblings[name])}"`);
      codec.write(out, value, siblings);
    },
    read: (bytes, start, end, siblings) =>
      choose(siblings)?.read(bytes, start, end, siblings) as Values<C[keyof C]> | undefined,
  };
}
