import type { Closer } from '../reconcile/target.ts';

/** Tells several listeners that something is different; they look for themselves what. */
export class Signal {
  readonly #listeners = new Set<() => void>();

  on(listener: () => void): Closer {
    this.#listeners.add(listener);
    return { close: () => this.#listeners.delete(listener) };
  }

  readonly emit = (): void => {
    for (const listener of [...this.#listeners]) listener();
  };
}
