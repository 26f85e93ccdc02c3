import { equal } from '../../model/equal.ts';
import { FairleadError } from '../../model/errors.ts';
import type { AddressBody } from '../../model/rows/address.ts';
import type { LinkBody } from '../../model/rows/link.ts';
import { nexthopKey } from '../../model/rows/nexthop.ts';
import type { NftBody } from '../../model/rows/nft.ts';
import type { RouteBody } from '../../model/rows/route.ts';
import type { TargetName } from '../../model/rows/row.ts';
import type { SysctlBody } from '../../model/rows/sysctl.ts';
import { type Change, type Outcome, RolledBack } from '../../reconcile/target.ts';
import { Faults } from './faults.ts';
import { refusal, type View } from './rules.ts';

export interface Thing {
  readonly body: unknown;
  /** It bears our mark. */
  readonly ours: boolean;
}

export interface FakeHostLink {
  readonly up: boolean;
  readonly addresses: readonly string[];
}

/** Things on a link that go when it goes down. */
const ON_LINK_UP: readonly TargetName[] = ['neighbor', 'nexthop', 'route'];
/** Things on a link, which go when it goes. */
const ON_LINK: readonly TargetName[] = ['address', 'neighbor', 'fdb', 'nexthop', 'route', 'sysctl'];

/**
 * A machine in memory. It knows what a kernel would refuse, what goes along when a link goes, which notifications come and which do
 * not, and fails on demand. Deterministic: all chance comes from `faults`.
 */
export class FakeMachine {
  readonly faults = new Faults();
  readonly hostLinks = new Map<string, FakeHostLink>();
  /** The Kubernetes API answers. */
  api = true;
  diskFull = false;
  /** Rows that a target was told to write, right or wrong: rows that are right must not add to it. */
  writes = 0;
  /** Hears of what the agent did; a body that is `undefined` was removed. */
  wrote: ((target: TargetName, key: string, body: unknown) => void) | undefined;
  /** Told when a `kill` strikes: the process is no more. */
  killed: (() => void) | undefined;
  readonly #things = new Map<TargetName, Map<string, Thing>>();
  readonly #before = new Map<string, string>();
  readonly #listeners = new Map<TargetName, Set<(keys: Iterable<string> | 'unknown') => void>>();

  constructor(hostLinks: Readonly<Record<string, FakeHostLink>> = {}) {
    for (const [name, link] of Object.entries(hostLinks)) this.hostLinks.set(name, link);
  }

  things(target: TargetName): ReadonlyMap<string, Thing> {
    return this.#table(target);
  }

  targets(): Iterable<TargetName> {
    return this.#things.keys();
  }

  // What the agent does.

