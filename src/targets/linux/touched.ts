import type { Clock } from '../../model/clock.ts';
import type { Ip } from '../../model/net/ip.ts';
import type { Closer } from '../../reconcile/target.ts';

/** Some addresses; those of all our pods; or whatever there is. */
export type Touch = ReadonlySet<Ip> | 'pods' | 'everything';

/**
 * After a look, rest for so many times as long as it took, up to a second, and for three times as long in any case. The kernel walks its table
 * without a pause, 12 ms when it is empty, and the processor that does it does nothing else: changes of policy that come one after the
 * other must not meet that in each of ten.
 */
const REST = 50;
const LONG_REST_MS = 1_000;
const LEAST_REST = 3;
/** Everything of our pods is looked at once in so many milliseconds, though nothing touched it. */
const ANYWAY_MS = 600_000;

/** What has to be looked at again. It is taken off only when a look at it has succeeded. */
export class Touched {
  readonly #clock: Clock;
  #what: Touch = 'everything';
  #listener: (() => void) | undefined;
  #looking = false;
  #restUntil = Number.NEGATIVE_INFINITY;
  #anywayAt: number;
  #timer: { cancel(): void } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#anywayAt = clock.monotonic() + ANYWAY_MS;
  }

  /** `listener` is told when something was touched, once the rest is over. */
  listen(listener: () => void): Closer {
    this.#listener = listener;
    return {
      close: () => {
        this.#listener = undefined;
        this.#timer?.cancel();
      },
    };
  }

  add(what: Touch): void {
    if (isNothing(what)) return;
    this.addQuietly(what);
    if (!this.#looking) this.#tell();
  }

  addQuietly(what: Touch): void {
    this.#what = joined(this.#what, what);
  }

  /** Gives all that was touched to `look`, if there is anything. */
  async look(look: (what: Touch) => Promise<void>): Promise<void> {
    const began = this.#clock.monotonic();
    const what = began >= this.#anywayAt ? joined(this.#what, 'pods') : this.#what;
    if (isNothing(what)) return;
    this.#what = new Set();
    this.#looking = true;
    try {
      await look(what);
      if (typeof what === 'string') this.#anywayAt = began + ANYWAY_MS;
    } catch (error) {
      this.addQuietly(what);
      throw error;
    } finally {
      this.#looking = false;
      const now = this.#clock.monotonic();
      this.#restUntil = now + restAfter(now - began);
      if (!isNothing(this.#what)) this.#tell();
    }
  }

  #tell(): void {
    const rest = this.#restUntil - this.#clock.monotonic();
    if (rest <= 0) this.#listener?.();
    else
      this.#timer ??= this.#clock.after(rest, () => {
        this.#timer = undefined;
        this.#listener?.();
      });
  }
}

function restAfter(took: number): number {
  return Math.max(LEAST_REST * took, Math.min(REST * took, LONG_REST_MS));
}

function isNothing(what: Touch): boolean {
  return typeof what !== 'string' && what.size === 0;
}

/** Only connections with an end at a pod of ours are judged, so `pods` comprises all single addresses. */
function joined(a: Touch, b: Touch): Touch {
  if (a === 'everything' || b === 'everything') return 'everything';
  if (isNothing(a)) return b;
  if (isNothing(b)) return a;
  if (typeof a !== 'string' && typeof b !== 'string') return new Set([...a, ...b]);
  return 'pods';
}
