import type { Clock } from '../../model/clock.ts';

/** Calls back once when nothing has been heard for `silence` milliseconds. Hearing something costs no timer. */
export class Watchdog {
  readonly #clock: Clock;
  readonly #silence: number;
  readonly #bark: () => void;
  #heard: number;
  #timer: { cancel(): void } | undefined;

  constructor(clock: Clock, silence: number, bark: () => void) {
    this.#clock = clock;
    this.#silence = silence;
    this.#bark = bark;
    this.#heard = clock.monotonic();
    this.#arm(silence);
  }

  heard(): void {
    this.#heard = this.#clock.monotonic();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(ms: number): void {
    this.#timer = this.#clock.after(ms, () => {
      const left = this.#heard + this.#silence - this.#clock.monotonic();
      if (left > 0) this.#arm(left);
      else this.#bark();
    });
  }
}
