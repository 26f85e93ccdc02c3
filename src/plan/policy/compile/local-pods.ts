import type { Pod } from '../../../model/cluster/pod.ts';
import { DIRECTIONS, type Direction } from '../../../model/cluster/policy.ts';
import { equal } from '../../../model/equal.ts';
import type { Ip } from '../../../model/net/ip.ts';
import type { Judges, LocalPod, Selection, Tier } from '../compiled.ts';
import { Holders } from '../select/holders.ts';
import { baselineOf, selectionId, tierId } from './selection.ts';
import type { ClusterSubject, NetworkSubject } from './subject.ts';
import type { Touch } from './wanted-sets.ts';

/** A pod of this node as policies meet it. */
export interface Local extends Readonly<Record<Direction, Judges>> {
  readonly pod: Pod;
  /** Of its status and of its births, each once. */
  readonly ips: readonly Ip[];
  readonly born: readonly Ip[];
  /** Sorted by name. */
  readonly network: readonly NetworkSubject[];
  /** In order of priority. */
  readonly cluster: readonly ClusterSubject[];
}

/** Pods of this node, the chains that they share, and who has an address that several claim. */
export class LocalPods {
  readonly #locals = new Map<string, Local>();
  readonly #claims = new Holders();
  readonly #peersAt: Holders;
  readonly #touch: Touch;
  readonly #tiers: Shared<Tier>;
  readonly #chains: Shared<Selection>;

  constructor(peersAt: Holders, touch: Touch) {
    this.#peersAt = peersAt;
    this.#touch = touch;
    this.#tiers = new Shared(tierId, (id) => touch(`tier/${id}`));
    this.#chains = new Shared(selectionId, (id, selection, there) => {
      touch(`chain/${id}`);
      const baseline = baselineOf(selection);
      if (!baseline) return;
      if (there) this.#tiers.join(baseline);
      else this.#tiers.leave(baseline);
    });
  }

  get(key: string): Local | undefined {
    return this.#locals.get(key);
  }

  keys(): Iterable<string> {
    return this.#locals.keys();
  }

  chain(id: string): Selection | undefined {
    return this.#chains.get(id);
  }

  chains(): Iterable<string> {
    return this.#chains.ids();
  }

  tier(id: string): Tier | undefined {
    return this.#tiers.get(id);
  }

  tiers(): Iterable<string> {
    return this.#tiers.ids();
  }

  touchTiersOf(clusterPolicy: string): void {
    for (const id of this.#tiers.ids())
      if (this.#tiers.get(id)?.policies.includes(clusterPolicy)) this.#touch(`tier/${id}`);
  }

  set(key: string, local: Local | undefined): void {
    const before = this.#locals.get(key);
    const after = local && {
      ...local,
      ingress: this.#join(local.ingress),
      egress: this.#join(local.egress),
    };
    if (after) this.#locals.set(key, after);
    else this.#locals.delete(key);
    if (before) for (const direction of DIRECTIONS) this.#leave(before[direction]);
    if (!after || !before || !sameAddresses(before, after)) this.#move(key, before, after);
    else if (!sameJudges(before, after)) this.#touch(`dispatch/${key}`);
  }

  #move(key: string, before: Local | undefined, after: Local | undefined): void {
    this.#touch(`pod/${key}`);
    this.#touch(`dispatch/${key}`);
    for (const ip of before?.ips ?? []) this.#claims.remove(ip, key);
    for (const ip of after?.ips ?? []) this.#claims.add(ip, key);
    // Who else claims one of its addresses may have it now, or no more.
    for (const ip of [...(before?.ips ?? []), ...(after?.ips ?? [])]) {
      for (const other of this.#claims.of(ip)) {
        this.#touch(`pod/${other}`);
        this.#touch(`dispatch/${other}`);
      }
      for (const other of this.#peersAt.of(ip)) this.#touch(`pod/${other}`);
    }
  }

  /** What the dispatch maps say of the pod: only addresses that are its own. Of several that claim one it is the first by name. */
  dispatched(key: string): LocalPod | undefined {
    const local = this.#locals.get(key);
    if (!local) return undefined;
    const ips = this.ipsOf(key).filter((ip) => this.#rightful(ip).sort()[0] === key);
    return { pod: key, ips, ingress: local.ingress, egress: local.egress };
  }

  /**
   * Addresses under which the pod is known as a peer. One that a pod was born with is that pod's alone: whoever else still has it in
   * the API has lost it, and must not lend it its labels.
   */
  ipsOf(key: string): readonly Ip[] {
    const ips = this.#locals.get(key)?.ips ?? [];
    return ips.filter((ip) => this.#rightful(ip).includes(key));
  }

  isBorn(ip: Ip): boolean {
    return this.#claims.has(ip) && this.#claims.of(ip).some((key) => this.#bornWith(key, ip));
  }

  #rightful(ip: Ip): string[] {
    const keys = this.#claims.of(ip);
    const born = keys.filter((key) => this.#bornWith(key, ip));
    return born.length > 0 ? born : [...keys];
  }

  #bornWith(key: string, ip: Ip): boolean {
    return this.#locals.get(key)?.born.includes(ip) ?? false;
  }

  /** Equal ones become one object. */
  #join({ admin, selection }: Judges): Judges {
    return {
      admin: admin && this.#tiers.join(admin),
      selection: selection && this.#chains.join(selection),
    };
  }

  #leave({ admin, selection }: Judges): void {
    if (admin) this.#tiers.leave(admin);
    if (selection) this.#chains.leave(selection);
  }
}

/** Things with equal ids are one thing, which is there while somebody uses it. */
class Shared<T extends object> {
  readonly #things = new Map<string, { readonly thing: T; users: number }>();
  /** Of those that are or were there: making an id takes longer than finding it. */
  readonly #ids = new WeakMap<T, string>();
  readonly #make: (thing: T) => string;
  readonly #changed: (id: string, thing: T, there: boolean) => void;

  /** `changed`: one came, or it went. */
  constructor(make: (thing: T) => string, changed: (id: string, thing: T, there: boolean) => void) {
    this.#make = make;
    this.#changed = changed;
  }

  get(id: string): T | undefined {
    return this.#things.get(id)?.thing;
  }

  ids(): Iterable<string> {
    return this.#things.keys();
  }

  /** Returns the one that is there. */
  join(thing: T): T {
    const id = this.#ids.get(thing) ?? this.#make(thing);
    const present = this.#things.get(id);
    if (present) {
      present.users++;
      return present.thing;
    }
    this.#things.set(id, { thing, users: 1 });
    this.#ids.set(thing, id);
    this.#changed(id, thing, true);
    return thing;
  }

  leave(thing: T): void {
    const id = this.#ids.get(thing) ?? this.#make(thing);
    const present = this.#things.get(id);
    if (!present || --present.users > 0) return;
    this.#things.delete(id);
    this.#changed(id, present.thing, false);
  }
}

function sameAddresses(a: Local, b: Local): boolean {
  return equal(a.ips, b.ips) && equal(a.born, b.born);
}

function sameJudges(a: Local, b: Local): boolean {
  return DIRECTIONS.every(
    (direction) =>
      a[direction].admin === b[direction].admin && a[direction].selection === b[direction].selection,
  );
}
