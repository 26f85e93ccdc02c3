import { fromHex } from '../../../model/rows/nft-values.ts';

/** 16 registers of 32 bits, numbered from 8 (`NFT_REG32_00`). What is stored is filled up with zeros to whole registers. */
export class Registers {
  readonly #bytes = new Uint8Array(64);

  store(register: number, value: Uint8Array): void {
    const at = 4 * (register - 8);
    this.#bytes.fill(0, at, at + 4 * Math.ceil(value.length / 4));
    this.#bytes.set(value, at);
  }

  read(register: number, length: number): Uint8Array {
    const at = 4 * (register - 8);
    return this.#bytes.subarray(at, at + length);
  }

  /** Less than, equal to or greater than 0, as memcmp. */
  compare(register: number, hex: string): number {
    const wanted = fromHex(hex);
    return compareBytes(this.read(register, wanted.length), wanted);
  }
}

export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
