/** Chains of one transaction that the kernel refused and that have something else to be instead. */
import type { NftBody, NftChain, NftFallback } from '../../../model/rows/nft.ts';

interface Fallen {
  readonly error: Error;
  /** So many of the wanted rules stay. */
  readonly kept: number;
  readonly body: NftChain;
}

export class Fallbacks {
  readonly #fallen = new Map<number, Fallen>();
  /** As `#fallen` was when the attempt under way was planned: what the kernel says is about that. */
  #planned: ReadonlyMap<number, Fallen> = this.#fallen;

  begin(): void {
    this.#planned = new Map(this.#fallen);
  }

  get(row: number): Fallen | undefined {
    return this.#fallen.get(row);
  }

  /**
   * The kernel refuses a rule, counted from 0, of what was planned for this row. False when nothing is left that could stand in
   * its place: the row has no fallback, or that was refused too.
   */
  refused(row: number, wanted: NftBody | undefined, rule: number, error: Error): boolean {
    if (wanted?.kind !== 'chain' || wanted.ifRefused === undefined) return false;
    const planned = this.#planned.get(row)?.kept ?? wanted.rules.length;
    if (rule >= planned) return false;
    const before = this.#fallen.get(row);
    const kept = partOf(wanted.ifRefused, Math.min(rule, before?.kept ?? rule));
    const { kind, name, hook } = wanted;
    const rules = [...wanted.rules.slice(0, kept), ...wanted.ifRefused.rules];
    this.#fallen.set(row, { error: before?.error ?? error, kept, body: { kind, name, hook, rules } });
    return true;
  }
}

/** Where the part begins that this rule is in. */
function partOf({ parts = [0] }: NftFallback, rule: number): number {
  return parts.findLast((start) => start <= rule) ?? 0;
}
