import { type Ip, tryIp } from '../model/net/ip.ts';
import type { TargetName } from '../model/rows/row.ts';
import type { SourceName, World } from '../model/world.ts';
import { countsForPolicy, ownName, podsAt } from '../plan/policy/decide/addresses.ts';
import { decide } from '../plan/policy/decide/decide.ts';
import type { Verdict } from '../plan/policy/flow.ts';
import type { Decision } from '../reconcile/board.ts';
import type { Connection, Denial, FlowJudge } from '../targets/linux/conntrack.ts';
import type { Touch } from '../targets/linux/touched.ts';

export interface RecheckOptions {
  readonly world: World;
  /** What must be ready before anything is judged. */
  readonly reads: readonly SourceName[];
  /** Whether a chain or set of this name is policies' (and not masquerading's, for one). */
  readonly isPolicyRow: (name: string) => boolean;
}

/** So many addresses of vanished pods are known at most; those of the oldest are forgotten. */
const KEPT_GONE = 4096;

/**
 * Setting `policy.established: recheck`. Judges connections by the policies of the World, and tells which addresses' connections have to be
 * judged again, once the rows of a change are in the kernel. `conntrack` does the rest; the agent's own turn waits for none of it.
 */
export class Recheck implements FlowJudge {
  readonly #options: RecheckOptions;
  readonly #everOurs = new Set<Ip>();
  #touch: (what: Touch) => void = () => {};
  #seen: readonly unknown[] = [];
  #terms: unknown;

  constructor(options: RecheckOptions) {
    this.#options = options;
  }

  /** `touch`: whom to tell. */
  tell(touch: (what: Touch) => void): void {
    this.#touch = touch;
  }

  get ready(): boolean {
    const { world, reads } = this.#options;
    return this.#policy?.enabled === true && reads.every((name) => world[name].ready);
  }

  pods(): Iterable<Ip> {
    this.#follow();
    return this.#everOurs;
  }

  isGone(address: Ip): boolean {
    return this.#everOurs.has(address) && podsAt(this.#options.world, address).length === 0;
  }

  denies({ protocol, from, to, port }: Connection): Denial | undefined {
    const flow = { from, to, protocol, ...(port !== undefined && { port }) };
    const { egress, ingress } = decide(this.#options.world, flow);
    for (const [verdict, end] of [[egress, from] as const, [ingress, to] as const]) {
      if (!verdict || verdict.allowed || !this.#isOurs(verdict, end)) continue;
      if (verdict.by === 'unknown-pod') return { why: verdict.text, silence: false };
      return { why: verdict.text, silence: true, spared: this.#policy?.established === 'keep' };
    }
    return undefined;
  }

  /** Hook of the loop: these rows were decided. */
  decided(target: TargetName, decisions: readonly Decision[]): void {
    if (target !== 'nft') return;
    const addresses = new Set<Ip>();
    let pods = false;
    for (const { key, error } of decisions) {
      const touched = error === undefined ? this.#touchedBy(key) : undefined;
      if (touched && touched !== 'pods') addresses.add(touched);
      pods = touched === 'pods';
      if (pods) break;
    }
    this.#touch(pods ? 'pods' : addresses);
  }

  /** Hook of the loop: nobody knows how much of a call was done. */
  torn(target: TargetName): void {
    if (target === 'nft') this.#touch('pods');
  }

  /** Hook of the loop, after each plan: settings may have changed, and sources may have become ready. */
  planned(): void {
    if (!this.ready) return;
    this.#follow();
    const terms = this.#policy?.established;
    if (terms === this.#terms) return;
    this.#terms = terms;
    this.#touch('everything');
  }

  get #policy() {
    return this.#options.world.config.objects.get('config')?.policy;
  }

  #isOurs({ by }: Verdict, end: Ip): boolean {
    const { world } = this.#options;
    return by === 'unknown-pod' || podsAt(world, end)[0]?.pod.node === ownName(world);
  }

  /** A row's key is `chain NAME`, `set NAME` or `element SET VALUE . VALUE …`. */
  #touchedBy(key: string): Ip | 'pods' | undefined {
    const [kind, name = '', first = ''] = key.split(' ');
    if (!this.#options.isPolicyRow(name)) return undefined;
    // A set alone changes nothing: its elements are rows of their own.
    if (kind === 'set') return undefined;
    return (kind === 'element' ? tryIp(first) : undefined) ?? 'pods';
  }

  /** Remembers whose addresses are ours. */
  #follow(): void {
    const { pods, births } = this.#options.world;
    const seen = [pods.objects, pods.revision, births.objects, births.revision];
    if (seen.every((part, i) => part === this.#seen[i])) return;
    this.#seen = seen;
    for (const pod of pods.objects.values()) if (countsForPolicy(pod)) this.#remember(pod.ips);
    for (const birth of births.objects.values()) this.#remember(birth.ips);
    for (const address of this.#everOurs) {
      if (this.#everOurs.size <= KEPT_GONE) break;
      if (this.isGone(address)) this.#everOurs.delete(address);
    }
  }

  #remember(addresses: readonly Ip[]): void {
    for (const address of addresses) this.#everOurs.add(address);
  }
}
