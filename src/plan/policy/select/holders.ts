import type { Ip } from '../../../model/net/ip.ts';

/** Keys of pods by address. Nearly always it is one, and that one has no list. */
export class Holders {
  readonly #keys = new Map<Ip, string | readonly string[]>();

  of(ip: Ip): readonly string[] {
    const keys = this.#keys.get(ip);
    return keys === undefined ? NOBODY : typeof keys === 'string' ? [keys] : keys;
  }

  /** Whether anybody has it. */
  has(ip: Ip): boolean {
    return this.#keys.has(ip);
  }

  add(ip: Ip, key: string): void {
    const keys = this.of(ip);
    if (!keys.includes(key)) this.#set(ip, [...keys, key]);
  }

  remove(ip: Ip, key: string): void {
    this.#set(
      ip,
      this.of(ip).filter((other) => other !== key),
    );
  }

  #set(ip: Ip, keys: readonly string[]): void {
    const [first] = keys;
    if (first === undefined) this.#keys.delete(ip);
    else this.#keys.set(ip, keys.length === 1 ? first : keys);
  }
}

const NOBODY: readonly string[] = [];
