import type { Pod } from '../../../model/cluster/pod.ts';
import { equal } from '../../../model/equal.ts';
import type { Ip } from '../../../model/net/ip.ts';
import type { LocalPod, Selection } from '../compiled.ts';
import { Holders } from '../select/holders.ts';
import { selectionId, type Tier, tierId, tiersOf } from './selection.ts';
import type { Subject } from './subject.ts';
import type { Touch } from './wanted-sets.ts';

/** A pod of this node as policies meet it. */
export interface Local {
  readonly pod: Pod;
  /** Of its status and of its births, each once. */
  readonly ips: readonly Ip[];
  readonly born: readonly Ip[];
  readonly subjects: readonly Subject[];
  readonly ingress: Selection | undefined;
  readonly egress: Selection | undefined;
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
    this.#tiers = new Shared((id) => touch(`tier/${id}`));
    this.#chains = new Shared((id, selection, there) => {
      touch(`chain/${id}`);
      for (const tier of tiersOf(selection)) {
        if (there) this.#tiers.join(tierId(tier), tier);
        else this.#tiers.leave(tierId(tier));
      }
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
    this.#leave(before?.ingress);
    this.#leave(before?.egress);
    if (after && before && sameDispatch(before, after)) return;
    this.#touch(`pod/${key}`);
    for (const ip of before?.ips ?? []) this.#claims.remove(ip, key);
    for (const ip of after?.ips ?? []) this.#claims.add(ip, key);
    // Who else claims one of its addresses may have it now, or no more.
    for (const ip of [...(before?.ips ?? []), ...(after?.ips ?? [])]) {
      for (const other of this.#claims.of(ip)) this.#touch(`pod/${other}`);
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
    return this.#claims.of(ip).some((key) => this.#bornWith(key, ip));
  }

  #rightful(ip: Ip): string[] {
    const keys = this.#claims.of(ip);
    const born = keys.filter((key) => this.#bornWith(key, ip));
    return born.length > 0 ? born : [...keys];
  }

  #bornWith(key: string, ip: Ip): boolean {
    return this.#locals.get(key)?.born.includes(ip) ?? false;
  }

  /** Equal Selections become one object. */
  #join(selection: Selection | undefined): Selection | undefined {
    return selection && this.#chains.join(selectionId(selection), selection);
  }

  #leave(selection: Selection | undefined): void {
    const id = selection && this.#chains.idOf(selection);
    if (id !== undefined) this.#chains.leave(id);
  }
}

/** Things with equal ids are one thing, which is there while somebody uses it. */
class Shared<T extends object> {
  readonly #things = new Map<string, { readonly thing: T; users: number }>();
  readonly #ids = new WeakMap<T, string>();
  readonly #changed: (id: string, thing: T, there: boolean) => void;

  /** `changed`: one came, or it went. */
  constructor(changed: (id: string, thing: T, there: boolean) => void) {
    this.#changed = changed;
  }

  get(id: string): T | undefined {
    return this.#things.get(id)?.thing;
  }

  ids(): Iterable<string> {
    return this.#things.keys();
  }

  idOf(thing: T): string | undefined {
    return this.#ids.get(thing);
  }

  /** Returns the one that is there. */
  join(id: string, thing: T): T {
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

  leave(id: string): void {
    const present = this.#things.get(id);
    if (!present || --present.users > 0) return;
    this.#things.delete(id);
    this.#changed(id, present.thing, false);
  }
}

function sameDispatch(a: Local, b: Local): boolean {
  return a.ingress === b.ingress && a.egress === b.egress && equal(a.ips, b.ips) && equal(a.born, b.born);
}
