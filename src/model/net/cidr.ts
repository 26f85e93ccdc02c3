import { FairleadError } from '../errors.ts';
import { type Family, familyOf, type Ip, ipBytes, ipFromBytes, tryIp } from './ip.ts';

/** A prefix in canonical text, host bits zero: `10.1.2.0/24`, `fd00:1::/64`. */
export type Cidr = string & { readonly __cidr: never };

/** An address together with the length of its prefix, host bits kept: `10.1.2.1/24`. What `ip addr` shows. */
export type IpPrefix = string & { readonly __ipPrefix: never };

/** Reads a prefix. Throws `bad-cidr` when the text is malformed or has host bits set (the error shows the prefix meant). */
export function cidr(text: string): Cidr {
  const { address, length } = splitPrefix(text);
  const canonical = networkOf(address, length);
  if (!canonical.startsWith(`${address}/`)) {
    throw new FairleadError('bad-cidr', `"${text}" has host bits set`, { hint: `write ${canonical}` });
  }
  return canonical;
}

/** Reads a prefix; `undefined` when it is malformed or has host bits set. */
export function tryCidr(text: string): Cidr | undefined {
  try {
    return cidr(text);
  } catch {
    return undefined;
  }
}

/** Takes `address/length` apart. Throws `bad-cidr`. */
export function splitPrefix(text: string): { address: Ip; length: number; family: Family } {
  const slash = text.indexOf('/');
  const address = slash < 0 ? undefined : tryIp(text.slice(0, slash));
  const length = lengthOf(text, slash + 1);
  if (address === undefined || length === undefined) {
    throw new FairleadError('bad-cidr', `"${text}" is not a prefix`, { hint: 'write ADDRESS/LENGTH' });
  }
  const family = familyOf(address);
  if (length > (family === 'ipv4' ? 32 : 128)) {
    throw new FairleadError('bad-cidr', `"${text}" has a prefix length that ${family} does not have`);
  }
  return { address, length, family };
}

/** One to three digits from `start` to the end. */
function lengthOf(text: string, start: number): number | undefined {
  if (text.length === start || text.length > start + 3) return undefined;
  let length = 0;
  for (let i = start; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return undefined;
    length = 10 * length + digit;
  }
  return length;
}

/** The prefix that `address` lies in. */
export function networkOf(address: string, length: number): Cidr {
  return `${ipFromBytes(masked(ipBytes(address), length))}/${length}` as Cidr;
}

export function hostCidr(address: string): Cidr {
  return `${address}/${familyOf(address) === 'ipv4' ? 32 : 128}` as Cidr;
}

/** Whether `inner` (an address or a prefix) lies wholly in `outer`. */
export function contains(outer: string, inner: string): boolean {
  const a = splitPrefix(outer);
  const b = splitPrefix(inner.includes('/') ? inner : hostCidr(inner));
  return (
    a.family === b.family &&
    b.length >= a.length &&
    networkOf(b.address, a.length) === networkOf(a.address, a.length)
  );
}

export function overlaps(a: string, b: string): boolean {
  return contains(a, b) || contains(b, a);
}

/** The `offset`-th address of a prefix; 1 is what CNI's host-local calls the gateway. */
export function nthAddress(prefix: string, offset: number): Ip {
  const { address } = splitPrefix(prefix);
  const bytes = ipBytes(address);
  let carry = offset;
  for (let i = bytes.length - 1; i >= 0 && carry > 0; i--) {
    const sum = (bytes[i] ?? 0) + (carry & 0xff);
    bytes[i] = sum & 0xff;
    carry = (carry >>> 8) + (sum >> 8);
  }
  return ipFromBytes(bytes);
}

function masked(bytes: Uint8Array, length: number): Uint8Array {
  for (let i = length >> 3; i < bytes.length; i++) {
    const bits = Math.max(0, length - 8 * i);
    bytes[i] = (bytes[i] ?? 0) & (0xff << (8 - bits));
  }
  return bytes;
}
