import { FairleadError } from '../errors.ts';

/** A MAC address in lower case with colons: `02:00:0a:f4:01:00`. */
export type Mac = string & { readonly __mac: never };

/** `undefined` for text that is not a MAC address. */
export function tryMac(text: string): Mac | undefined {
  return /^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$/.test(text) ? (text.toLowerCase() as Mac) : undefined;
}

/** Reads a MAC address. Throws `bad-mac`. */
export function mac(text: string): Mac {
  const parsed = tryMac(text);
  if (parsed === undefined) throw new FairleadError('bad-mac', `"${text}" is not a MAC address`);
  return parsed;
}

/** The 6 bytes of a canonical MAC address. */
export function macBytes(address: string): Uint8Array {
  const bytes = new Uint8Array(6);
  for (let i = 0; i < 6; i++) bytes[i] = Number.parseInt(address.slice(3 * i, 3 * i + 2), 16);
  return bytes;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Text of 6 bytes. Throws `bad-mac` for any other length. */
export function macFromBytes(bytes: Uint8Array): Mac {
  if (bytes.length !== 6)
    throw new FairleadError('bad-mac', `a MAC address has 6 bytes, not ${bytes.length}`);
  let text = HEX[bytes[0] ?? 0] ?? '';
  for (let i = 1; i < 6; i++) text += `:${HEX[bytes[i] ?? 0]}`;
  return text as Mac;
}