  /** Everything that is ours. Throws what an armed fault says. */
  observe(target: TargetName): Map<string, unknown> {
    if (this.faults.strike('observe', target))
      throw new FairleadError('fault', 'EINTR: the dump was interrupted');
    if (target === 'node-status' && !this.api) throw new FairleadError('fault', 'ECONNREFUSED: API server');
    const ours = [...this.#table(target)].filter(([, thing]) => thing.ours);
    return new Map(ours.map(([key, thing]) => [key, thing.body]));
  }

  /** One by one. `undefined` = the process died under way. Throws when a fault tears the call. */
  apply(target: TargetName, batch: readonly Change<unknown>[]): Outcome[] | undefined {
    const { kill, tear, stop } = this.#cut(target, batch.length);
    const outcomes: Outcome[] = [];
    for (const [i, change] of batch.entries()) {
      if (i === stop) break;
      const why = this.#refusedOrDone(target, change);
      outcomes.push(why === undefined ? { ok: true } : { ok: false, error: new Error(why) });
    }
    if (kill) return undefined;
    if (tear) throw new FairleadError('fault', 'ENOBUFS: the answer was lost');
    return outcomes;
  }

  /** All or nothing. A torn transaction was either done or not, and nobody knows. */
  commit(target: TargetName, batch: readonly Change<unknown>[]): Outcome[] | undefined {
    const { kill, tear, stop } = this.#cut(target, batch.length);
    const table = this.#table(target);
    const before = batch.map(({ key }) => [key, table.get(key)] as const);
    const undo = () => {
      for (const [key, thing] of before) {
        if (thing) table.set(key, thing);
        else table.delete(key);
      }
    };
    if (!((kill || tear) && stop === 0)) {
      const failed = this.#transact(target, batch);
      if (failed.size > 0) {
        undo();
        if (!tear && !kill) {
          const stricter = withFallbacks(batch, failed);
          if (stricter && this.#transact(target, stricter, failed).size === 0) {
            for (const { key, wanted } of stricter) this.wrote?.(target, key, wanted);
            return batch.map((_, i) => doneOrInstead(failed.get(i), stricter[i]?.wanted));
          }
          undo();
          return batch.map((_, i) => rolledBack(failed.get(i)));
        }
      } else {
        for (const { key, wanted } of batch) this.wrote?.(target, key, wanted);
      }
    }
    if (kill) return undefined;
    if (tear) throw new FairleadError('fault', 'ENOBUFS: the answer was lost');
    return batch.map(() => ({ ok: true }));
  }

  watch(target: TargetName, listener: (keys: Iterable<string> | 'unknown') => void): () => void {
    const listeners = this.#listeners.get(target) ?? new Set();
    this.#listeners.set(target, listeners);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  // What others do.

  /** Somebody else puts a thing there. `ours`: it bears our mark all the same. */
  put(target: TargetName, key: string, body: unknown, ours = true): void {
    this.#table(target).set(key, { body, ours });
    this.#notify(target, key);
  }

  /** Somebody else takes a thing away, and with a link what stands on it. */
  take(target: TargetName, key: string): void {
    if (!this.#table(target).has(key)) throw new FairleadError('no-thing', `there is no ${target} ${key}`);
    this.#remove(target, key);
    this.#notify(target, key);
    // The route target listens to these deletions, because the kernel says nothing of the routes.
    if (target === 'nexthop') this.#notify('route', 'unknown');
  }

  /** Somebody sets a link, of ours or of the host, down or up. IPv4 routes over it go without a notification. */
  setUp(name: string, up: boolean): void {
    const host = this.hostLinks.get(name);
    const own = this.#table('link').get(name);
    if (host) this.hostLinks.set(name, { ...host, up });
    else if (own) this.#table('link').set(name, { ...own, body: { ...(own.body as LinkBody), up } });
    else throw new FairleadError('no-thing', `there is no link ${name}`);
    if (!up) this.#loseOn(name, ON_LINK_UP);
    this.#notify('link', name);
    // These targets listen to links too, because the kernel says nothing of what goes along.
    this.#notify('nexthop', 'unknown');
    this.#notify('route', 'unknown');
  }

  /** ENOBUFS: some notifications were lost, nobody knows which. */
  overrun(target: TargetName): void {
    for (const listener of this.#listeners.get(target) ?? []) listener('unknown');
  }

  #cut(target: TargetName, length: number): { kill: boolean; tear: boolean; stop: number } {
    const killed = this.faults.strike('kill', target);
    const torn = killed ?? this.faults.strike('tear', target);
    if (killed) this.killed?.();
    const stop = torn ? (torn.after ?? this.faults.pick(length + 1)) : -1;
    return { kill: killed !== undefined, tear: torn !== undefined, stop };
  }

  /** `spared`: rows that no fault strikes. */
  #transact(
    target: TargetName,
    batch: readonly Change<unknown>[],
    spared: ReadonlyMap<number, string> = new Map(),
  ): Map<number, string> {
    const failed = new Map<number, string>();
    for (const [i, { key }] of batch.entries()) {
      if (!spared.has(i) && this.faults.strike('refuse', target, key)) failed.set(i, 'EBUSY: refused');
    }
    const table = this.#table(target);
    for (const { key, wanted } of batch) {
      this.writes++;
      if (wanted === undefined) table.delete(key);
      else table.set(key, { body: wanted, ours: true });
    }
    for (const [i, { key, wanted }] of batch.entries()) {
      const why =
        wanted === undefined ? this.#stillNeeded(target, key) : refusal(target, wanted, this.#view());
      if (why !== undefined && !failed.has(i)) failed.set(i, why);
    }
    return failed;
  }

  /** A chain or set that something left behind still names cannot go. */
  #stillNeeded(target: TargetName, gone: string): string | undefined {
    if (gone.startsWith('element ')) return undefined;
    for (const [key, thing] of this.#table(target)) {
      const why = refusal(target, thing.body, this.#view());
      if (why?.endsWith(` ${gone}`)) return `EBUSY: ${key} uses it`;
    }
    return undefined;
  }

  #refusedOrDone(target: TargetName, { key, wanted }: Change<unknown>): string | undefined {
    this.writes++;
    if (this.faults.strike('refuse', target, key)) return 'EBUSY: refused';
    if (wanted === undefined) {
      this.#remove(target, key);
      this.wrote?.(target, key, undefined);
      return undefined;
    }
    const present = this.#table(target).get(key);
    if (present && !present.ours && target !== 'sysctl') return `EEXIST: ${target} ${key} is somebody else's`;
    if (target === 'link' && this.hostLinks.has(key)) return `EEXIST: ${key} is a link of the host`;
    const why = refusal(target, wanted, this.#view());
    if (why !== undefined) return why;
    this.#write(target, key, wanted, present);
    return undefined;
  }

  #write(target: TargetName, key: string, wanted: unknown, present: Thing | undefined): void {
    if (target === 'link' && present) {
      const before = present.body as LinkBody;
      const after = wanted as LinkBody;
      // VNI, port and local address cannot change on a live device: it is another device, and what stood on it is gone.
      if (!equal(before.type, after.type)) this.#loseOn(key, ON_LINK);
      else if (before.up && !after.up) this.#loseOn(key, ON_LINK_UP);
    }
    if (target === 'sysctl' && present && !present.ours)
      this.#before.set(key, (present.body as SysctlBody).value);
    this.#table(target).set(key, { body: wanted, ours: true });
    this.wrote?.(target, key, wanted);
  }

  #remove(target: TargetName, key: string): void {
    const table = this.#table(target);
    const previous = this.#before.get(key);
    if (target === 'link' && table.has(key)) this.#loseOn(key, ON_LINK);
    table.delete(key);
    if (target === 'nexthop') this.#loseBy(key);
    if (target === 'sysctl' && previous !== undefined) {
      table.set(key, { body: { path: key, value: previous }, ours: false });
      this.#before.delete(key);
    }
  }

