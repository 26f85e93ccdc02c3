/**
 * Values of nftables types: nft's own text on one side, the kernel's bytes on the other. Bytes are in network order; `hostOrder`
 * types stand in host order in packets' registers and in sets without ranges, which is for the writer to know.
 */
import { FairleadError } from '../errors.ts';
import { ipBytes, ipFromBytes, isCanonicalV6 } from '../net/ip.ts';
import { mac, macBytes, macFromBytes } from '../net/mac.ts';
import type { NftType } from './nft.ts';

interface ValueType {
  readonly bytes: number;
  readonly hostOrder?: true;
  parse(text: string): Uint8Array;
  format(bytes: Uint8Array): string;
}

/** All values from `from` to `to`, both included. */
export interface NftRange {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

/** Protocols that nft prints by name. */
const PROTOCOLS = new Map([
  ['icmp', 1],
  ['tcp', 6],
  ['udp', 17],
  ['gre', 47],
  ['esp', 50],
  ['ah', 51],
  ['ipv6-icmp', 58],
  ['sctp', 132],
  ['udplite', 136],
]);
const FAMILIES = new Map([
  ['ipv4', 2],
  ['ipv6', 10],
]);
const IFNAME_BYTES = 16;
/** What `nft` itself allows in a comment, without the closing zero. */
const COMMENT_BYTES = 127;

export const NFT_VALUES: Readonly<Record<NftType, ValueType>> = {
  ipv4_addr: { bytes: 4, parse: (text) => address(text, 4), format: (bytes) => ipFromBytes(bytes) },
  ipv6_addr: { bytes: 16, parse: (text) => address(text, 16), format: formatIpv6 },
  ether_addr: { bytes: 6, parse: (text) => macBytes(mac(text)), format: (bytes) => macFromBytes(bytes) },
  inet_proto: named(PROTOCOLS),
  inet_service: {
    bytes: 2,
    parse: (text) => decimal(text, 2),
    format: (bytes) => String(numberOf(bytes)),
  },
  mark: {
    bytes: 4,
    hostOrder: true,
    parse: parseMark,
    format: (bytes) => `0x${numberOf(bytes).toString(16).padStart(8, '0')}`,
  },
  ifname: { bytes: IFNAME_BYTES, hostOrder: true, parse: parseIfname, format: formatIfname },
  nf_inet_proto: named(FAMILIES),
};

/** Reads a value, a prefix (`10.0.0.0/24`, `eth*`) or a range (`80-90`). Throws `bad-nft-value` for text that is not in nft's normal form. */
export function parseNftRange(type: NftType, text: string): NftRange {
  const range = rangeOf(type, text);
  const normal = formatNftRange(type, range);
  if (normal !== text) throw bad(type, text, `write ${normal}`);
  return range;
}

/** Reads a single value. Throws `bad-nft-value`. */
export function parseNftValue(type: NftType, text: string): Uint8Array {
  const quick = type === 'ipv4_addr' ? fastIpv4(text) : undefined;
  if (quick !== undefined) return quick;
  const value = NFT_VALUES[type].parse(text);
  if (type === 'ipv6_addr' && isCanonicalV6(text, value)) return value;
  const normal = NFT_VALUES[type].format(value);
  if (normal !== text) throw bad(type, text, `write ${normal}`);
  return value;
}

export function formatNftRange(type: NftType, { from, to }: NftRange): string {
  const { format } = NFT_VALUES[type];
  if (equal(from, to)) return format(from);
  if (type === 'ifname') {
    const length = wildcardLength(from, to);
    if (length !== undefined) return `${textOf(from.subarray(0, length))}*`;
  }
  if (type === 'ipv4_addr' || type === 'ipv6_addr') {
    const length = prefixLength(from, to);
    if (length !== undefined) return `${format(from)}/${length}`;
  }
  return `${format(from)}-${format(to)}`;
}

/** Bytes as lower-case hexadecimal text, in the order that registers want. */
export function nftHex(type: NftType, value: Uint8Array): string {
  return toHex(NFT_VALUES[type].hostOrder && type !== 'ifname' ? value.toReversed() : value);
}

export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte < 16 ? `0${byte.toString(16)}` : byte.toString(16);
  return text;
}

export function fromHex(text: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/.test(text))
    throw new FairleadError('bad-hex', `"${text}" is not lower-case hexadecimal text`);
  return Uint8Array.from({ length: text.length / 2 }, (_, i) =>
    Number.parseInt(text.slice(2 * i, 2 * i + 2), 16),
  );
}

