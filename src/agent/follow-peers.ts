import type { Clock } from '../model/clock.ts';
import type { Config } from '../model/cluster/config.ts';
import type { World, WorldSink, WorldTables } from '../model/world.ts';

/** Who deletes his last policy often writes another one soon: until then what was listed is kept. */
const LINGER_MS = 60_000;

/**
 * Passes everything on, and follows the pods of the other nodes (`peers`) only while something is there that may name them: a policy of either
 * kind, or the default deny. Otherwise the table is empty and ready: what 150,000 pods cost is for those who use it.
 *
 * `peers` is not ready from before the first policy is passed on until the pods are listed, so that no policy is ever planned without them.
 */
export class FollowPeers implements WorldSink {
  readonly #sink: WorldSink;
  readonly #world: World;
  readonly #clock: Clock;
  #follow: (() => { close(): void }) | undefined;
  #following: { close(): void } | undefined;
  #leaving: { cancel(): void } | undefined;

  constructor(sink: WorldSink, world: World, clock: Clock) {
    this.#sink = sink;
    this.#world = world;
    this.#clock = clock;
  }

  /** From now on. `follow` begins to fill the table `peers`, not ready at first, until it is closed. */
  start(follow: () => { close(): void }): void {
    this.#follow = follow;
    if (this.#needed()) this.#begin();
    else this.#settle();
  }

  close(): void {
    this.#follow = undefined;
    this.#leaving?.cancel();
    this.#following?.close();
  }

  put<S extends keyof WorldTables>(source: S, key: string, object: WorldTables[S]): void {
    if (source === 'config' ? this.#needed(object as Config) : isPolicy(source) && this.#needed(undefined, 1))
      this.#begin();
    this.#sink.put(source, key, object);
    if (source === 'config') this.#settle();
  }

  remove<S extends keyof WorldTables>(source: S, key: string): void {
    this.#sink.remove(source, key);
    if (isPolicy(source)) this.#settle();
  }

  replace<S extends keyof WorldTables>(source: S, objects: ReadonlyMap<string, WorldTables[S]>): void {
    if (isPolicy(source) && this.#needed(undefined, objects.size)) this.#begin();
    this.#sink.replace(source, objects);
    if (isPolicy(source)) this.#settle();
  }

  ready(source: keyof WorldTables): void {
    this.#sink.ready(source);
    if (source === 'config' || isPolicy(source)) this.#settle();
  }

  notReady(source: keyof WorldTables, reason: string): void {
    this.#sink.notReady(source, reason);
  }

  /** `coming`: policies that are about to be passed on. */
  #needed(config = this.#world.config.objects.get('config'), coming = 0): boolean {
    const { networkPolicies, clusterNetworkPolicies } = this.#world;
    const policies = networkPolicies.objects.size + clusterNetworkPolicies.objects.size + coming;
    if (!config?.policy.enabled) return false;
    return policies > 0 || config.policy.defaultDeny !== 'none';
  }

  #begin(): void {
    this.#leaving?.cancel();
    this.#leaving = undefined;
    this.#following ??= this.#follow?.();
  }

  /** After something went: nothing is concluded from policies that are not listed yet. */
  #settle(): void {
    const { config, networkPolicies, clusterNetworkPolicies } = this.#world;
    if (this.#follow === undefined || this.#needed()) return;
    if (this.#following) this.#leaving ??= this.#clock.after(LINGER_MS, () => this.#leave());
    else if (config.ready && networkPolicies.ready && clusterNetworkPolicies.ready) this.#sink.ready('peers');
  }

  #leave(): void {
    this.#leaving = undefined;
    this.#following?.close();
    this.#following = undefined;
    this.#sink.replace('peers', new Map());
    this.#sink.ready('peers');
  }
}

function isPolicy(source: keyof WorldTables): boolean {
  return source === 'networkPolicies' || source === 'clusterNetworkPolicies';
}
