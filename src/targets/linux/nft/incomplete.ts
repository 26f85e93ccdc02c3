/** Sets that lack elements which the kernel refused: a chain by whose rules a missing element opens something is closed meanwhile. */
import { type NftChain, type NftElement, nftElementKey } from '../../../model/rows/nft.ts';

export class Incomplete {
  readonly #missing = new Map<string, Map<string, Error>>();

  get none(): boolean {
    return this.#missing.size === 0;
  }

  /** Whether that is new. */
  refused({ set, key }: NftElement, error: Error): boolean {
    const missing = this.#missing.get(set) ?? new Map<string, Error>();
    this.#missing.set(set, missing);
    const name = nftElementKey(set, key);
    const fresh = !missing.has(name);
    missing.set(name, new Error(`without ${name}: ${error.message}`));
    return fresh;
  }

  /** It is there, or is to be there no more. */
  settled({ set, key }: NftElement): void {
    if (this.none) return;
    const missing = this.#missing.get(set);
    if (!missing) return;
    missing.delete(nftElementKey(set, key));
    if (missing.size === 0) this.#missing.delete(set);
  }

  /** Forgets what is there, whoever put it there. */
  seen(present: ReadonlyMap<string, unknown>): void {
    for (const missing of this.#missing.values())
      for (const key of missing.keys()) if (present.has(key)) missing.delete(key);
  }

  /** The first rule that looks into a set which lacks something that is still wanted, and why it does. */
  firstRule(
    { rules }: NftChain,
    wants: (key: string) => boolean,
  ): readonly [rule: number, error: Error] | undefined {
    if (this.#missing.size === 0) return undefined;
    for (const [i, { exprs }] of rules.entries()) {
      for (const expr of exprs) {
        const error = expr.expr === 'lookup' ? this.#lack(expr.set, wants) : undefined;
        if (error) return [i, error];
      }
    }
    return undefined;
  }

  #lack(set: string, wants: (key: string) => boolean): Error | undefined {
    const missing = this.#missing.get(set);
    for (const [key, error] of missing ?? []) {
      if (wants(key)) return error;
      missing?.delete(key);
    }
    return undefined;
  }
}

/** Whether an element that is missing from the set lets anything through: where a match does anything but accept. */
export function opensWithout({ rules }: NftChain, set: string): boolean {
  return rules.some(
    ({ exprs }) =>
      exprs.some((expr) => expr.expr === 'lookup' && expr.set === set && expr.dreg === undefined) &&
      !exprs.some((expr) => expr.expr === 'verdict' && expr.verdict.verdict === 'accept'),
  );
}
