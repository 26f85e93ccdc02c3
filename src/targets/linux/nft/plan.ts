/**
 * Messages of one transaction, in the order that the kernel needs: what refers goes before what is referred to, and comes after it.
 *
 *     release   elements that go or change · rules of chains that go or change
 *     replace   base chains with another hook, sets of another type
 *     create    sets · chains · rules · elements
 *     delete    sets · chains
 */
import { FairleadError } from '../../../model/errors.ts';
import type { NftBody, NftChain, NftElement, NftFamily, NftRule, NftSet } from '../../../model/rows/nft.ts';
import type { Change } from '../../../reconcile/target.ts';
import {
  addElements,
  deleteElements,
  ELEMENTS_PER_MESSAGE,
  type WireElement,
  wireElements,
  wireKeys,
} from '../netlink/nftables/elements.ts';
import {
  deleteChain,
  deleteTable,
  flushChain,
  newChain,
  newRule,
  newTable,
} from '../netlink/nftables/objects.ts';
import type { Snapshot } from '../netlink/nftables/readback.ts';
import { deleteSet, newSet } from '../netlink/nftables/sets.ts';
import type { Known } from './known.ts';

/** One message and the rows that fail with it; none = the whole transaction. */
export interface Step {
  readonly message: Buffer;
  readonly rows: readonly number[];
  /** The set, for a message of elements. */
  readonly set?: string;
  /** Which rule of its chain it is, from 1. */
  readonly rule?: number;
  readonly comment?: string;
}

export interface BatchPlan {
  /** Empty when there is nothing to send. */
  readonly steps: readonly Step[];
  /** Rows that cannot even be written down. */
  readonly refused: ReadonlyMap<number, Error>;
}

/** A change that is not decided yet, and which row of the batch it is. */
export interface OpenChange {
  readonly row: number;
  readonly change: Change<NftBody>;
}

interface ElementChange {
  readonly row: number;
  readonly element: NftElement;
}

/**
 * `single`: sets whose elements go one a message. `snapshot`: the table as it is, needed when a set is replaced by one of another type.
 */
export function planBatch(
  family: NftFamily,
  open: readonly OpenChange[],
  known: Known,
  single: ReadonlySet<string>,
  snapshot?: Snapshot,
): BatchPlan {
  if (
    open.length > 0 &&
    open.every(({ change }) => change.wanted === undefined) &&
    known.isEmptyWithout(open.map(({ change }) => change))
  )
    return { steps: [{ message: deleteTable(family), rows: [] }], refused: new Map() };
  const planner = new BatchPlanner(family, open, known, single, snapshot);
  return planner.plan();
}

class BatchPlanner {
  readonly #family: NftFamily;
  readonly #open: readonly OpenChange[];
  readonly #known: Known;
  readonly #single: ReadonlySet<string>;
  readonly #snapshot: Snapshot | undefined;
  readonly #refused = new Map<number, Error>();
  readonly #release: Step[] = [];
  readonly #replace: Step[] = [];
  readonly #sets: Step[] = [];
  readonly #chains: Step[] = [];
  readonly #rules: Step[] = [];
  readonly #elements: Step[] = [];
  readonly #delete: Step[] = [];
  /** Sets that this batch makes, and names of those that it removes or makes again: their elements go with them. */
  readonly #made = new Map<string, { readonly set: NftSet; readonly id: number }>();
  readonly #gone = new Set<string>();
  readonly #removals = new Map<string, ElementChange[]>();
  readonly #additions = new Map<string, ElementChange[]>();

  constructor(
    family: NftFamily,
    open: readonly OpenChange[],
    known: Known,
    single: ReadonlySet<string>,
    snapshot: Snapshot | undefined,
  ) {
    this.#family = family;
    this.#open = open;
    this.#known = known;
    this.#single = single;
    this.#snapshot = snapshot;
  }

