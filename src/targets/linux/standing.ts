/**
 * What stands in the kernel as far as we know, one value a key. Some notifications of our own changes do not carry our port (forwarding
 * entries: drivers/net/vxlan/vxlan_core.c, `vxlan_fdb_notify`; removed neighbours: net/core/neighbour.c, `neigh_cleanup_and_release`):
 * what one of them says is news only when it differs from this.
 */
import type { Change } from '../../reconcile/target.ts';

export class Standing<Body> {
  readonly #values = new Map<string, string>();
  readonly #text: (body: Body) => string;

  constructor(text: (body: Body) => string) {
    this.#text = text;
  }

  /** Everything was read. */
  observed(found: ReadonlyMap<string, Body>): void {
    this.#values.clear();
    for (const [key, body] of found) this.#values.set(key, this.#text(body));
  }

  /** These changes are about to be sent. One that is refused leaves a wrong value, until the next read. */
  applying(batch: readonly Change<Body>[]): void {
    for (const { key, wanted } of batch) {
      if (wanted === undefined) this.#values.delete(key);
      else this.#values.set(key, this.#text(wanted));
    }
  }

  /** `value` undefined: it is gone. */
  isNews(key: string, value: string | undefined): boolean {
    return this.#values.get(key) !== value;
  }
}