  #loseOn(link: string, targets: readonly TargetName[]): void {
    for (const target of targets) {
      for (const [key, { body }] of this.#table(target)) {
        if (standsOn(target, body, link)) this.#remove(target, key);
      }
    }
  }

  /** Routes go with the nexthop that they name. */
  #loseBy(nexthop: string): void {
    for (const [key, { body }] of this.#table('route')) {
      if ((body as RouteBody).nextHops.some(({ id }) => id !== undefined && nexthopKey(id) === nexthop))
        this.#table('route').delete(key);
    }
  }

  #notify(target: TargetName, key: string): void {
    if (this.faults.strike('hush', target)) return;
    for (const listener of this.#listeners.get(target) ?? []) listener(key === 'unknown' ? key : [key]);
  }

  #table(target: TargetName): Map<string, Thing> {
    const present = this.#things.get(target);
    if (present) return present;
    const made = new Map<string, Thing>();
    this.#things.set(target, made);
    return made;
  }

  #view(): View {
    const links = this.#table('link');
    return {
      api: this.api,
      diskFull: this.diskFull,
      linkUp: (name) => this.hostLinks.get(name)?.up ?? (links.get(name)?.body as LinkBody | undefined)?.up,
      isVxlan: (name) => links.has(name),
      has: (target, key) => this.#table(target).has(key),
      addresses: (dev) => this.#addresses(dev),
    };
  }

  *#addresses(dev?: string): Iterable<string> {
    for (const [name, link] of this.hostLinks) if (dev === undefined || dev === name) yield* link.addresses;
    for (const { body } of this.#table('address').values()) {
      const address = body as AddressBody;
      if (dev === undefined || dev === address.dev) yield address.address;
    }
  }
}

function standsOn(target: TargetName, body: unknown, link: string): boolean {
  if (target === 'sysctl') return (body as SysctlBody).path.includes(`/${link}/`);
  // A route by id stands on its nexthop, wherever that leads by now.
  if (target === 'route')
    return (body as RouteBody).nextHops.some((hop) => hop.id === undefined && hop.dev === link);
  return (body as { dev?: string }).dev === link;
}

/** The batch with what refused chains are to be instead; `undefined` when one of the refused rows is nothing instead. */
function withFallbacks(
  batch: readonly Change<unknown>[],
  failed: ReadonlyMap<number, string>,
): Change<unknown>[] | undefined {
  const changes: Change<unknown>[] = [];
  for (const [i, change] of batch.entries()) {
    const body = change.wanted as NftBody | undefined;
    if (!failed.has(i)) changes.push(change);
    else if (body?.kind !== 'chain' || body.ifRefused === undefined) return undefined;
    else {
      const { kind, name, hook, ifRefused } = body;
      changes.push({ ...change, wanted: { kind, name, hook, rules: ifRefused.rules } });
    }
  }
  return changes;
}

function doneOrInstead(why: string | undefined, instead: unknown): Outcome {
  return why === undefined ? { ok: true } : { ok: false, error: new Error(why), instead };
}

function rolledBack(why: string | undefined): Outcome {
  const error = why === undefined ? new RolledBack() : new Error(why);
  return { ok: false, error };
}
