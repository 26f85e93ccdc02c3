import type { Node } from '../../model/cluster/node.ts';
import { ObjectMemo } from '../../model/memo.ts';
import type { World, WorldChangeOf } from '../../model/world.ts';
import { nodeMac } from './identity.ts';
import { PrefixSet } from './prefix-set.ts';

/** Follows the Nodes one by one, so that what it counts never has to be counted from the start. */
export interface NodeFollower {
  /** `before` as it was given last time; absent = it comes, `after` absent = it goes. */
  node(before: Node | undefined, after: Node | undefined): void;
}

/**
 * All Nodes, looked up by what they claim: prefixes, addresses, MAC addresses, carriers in use.
 *
 * It is a memo and no memory: its content is a function of `world.nodes.objects` alone. It compares objects by identity, so
 * being told of a change twice, late, or in another order makes no difference.
 */
export class NodeIndex {
  readonly cidrs = new PrefixSet();
  readonly addresses = new PrefixSet();
  readonly #macs = new Map<string, readonly string[]>();
  readonly #users = new Map<string, Set<string>>();
  readonly #seen = new Map<string, Node>();
  readonly #followers = new Map<string, { key: unknown; follower: NodeFollower }>();
  #revision = -1;

  constructor(objects: ReadonlyMap<string, Node>, revision: number) {
    this.cidrs.addAll(pairs(objects, (node) => node.podCidrs));
    this.addresses.addAll(pairs(objects, (node) => node.addresses));
    for (const node of objects.values()) this.#enterRest(node);
    this.#revision = revision;
  }

  get(name: string): Node | undefined {
    return this.#seen.get(name);
  }

  nodes(): Iterable<Node> {
    return this.#seen.values();
  }

  withMac(name: string): readonly string[] {
    return this.#macs.get(nodeMac(name)) ?? NONE;
  }

  withAddress(address: string): readonly string[] {
    return this.addresses.values(address);
  }

  /** Carriers that some node other than `self` says it uses. */
  usedByOthers(self: string): string[] {
    const carriers: string[] = [];
    for (const [carrier, names] of this.#users) {
      if (names.size > (names.has(self) ? 1 : 0)) carriers.push(carrier);
    }
    return carriers.sort();
  }

  /** Nodes whose rows may change when `node` comes, goes or is what it is: they claim something that it claims too. */
  touching(node: Node): Set<string> {
    const names = new Set<string>([node.name, ...this.withMac(node.name)]);
    const add = (found: readonly string[]): void => {
      for (const name of found) names.add(name);
    };
    for (const cidr of node.podCidrs) {
      for (const other of this.cidrs.overlapping(cidr)) add(this.cidrs.values(other));
    }
    for (const address of node.addresses) {
      add(this.withAddress(address));
      for (const cidr of this.cidrs.overlapping(address)) add(this.cidrs.values(cidr));
    }
    return names;
  }

  /** One follower a name, made anew when `key` is another object: it is then told of all Nodes. */
  follow<F extends NodeFollower>(name: string, key: unknown, make: () => F): F {
    const present = this.#followers.get(name);
    if (present && present.key === key) return present.follower as F;
    const follower = make();
    for (const node of this.#seen.values()) follower.node(undefined, node);
    this.#followers.set(name, { key, follower });
    return follower;
  }

  /**
   * Takes in one reported change. When it is the only one since this index was whole, the index is whole again; otherwise the
   * next `sync` compares all Nodes (by identity, some 0.1 ms for 5,000).
   */
  note(change: WorldChangeOf<'nodes'>, objects: ReadonlyMap<string, Node>, revision: number): void {
    this.#one(change.key, objects.get(change.key));
    if (this.#revision + 1 === revision) this.#revision = revision;
  }

  sync(objects: ReadonlyMap<string, Node>, revision: number): void {
    if (this.#revision === revision) return;
    for (const name of this.#seen.keys()) if (!objects.has(name)) this.#one(name, undefined);
    for (const [name, node] of objects) this.#one(name, node);
    this.#revision = revision;
  }

  #one(name: string, after: Node | undefined): void {
    const before = this.#seen.get(name);
    if (before === after) return;
    if (before) this.#leave(before);
    if (after) {
      for (const cidr of after.podCidrs) this.cidrs.add(cidr, name);
      for (const address of after.addresses) this.addresses.add(address, name);
      this.#enterRest(after);
    }
    for (const { follower } of this.#followers.values()) follower.node(before, after);
  }

  #enterRest(node: Node): void {
    this.#seen.set(node.name, node);
    const mac = nodeMac(node.name);
    const sharers = this.#macs.get(mac) ?? NONE;
    if (!sharers.includes(node.name)) this.#macs.set(mac, [...sharers, node.name]);
    for (const carrier of node.facts?.uses ?? []) put(this.#users, carrier, node.name);
  }

  #leave(node: Node): void {
    this.#seen.delete(node.name);
    for (const cidr of node.podCidrs) this.cidrs.remove(cidr, node.name);
    for (const address of node.addresses) this.addresses.remove(address, node.name);
    const mac = nodeMac(node.name);
    const sharers = this.withMac(node.name).filter((name) => name !== node.name);
    if (sharers.length > 0) this.#macs.set(mac, sharers);
    else this.#macs.delete(mac);
    for (const carrier of node.facts?.uses ?? []) drop(this.#users, carrier, node.name);
  }
}

/** The index of this World's Nodes. Kept with the table itself, so that it goes when the table goes. */
export function nodeIndex(world: World): NodeIndex {
  const index = known(world);
  index.sync(world.nodes.objects, world.nodes.revision);
  return index;
}

/** Tells the index of a change; every planner that uses it does so first thing in `affected`. */
export function noteNode(change: WorldChangeOf<'nodes'>, world: World): NodeIndex {
  const index = known(world);
  index.note(change, world.nodes.objects, world.nodes.revision);
  return index;
}

function known(world: World): NodeIndex {
  let index = INDEXES.get(world.nodes.objects);
  if (!index) {
    index = new NodeIndex(world.nodes.objects, world.nodes.revision);
    INDEXES.set(world.nodes.objects, index);
  }
  return index;
}

/** Which of two Nodes has the better right to what both claim: the older one, then the first by name. */
export function precedes(a: Node, b: Node): boolean {
  return a.created !== b.created ? a.created < b.created : a.name < b.name;
}

const INDEXES = new ObjectMemo<ReadonlyMap<string, Node>, NodeIndex>();
const NONE: readonly string[] = [];

function* pairs(
  objects: ReadonlyMap<string, Node>,
  of: (node: Node) => readonly string[],
): Iterable<readonly [string, string]> {
  for (const node of objects.values()) for (const prefix of of(node)) yield [prefix, node.name];
}

function put(map: Map<string, Set<string>>, key: string, name: string): void {
  const names = map.get(key);
  if (names) names.add(name);
  else map.set(key, new Set([name]));
}

function drop(map: Map<string, Set<string>>, key: string, name: string): void {
  const names = map.get(key);
  if (names?.delete(name) && names.size === 0) map.delete(key);
}
