import type { Denial } from '../../model/api.ts';
import type { Clock } from '../../model/clock.ts';
import { describe, FairleadError } from '../../model/errors.ts';
import type { Problem } from '../../model/problem.ts';
import type { World } from '../../model/world.ts';
import type { Closer } from '../../reconcile/target.ts';
import type { LoggedPacket } from '../../targets/linux/netlink/nflog/log.ts';
import { denialOf } from './denial.ts';

/** Equal packets within this time are one denial with a count, milliseconds. */
const WINDOW_MS = 10_000;
/** So many denials are kept, and so many are counted apart at one time. */
const KEPT = 1_000;
/** A group that another program has is tried again after this long. */
const RETRY_MS = 10_000;

export interface DenialsInput {
  readonly world: World;
  readonly clock: Clock;
  /** Binds a log group; throws when the kernel refuses. */
  open(group: number, onPacket: (packet: LoggedPacket) => void, onLost: () => void): Closer;
  /** A new denial, and once more at the end of its window when there were several. */
  onDenial(denial: Denial): void;
  /** Every packet. */
  onPacket(denial: Denial): void;
  onLost(): void;
  onProblems(problems: readonly Problem[]): void;
}

/** Packets that policies denied, as the kernel tells of them: gathered, named, kept for whoever asks. */
export class Denials {
  readonly #input: DenialsInput;
  readonly #kept: Denial[] = [];
  /** Those whose window is open, by what makes them equal. */
  readonly #open = new Map<string, Denial>();
  readonly #listeners = new Set<(denial: Denial) => void>();
  #group = 0;
  #source: Closer | undefined;
  #retryAt = 0;
  #sweeping = false;
  #id = 0;
  #second = -1;
  #told = 0;

  constructor(input: DenialsInput) {
    this.#input = input;
  }

  /** Oldest first. `namespace`: only those of which one end is a pod there. */
  list(namespace?: string): readonly Denial[] {
    return this.#kept.filter((denial) => isOf(denial, namespace));
  }

  /** Told of each denial when it is new, and once more with its count when its window ends. */
  onChange(listener: (denial: Denial) => void): Closer {
    this.#listeners.add(listener);
    return { close: () => this.#listeners.delete(listener) };
  }

  /** Follows the group that the settings ask for now. To be called whenever something may have changed; it costs nothing. */
  update(): void {
    const policy = this.#input.world.config.objects.get('config')?.policy;
    const group = policy?.enabled ? policy.logGroup : 0;
    const failed = group > 0 && this.#source === undefined;
    if (group === this.#group && !(failed && this.#input.clock.monotonic() >= this.#retryAt)) return;
    this.close();
    this.#group = group;
    if (group === 0) {
      this.#input.onProblems([]);
      return;
    }
    try {
      this.#source = this.#input.open(group, (packet) => this.#packet(packet), this.#input.onLost);
      this.#input.onProblems([]);
    } catch (error) {
      this.#retryAt = this.#input.clock.monotonic() + RETRY_MS;
      const message = `log group ${group} cannot be read, so denied packets are not told: ${describe(error)}`;
      const taken = error instanceof FairleadError && error.code === 'EPERM';
      const hint = taken
        ? 'another program reads this group: set policy.logGroup to a free one'
        : 'the kernel may lack nfnetlink_log; with policy.logGroup 0 nothing is logged';
      this.#input.onProblems([{ object: 'setting policy.logGroup', message, hint }]);
    }
  }

  close(): void {
    this.#source?.close();
    this.#source = undefined;
  }

  #packet(packet: LoggedPacket): void {
    const now = this.#input.clock.wall();
    const key = keyOf(packet);
    const known = this.#open.get(key);
    const found = known ?? denialOf(this.#input.world, packet);
    if (!found) return;
    if (known) {
      const more = { ...known, last: now, count: known.count + 1 };
      this.#replace(key, known, more);
      this.#input.onPacket(more);
      return;
    }
    if (!this.#mayTell()) {
      this.#input.onPacket({ id: 0, at: now, last: now, count: 1, ...found });
      return;
    }
    const denial = { id: ++this.#id, at: now, last: now, count: 1, ...found };
    this.#kept.push(denial);
    if (this.#kept.length > KEPT) this.#kept.shift();
    if (this.#open.size < KEPT) this.#open.set(key, denial);
    this.#sweepLater();
    this.#input.onPacket(denial);
    this.#tell(denial);
  }

  /** The kernel limits each place that denies for itself; this is the limit of all together. More are only counted. */
  #mayTell(): boolean {
    const second = Math.floor(this.#input.clock.monotonic() / 1_000);
    if (second !== this.#second) [this.#second, this.#told] = [second, 0];
    const rate = this.#input.world.config.objects.get('config')?.policy.logRate ?? 0;
    return ++this.#told <= rate;
  }

  #replace(key: string, before: Denial, after: Denial): void {
    this.#open.set(key, after);
    // Ids of what is kept have no gaps.
    const at = before.id - (this.#kept[0]?.id ?? 0);
    if (at >= 0) this.#kept[at] = after;
  }

  #tell(denial: Denial): void {
    this.#input.onDenial(denial);
    for (const listener of this.#listeners) listener(denial);
  }

  #sweepLater(): void {
    if (this.#sweeping) return;
    this.#sweeping = true;
    this.#input.clock.after(WINDOW_MS / 10, () => {
      this.#sweeping = false;
      this.#sweep(this.#input.clock.wall());
      if (this.#open.size > 0) this.#sweepLater();
    });
  }

  #sweep(now: number): void {
    for (const [key, denial] of this.#open) {
      // A clock that was set back must not keep windows open.
      if (now >= denial.at && now < denial.at + WINDOW_MS) continue;
      this.#open.delete(key);
      if (denial.count > 1) this.#tell(denial);
    }
  }
}

export function isOf({ from, to }: Denial, namespace: string | undefined): boolean {
  if (namespace === undefined) return true;
  return [from.pod, to.pod].some((pod) => pod?.startsWith(`${namespace}/`));
}

const keyOf = ({ prefix, from, to, protocol, destinationPort }: LoggedPacket): string =>
  `${prefix} ${from} ${to} ${protocol} ${destinationPort}`;
