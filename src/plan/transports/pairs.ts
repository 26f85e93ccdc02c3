import type { Node } from '../../model/cluster/node.ts';
import { equal } from '../../model/equal.ts';
import type { NodeFollower, NodeIndex } from '../nodes/node-index.ts';
import { choosePair } from './choice.ts';
import type { Carrier } from './transport.ts';
import type { Self } from './underlay.ts';

/** How many pairs of this node want or have each carrier, kept while Nodes come and go. */
class PairCounts implements NodeFollower {
  readonly #self: Self;
  readonly #counts = new Map<Carrier, number>();

  constructor(self: Self) {
    this.#self = self;
  }

  node(before: Node | undefined, after: Node | undefined): void {
    if (before && after && equal(before, after)) return;
    if (before) this.#add(before, -1);
    if (after) this.#add(after, 1);
  }

  carriers(): Carrier[] {
    return [...this.#counts.keys()].sort();
  }

  #add(peer: Node, by: 1 | -1): void {
    if (peer.name === this.#self.name) return;
    const { wanted, carrier } = choosePair(this.#self, peer);
    if (wanted !== undefined) this.#count(wanted, by);
    if (carrier !== undefined && carrier !== wanted) this.#count(carrier, by);
  }

  #count(carrier: Carrier, by: 1 | -1): void {
    const count = (this.#counts.get(carrier) ?? 0) + by;
    if (count > 0) this.#counts.set(carrier, count);
    else this.#counts.delete(carrier);
  }
}

/** Carriers that this node sends by or wants to send by, sorted. Costs nothing but the Nodes that changed. */
export function carriersInUse(self: Self, index: NodeIndex): readonly Carrier[] {
  return index.follow('pairs', self, () => new PairCounts(self)).carriers();
}
