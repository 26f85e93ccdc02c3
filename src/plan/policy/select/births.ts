import type { Birth } from '../../../model/cluster/birth.ts';
import type { Pod } from '../../../model/cluster/pod.ts';
import type { Ip } from '../../../model/net/ip.ts';

/** Births by pod. */
export class Births {
  readonly #seen = new Map<string, Birth>();
  readonly #byPod = new Map<string, Set<Birth>>();

  get(containerId: string): Birth | undefined {
    return this.#seen.get(containerId);
  }

  keys(): Iterable<string> {
    return this.#seen.keys();
  }

  set(containerId: string, after: Birth | undefined): void {
    const before = this.#seen.get(containerId);
    if (before) {
      const births = this.#byPod.get(before.pod);
      if (births?.delete(before) && births.size === 0) this.#byPod.delete(before.pod);
      this.#seen.delete(containerId);
    }
    if (!after) return;
    this.#seen.set(containerId, after);
    const births = this.#byPod.get(after.pod);
    if (births) births.add(after);
    else this.#byPod.set(after.pod, new Set([after]));
  }

  /** Addresses that this pod was born with; not those of another pod that had its name. */
  of(pod: Pod): readonly Ip[] {
    const births = this.#byPod.get(pod.key);
    if (!births) return NONE;
    return [...births].filter(({ uid }) => uid === '' || uid === pod.uid).flatMap(({ ips }) => ips);
  }
}

const NONE: readonly Ip[] = [];
