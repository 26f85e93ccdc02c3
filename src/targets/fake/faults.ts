import type { Random } from '../../model/clock.ts';

/**
 * refuse: one row gets an error. tear: the call throws after some of its rows were done. observe: reading throws.
 * hush: one notification is lost. kill: after some rows nothing more is done and the call never returns, as if the process had died.
 */
export type FaultKind = 'refuse' | 'tear' | 'observe' | 'hush' | 'kill';

export interface Fault {
  readonly kind: FaultKind;
  readonly target: string;
  /** Only this row. */
  readonly key?: string;
  /** How often, default once. */
  readonly times?: number;
  /** tear, kill: rows done before. */
  readonly after?: number;
}

/** What goes wrong: armed faults first, each as often as it was armed for, then the weather. */
export class Faults {
  readonly #armed: { fault: Fault; left: number }[] = [];
  #rate = 0;
  #random: Random = () => 1;
  #hits = 0;

  arm(fault: Fault): void {
    this.#armed.push({ fault, left: fault.times ?? 1 });
  }

  /** From now on any call fails with this probability. */
  weather(rate: number, random: Random): void {
    this.#rate = rate;
    this.#random = random;
  }

  /** Faults of either sort that struck. */
  get hits(): number {
    return this.#hits;
  }

  /** Armed faults that never struck, or not as often as they should have: a test with any of these has tested nothing. */
  unconsumed(): readonly Fault[] {
    return this.#armed.filter(({ left }) => left > 0).map(({ fault }) => fault);
  }

  /** The fault that strikes here, if any. */
  strike(kind: FaultKind, target: string, key?: string): Fault | undefined {
    const armed = this.#armed.find(
      ({ fault, left }) =>
        left > 0 &&
        fault.kind === kind &&
        fault.target === target &&
        (fault.key === undefined || fault.key === key),
    );
    if (armed) {
      armed.left--;
      this.#hits++;
      return armed.fault;
    }
    if (kind === 'kill' || this.#random() >= this.#rate) return undefined;
    this.#hits++;
    return { kind, target };
  }

  /** A whole number in [0, count). */
  pick(count: number): number {
    return Math.min(count - 1, Math.floor(this.#random() * count));
  }
}