/** Throws `bad-nft-comment` when nft could not show it. */
export function checkNftComment(comment: string): void {
  if (new TextEncoder().encode(comment).length > COMMENT_BYTES || /["\p{Cc}]/u.test(comment)) {
    throw new FairleadError('bad-nft-comment', `the comment "${comment}" is too long or not printable`, {
      hint: `at most ${COMMENT_BYTES} bytes, no quotes`,
    });
  }
}

function rangeOf(type: NftType, text: string): NftRange {
  const { parse, bytes } = NFT_VALUES[type];
  if (type === 'ifname') {
    if (!text.endsWith('*')) return single(parse(text));
    const prefix = new TextEncoder().encode(text.slice(0, -1));
    if (prefix.length === 0 || prefix.length >= bytes) throw bad(type, text);
    const from = padded(prefix, 0);
    return { from, to: padded(prefix, 0xff) };
  }
  const slash = text.indexOf('/');
  if (slash > 0 && (type === 'ipv4_addr' || type === 'ipv6_addr')) {
    const length = Number(text.slice(slash + 1));
    if (!/^\d{1,3}$/.test(text.slice(slash + 1)) || length > 8 * bytes) throw bad(type, text);
    const from = parse(text.slice(0, slash));
    return { from, to: from.map((byte, i) => byte | hostBits(length, i)) };
  }
  const dash = text.indexOf('-');
  if (dash <= 0 || type === 'inet_proto') return single(parse(text));
  const range = { from: parse(text.slice(0, dash)), to: parse(text.slice(dash + 1)) };
  if (compare(range.from, range.to) > 0) throw bad(type, text, 'the smaller value comes first');
  return range;
}

function single(value: Uint8Array): NftRange {
  return { from: value, to: value };
}

function address(text: string, bytes: 4 | 16): Uint8Array {
  const value = bytes === 4 ? (fastIpv4(text) ?? ipBytes(text)) : ipBytes(text);
  if (value.length !== bytes) throw bad(bytes === 4 ? 'ipv4_addr' : 'ipv6_addr', text);
  return value;
}

/** The common case, in normal form, without a regular expression: sets have tens of thousands of these. */
function fastIpv4(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(4);
  let at = 0;
  let n = 0;
  let digits = 0;
  for (let i = 0; i <= text.length; i++) {
    const c = i < text.length ? text.charCodeAt(i) - 48 : -2;
    if (c >= 0 && c <= 9) {
      if (digits > 0 && n === 0) return undefined; // a leading zero
      n = 10 * n + c;
      digits++;
    } else if (c === -2 && digits > 0 && digits <= 3 && n <= 255 && at < 4) {
      bytes[at++] = n;
      n = 0;
      digits = 0;
    } else return undefined;
  }
  return at === 4 ? bytes : undefined;
}

/** As RFC 5952, but IPv4-mapped addresses stay IPv6: the set's type must be readable from the text. */
function formatIpv6(bytes: Uint8Array): string {
  const text = ipFromBytes(bytes);
  return text.includes(':') ? text : `::ffff:${text}`;
}

function named(names: ReadonlyMap<string, number>): ValueType {
  const byNumber = new Map([...names].map(([name, n]) => [n, name]));
  return {
    bytes: 1,
    parse(text) {
      const n = names.get(text);
      return n === undefined ? decimal(text, 1) : Uint8Array.of(n);
    },
    format: ([n = 0]) => byNumber.get(n) ?? String(n),
  };
}

function decimal(text: string, bytes: 1 | 2): Uint8Array {
  const n = Number(text);
  if (!/^\d{1,5}$/.test(text) || n >= 256 ** bytes)
    throw new FairleadError('bad-nft-value', `"${text}" is not a number of ${bytes} bytes or a known name`);
  return bytes === 1 ? Uint8Array.of(n) : Uint8Array.of(n >> 8, n & 0xff);
}

function parseMark(text: string): Uint8Array {
  if (!/^0x[0-9a-f]{8}$/.test(text)) throw bad('mark', text, 'write 0x and eight hexadecimal digits');
  return fromHex(text.slice(2));
}

function parseIfname(text: string): Uint8Array {
  const name = new TextEncoder().encode(text);
  if (name.length === 0 || name.length >= IFNAME_BYTES || /[\s/"*]/.test(text)) throw bad('ifname', text);
  return padded(name, 0);
}

function formatIfname(bytes: Uint8Array): string {
  const zero = bytes.indexOf(0);
  return textOf(zero < 0 ? bytes : bytes.subarray(0, zero));
}

function padded(prefix: Uint8Array, fill: number): Uint8Array {
  const bytes = new Uint8Array(IFNAME_BYTES).fill(fill);
  bytes.set(prefix);
  return bytes;
}

/** How many bytes are the same, when all after them are 0 in `from` and 255 in `to`. */
function wildcardLength(from: Uint8Array, to: Uint8Array): number | undefined {
  let length = from.findIndex((byte, i) => byte !== to[i]);
  while (length > 0 && from[length - 1] === 0) length--;
  for (let i = length; i < from.length; i++) if (from[i] !== 0 || to[i] !== 0xff) return undefined;
  return length > 0 ? length : undefined;
}

function prefixLength(from: Uint8Array, to: Uint8Array): number | undefined {
  let length = 0;
  while (length < 8 * from.length && bit(from, length) === bit(to, length)) length++;
  for (let i = length; i < 8 * from.length; i++) if (bit(from, i) !== 0 || bit(to, i) !== 1) return undefined;
  return length;
}

function bit(bytes: Uint8Array, i: number): number {
  return ((bytes[i >> 3] ?? 0) >> (7 - (i & 7))) & 1;
}

/** The bits of byte `i` that lie behind a prefix of `length` bits. */
function hostBits(length: number, i: number): number {
  return 0xff >> Math.min(8, Math.max(0, length - 8 * i));
}

function numberOf(bytes: Uint8Array): number {
  return bytes.reduce((n, byte) => 256 * n + byte, 0);
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || compare(a, b) === 0;
}

function compare(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function bad(type: NftType, text: string, hint = ''): FairleadError {
  return new FairleadError('bad-nft-value', `"${text}" is not a value of the nft type ${type}`, { hint });
}