  plan(): BatchPlan {
    for (const one of this.#open) this.#plan(one);
    for (const [set, elements] of this.#removals) this.#removeElements(set, elements);
    for (const [set, elements] of this.#additions) this.#addElements(set, elements);
    const work = [
      this.#release,
      this.#replace,
      this.#sets,
      this.#chains,
      this.#rules,
      this.#elements,
      this.#delete,
    ].flat();
    const steps = work.length === 0 ? [] : [{ message: newTable(this.#family), rows: [] }, ...work];
    return { steps, refused: this.#refused };
  }

  #plan({ row, change: { wanted, found } }: OpenChange): void {
    const { kind } = wanted ?? found ?? {};
    if (kind === 'element') {
      if (found?.kind === 'element') collect(this.#removals, found, row);
      if (wanted?.kind === 'element') collect(this.#additions, wanted, row);
    } else if (kind === 'chain') {
      this.#attempt(row, () => this.#planChain(row, as('chain', wanted), as('chain', found)));
    } else this.#attempt(row, () => this.#planSet(row, as('set', wanted), as('set', found)));
  }

  #planSet(row: number, wanted: NftSet | undefined, found: NftSet | undefined): void {
    const name = (wanted ?? found)?.name ?? '';
    if (wanted) {
      const id = 1 + this.#sets.length;
      this.#sets.push({ message: newSet(this.#family, wanted, id), rows: [row] });
      this.#made.set(name, { set: wanted, id });
    }
    if (!found) return;
    this.#gone.add(name);
    const removal = { message: deleteSet(this.#family, name), rows: [row] };
    if (!wanted)
      this.#delete.unshift(removal); // before chains that its elements jump to
    else {
      this.#replace.push(removal);
      this.#keepDependents(row, wanted);
    }
  }

  /** What refers to a set that is made again, or lies in it, and is not part of this batch, is made again as it was. */
  #keepDependents(row: number, set: NftSet): void {
    const changing = new Set(this.#open.map(({ change }) => change.key));
    for (const chain of this.#snapshot?.chains.values() ?? []) {
      if (changing.has(`chain ${chain.name}`) || !refersTo(chain, set.name)) continue;
      this.#release.push({ message: flushChain(this.#family, chain.name), rows: [row] });
      this.#addRules(row, chain);
    }
    for (const element of this.#snapshot?.elements.get(set.name) ?? []) {
      if (changing.has(`element ${set.name} ${element.key.join(' . ')}`)) continue;
      try {
        wireElements(set, element);
        collect(this.#additions, element, row);
      } catch {
        // It does not fit the new type; whoever planned the new set plans its elements.
      }
    }
  }

  #planChain(row: number, wanted: NftChain | undefined, found: NftChain | undefined): void {
    const name = (wanted ?? found)?.name ?? '';
    const rows = [row];
    if (found) this.#release.push({ message: flushChain(this.#family, name), rows });
    if (!wanted) {
      this.#delete.push({ message: deleteChain(this.#family, name), rows });
      return;
    }
    const message = newChain(this.#family, wanted);
    if (found && !sameHook(wanted.hook, found.hook))
      this.#replace.push({ message: deleteChain(this.#family, name), rows });
    this.#chains.push({ message, rows });
    this.#addRules(row, wanted);
  }

  #addRules(row: number, chain: NftChain): void {
    const rows = [row];
    for (const [i, rule] of chain.rules.entries())
      this.#rules.push({
        message: newRule(this.#family, chain.name, rule),
        rows,
        rule: i + 1,
        ...commentOf(rule),
      });
  }

  #removeElements(name: string, elements: readonly ElementChange[]): void {
    const set = this.#known.sets.get(name);
    // Without the set there is nothing to remove; and with a set its elements go too.
    if (set === undefined || this.#gone.has(name)) return;
    this.#inMessages(name, elements, (element) => wireKeys(set, element), deleteElements, this.#release);
  }

  #addElements(name: string, elements: readonly ElementChange[]): void {
    const made = this.#made.get(name);
    const set = made?.set ?? (this.#gone.has(name) ? undefined : this.#known.sets.get(name));
    const write = (element: NftElement) => {
      if (set === undefined)
        throw new FairleadError('nft-no-set', `element ${element.key.join(' . ')}: there is no set ${name}`);
      if (set.dynamic)
        throw new FairleadError('nft-dynamic-set', `elements of the set ${name} come from packets only`);
      return wireElements(set, element);
    };
    const message = (family: NftFamily, _name: string, wire: readonly WireElement[]) =>
      addElements(family, made?.id ?? name, wire);
    this.#inMessages(name, elements, write, message, this.#elements);
  }

  #inMessages(
    set: string,
    elements: readonly ElementChange[],
    write: (element: NftElement) => readonly WireElement[],
    message: (family: NftFamily, set: string, elements: readonly WireElement[]) => Buffer,
    steps: Step[],
  ): void {
    const limit = this.#single.has(set) ? 1 : ELEMENTS_PER_MESSAGE;
    let wire: WireElement[] = [];
    let rows: number[] = [];
    const flush = () => {
      if (wire.length > 0) steps.push({ message: message(this.#family, set, wire), rows, set });
      wire = [];
      rows = [];
    };
    for (const { row, element } of elements) {
      try {
        for (const one of write(element)) wire.push(one);
        rows.push(row);
      } catch (error) {
        this.#refuse(row, error);
      }
      if (wire.length >= limit) flush();
    }
    flush();
  }

  #attempt(row: number, plan: () => void): void {
    try {
      plan();
    } catch (error) {
      this.#refuse(row, error);
    }
  }

  #refuse(row: number, error: unknown): void {
    if (!(error instanceof FairleadError)) throw error;
    this.#refused.set(row, error);
  }
}

function as<K extends NftBody['kind']>(
  kind: K,
  body: NftBody | undefined,
): Extract<NftBody, { kind: K }> | undefined {
  return body?.kind === kind ? (body as Extract<NftBody, { kind: K }>) : undefined;
}

function collect(elements: Map<string, ElementChange[]>, element: NftElement, row: number): void {
  const list = elements.get(element.set);
  if (list) list.push({ row, element });
  else elements.set(element.set, [{ row, element }]);
}

/** Whether the kernel can keep the chain; its policy it can change. */
function sameHook(a: NftChain['hook'], b: NftChain['hook']): boolean {
  return a?.type === b?.type && a?.hook === b?.hook && a?.priority === b?.priority && a?.device === b?.device;
}

function commentOf({ comment }: NftRule): Pick<Step, 'comment'> {
  return comment === undefined ? {} : { comment };
}

function refersTo(chain: NftChain, set: string): boolean {
  return chain.rules.some(({ exprs }) => exprs.some((expr) => 'set' in expr && expr.set === set));
}
