/** What we know of our table between two observations: the types of its sets (needed to write elements), and whether anything is left. */
import type { NftBody, NftSet } from '../../../model/rows/nft.ts';
import type { Change } from '../../../reconcile/target.ts';
import type { Snapshot } from '../netlink/nftables/readback.ts';

export class Known {
  /** Whether the table was read at all. */
  complete = false;
  dormant = false;
  #sets: ReadonlyMap<string, NftSet> = new Map();
  #chains: ReadonlySet<string> = new Set();

  get sets(): ReadonlyMap<string, NftSet> {
    return this.#sets;
  }

  replace(snapshot: Snapshot): void {
    this.complete = true;
    this.dormant = snapshot.dormant;
    this.#sets = snapshot.sets;
    this.#chains = new Set(snapshot.chains.keys());
  }

  /** Changes that the kernel took. */
  learn(changes: readonly Change<NftBody>[]): void {
    ({ sets: this.#sets, chains: this.#chains } = this.#after(changes));
  }

  /** Whether these changes would leave an empty table. */
  isEmptyAfter(changes: readonly Change<NftBody>[]): boolean {
    const { sets, chains } = this.#after(changes);
    return sets.size === 0 && chains.size === 0;
  }

  #after(changes: readonly Change<NftBody>[]) {
    const sets = new Map(this.#sets);
    const chains = new Set(this.#chains);
    for (const { wanted, found } of changes) {
      const body = wanted ?? found;
      if (body?.kind === 'element') continue;
      if (body?.kind === 'set') {
        if (wanted?.kind === 'set') sets.set(wanted.name, wanted);
        else sets.delete(body.name);
      } else if (body?.kind === 'chain') {
        if (wanted) chains.add(body.name);
        else chains.delete(body.name);
      }
    }
    return { sets, chains };
  }
}
