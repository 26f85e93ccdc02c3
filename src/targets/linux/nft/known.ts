/** What we know of our table between two observations: the types of its sets (needed to write elements), and its chains. */
import type { NftBody, NftChain, NftSet } from '../../../model/rows/nft.ts';
import type { Change } from '../../../reconcile/target.ts';
import type { Snapshot } from '../netlink/nftables/readback.ts';

export class Known {
  /** Whether the table was read at all. */
  complete = false;
  dormant = false;
  #sets = new Map<string, NftSet>();
  #chains = new Map<string, NftChain>();

  get sets(): ReadonlyMap<string, NftSet> {
    return this.#sets;
  }

  get chains(): Iterable<NftChain> {
    return this.#chains.values();
  }

  replace(snapshot: Snapshot): void {
    this.complete = true;
    this.dormant = snapshot.dormant;
    this.#sets = new Map(snapshot.sets);
    this.#chains = new Map(snapshot.chains);
  }

  /** A change that the kernel took. */
  learn({ wanted, found }: Change<NftBody>): void {
    const body = wanted ?? found;
    if (body?.kind === 'set') {
      if (wanted?.kind === 'set') this.#sets.set(wanted.name, wanted);
      else this.#sets.delete(body.name);
    } else if (body?.kind === 'chain') {
      if (wanted?.kind === 'chain') this.#chains.set(wanted.name, wanted);
      else this.#chains.delete(body.name);
    }
  }

  /** Whether the table would be empty without these. */
  isEmptyWithout(removals: readonly Change<NftBody>[]): boolean {
    const [sets, chains] = [new Set<string>(), new Set<string>()];
    for (const { found } of removals) {
      if (found?.kind === 'set' && this.#sets.has(found.name)) sets.add(found.name);
      else if (found?.kind === 'chain' && this.#chains.has(found.name)) chains.add(found.name);
    }
    return sets.size === this.#sets.size && chains.size === this.#chains.size;
  }
}
