import type { Closer } from '../reconcile/target.ts';

/**
 * Tells several listeners that something is different; they look for themselves what. At most once a turn of the event loop and after the
 * work of that turn, so that telling never stands between an event and the kernel.
 */
export class Signal {
  readonly #listeners = new Set<() => void>();
  #scheduled = false;

  on(listener: () => void): Closer {
    this.#listeners.add(listener);
    return { close: () => this.#listeners.delete(listener) };
  }

  readonly emit = (): void => {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      for (const listener of [...this.#listeners]) listener();
    });
  };
}
