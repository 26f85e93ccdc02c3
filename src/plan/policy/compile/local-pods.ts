import type { Pod } from '../../../model/cluster/pod.ts';
import { equal } from '../../../model/equal.ts';
import type { Ip } from '../../../model/net/ip.ts';
import type { LocalPod, Selection } from '../compiled.ts';
import { selectionId } from './selection.ts';
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

interface Kept extends Local {
  /** Their chains. */
  readonly ids: readonly string[];
}

interface Chain {
  readonly selection: Selection;
  pods: number;
}

/** Pods of this node, the chains that they share, and who has an address that several claim. */
export class LocalPods {
  readonly #locals = new Map<string, Kept>();
  readonly #chains = new Map<string, Chain>();
  readonly #claims = new Map<Ip, Set<string>>();
  readonly #touch: Touch;

  constructor(touch: Touch) {
    this.#touch = touch;
  }

  get(key: string): Local | undefined {
    return this.#locals.get(key);
  }

  keys(): Iterable<string> {
    return this.#locals.keys();
  }

  chain(id: string): Selection | undefined {
    return this.#chains.get(id)?.selection;
  }

  chains(): Iterable<string> {
    return this.#chains.keys();
  }

  /** Touches the chains that a ClusterNetworkPolicy is part of. */
  touchChainsOf(clusterPolicy: string): void {
    for (const [id, { selection }] of this.#chains) {
      if (selection.admin.includes(clusterPolicy) || selection.baseline.includes(clusterPolicy))
        this.#touch(`chain/${id}`);
    }
  }

  set(key: string, local: Local | undefined): void {
    const before = this.#locals.get(key);
    const after = local && { ...local, ids: [local.ingress, local.egress].map(idOf) };
    if (after) this.#locals.set(key, after);
    else this.#locals.delete(key);
    if (after) for (const selection of [after.ingress, after.egress]) this.#join(selection);
    if (before) for (const selection of [before.ingress, before.egress]) this.#leave(selection);
    if (after && before && sameDispatch(before, after)) return;
    this.#touch(`pod/${key}`);
    // Who else claims one of its addresses may have it now, or no more.
    for (const ip of before?.ips ?? []) this.#unclaim(ip, key);
    for (const ip of after?.ips ?? []) this.#claim(ip, key);
  }

  /** What the dispatch maps say of the pod: only addresses that are its own. Of several that claim one it is the pod born with it, then the first by name. */
  dispatched(key: string): LocalPod | undefined {
    const local = this.#locals.get(key);
    if (!local) return undefined;
    const ips = local.ips.filter((ip) => this.#owner(ip) === key);
    return { pod: key, ips, ingress: local.ingress, egress: local.egress };
  }

  #owner(ip: Ip): string | undefined {
    const keys = [...(this.#claims.get(ip) ?? [])];
    if (keys.length < 2) return keys[0];
    const born = keys.filter((key) => this.#locals.get(key)?.born.includes(ip));
    return (born.length > 0 ? born : keys).sort()[0];
  }

  #claim(ip: Ip, key: string): void {
    const keys = this.#claims.get(ip);
    if (!keys) this.#claims.set(ip, new Set([key]));
    else {
      keys.add(key);
      for (const other of keys) this.#touch(`pod/${other}`);
    }
  }

  #unclaim(ip: Ip, key: string): void {
    const keys = this.#claims.get(ip);
    if (!keys?.delete(key)) return;
    if (keys.size === 0) this.#claims.delete(ip);
    for (const other of keys) this.#touch(`pod/${other}`);
  }

  #join(selection: Selection | undefined): void {
    if (!selection) return;
    const id = selectionId(selection);
    const chain = this.#chains.get(id);
    if (chain) chain.pods++;
    else {
      this.#chains.set(id, { selection, pods: 1 });
      this.#touch(`chain/${id}`);
    }
  }

  #leave(selection: Selection | undefined): void {
    const id = idOf(selection);
    const chain = this.#chains.get(id);
    if (!chain || --chain.pods > 0) return;
    this.#chains.delete(id);
    this.#touch(`chain/${id}`);
  }
}

const idOf = (selection: Selection | undefined): string => (selection ? selectionId(selection) : '');

function sameDispatch(a: Kept, b: Kept): boolean {
  return equal(a.ids, b.ids) && equal(a.ips, b.ips) && equal(a.born, b.born);
}
