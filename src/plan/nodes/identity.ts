import { type Ip, ipFromBytes } from '../../model/net/ip.ts';
import { type Mac, macBytes, macFromBytes } from '../../model/net/mac.ts';

/**
 * MAC address of a node's tunnel devices: a pure function of the node's name, so that every node knows it without asking.
 * Locally administered, unicast (IEEE 802 section 8.4), 46 bits of hash. Changing this breaks running clusters.
 */
export function nodeMac(name: string): Mac {
  return identity(name).mac;
}

/** The node's address on its tunnel devices and the next hop towards it: link-local, modified EUI-64 (RFC 4291 appendix A). */
export function nodeLinkLocal(name: string): Ip {
  return identity(name).linkLocal;
}

interface Identity {
  readonly mac: Mac;
  readonly linkLocal: Ip;
}

/** Remembered up to a limit; a function of the name alone. */
const KNOWN = new Map<string, Identity>();
const MOST = 20_000;

function identity(name: string): Identity {
  const known = KNOWN.get(name);
  if (known) return known;
  const mac = macOf(name);
  const fresh = { mac, linkLocal: linkLocalOf(mac) };
  if (KNOWN.size >= MOST) KNOWN.clear();
  KNOWN.set(name, fresh);
  return fresh;
}

function macOf(name: string): Mac {
  const high = hash32(name, 0x9747b28c);
  const low = hash32(name, 0x3c6ef372);
  return macFromBytes(
    Uint8Array.of(
      ((high >>> 24) & 0xfc) | 0x02,
      (high >>> 16) & 0xff,
      (high >>> 8) & 0xff,
      (low >>> 24) & 0xff,
      (low >>> 16) & 0xff,
      (low >>> 8) & 0xff,
    ),
  );
}

function linkLocalOf(mac: Mac): Ip {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = macBytes(mac);
  return ipFromBytes(Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 0x02, b, c, 0xff, 0xfe, d, e, f));
}

/** A short, well mixed hash of text: FNV-1a with the finisher of MurmurHash3. Not for secrets. */
function hash32(text: string, seed: number): number {
  let h = seed;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
