import type { Birth } from '../../../model/cluster/birth.ts';
import type { Node } from '../../../model/cluster/node.ts';
import type { Pod } from '../../../model/cluster/pod.ts';
import { ObjectMemo } from '../../../model/memo.ts';
import { nthAddress } from '../../../model/net/cidr.ts';
import type { Ip } from '../../../model/net/ip.ts';
import type { World } from '../../../model/world.ts';
import { nodeAddresses } from '../../nodes/addresses.ts';
import { contains } from '../../nodes/prefix.ts';
import { type Memo, memo } from './memo.ts';

/** A pod that has an address, and how strong its claim to it is: of our own node before others, told at birth before told by the API. */
export interface Holder {
  readonly pod: Pod;
  readonly rank: number;
}

const BORN = 0;
const OWN = 1;
const PEER = 2;

/** Pods that policies can name: hostNetwork pods have their node's address, finished ones have none any more. */
export const countsForPolicy = ({ hostNetwork, phase }: Pod): boolean =>
  !hostNetwork && phase !== 'Succeeded' && phase !== 'Failed';

/**
 * All pods that have this address, those with the strongest claim first. More than one only while an address changes hands. One that was
 * given to a pod at its birth is that pod's alone: whoever else still names it has lost it, and must not lend it its labels.
 */
export function podsAt(world: World, address: Ip): readonly Holder[] {
  const own = ownPods(world).get(address);
  if (own?.[0]?.rank === BORN) return own;
  const peers = peerPods(world).get(address);
  if (!own) return peers ?? NOBODY;
  // A pod that was just given to our node may still be among the others.
  const strangers = peers?.filter(({ pod }) => own.every((holder) => holder.pod.key !== pod.key)) ?? NOBODY;
  return strangers.length > 0 ? [...own, ...strangers] : own;
}

/** Nodes that have this address, any of theirs. */
export function nodesAt(world: World, address: Ip): readonly Node[] {
  const nodes = memo(NODES, world, ['nodes'], () => {
    const byAddress = new Map<Ip, Node[]>();
    for (const node of world.nodes.objects.values())
      for (const one of nodeAddresses(node)) push(byAddress, one, node);
    return byAddress;
  });
  return nodes.get(address) ?? [];
}

/** Whether the Node itself sends from this address: one of its own, of its links, or the gateway of its pods. */
export function isOfNode(world: World, name: string, address: Ip): boolean {
  const node = world.nodes.objects.get(name);
  if (node && (nodeAddresses(node).has(address) || gatewaysOf(node).includes(address))) return true;
  return name === ownName(world) && linkAddresses(world).has(address);
}

/** Whether the address lies where only pods of our own Node are. */
export function inOwnPodCidrs(world: World, address: Ip): boolean {
  const own = world.nodes.objects.get(ownName(world) ?? '');
  return own?.podCidrs.some((cidr) => contains(cidr, address)) ?? false;
}

export const ownName = (world: World): string | undefined => world.config.objects.get('config')?.nodeName;

type Book = Map<Ip, Holder[]>;

const NOBODY: readonly Holder[] = [];
const NODES: Memo<ReadonlyMap<Ip, readonly Node[]>> = new ObjectMemo();
const OWN_PODS: Memo<ReadonlyMap<Ip, readonly Holder[]>> = new ObjectMemo();
const LINKS: Memo<ReadonlySet<Ip>> = new ObjectMemo();

function ownPods(world: World): ReadonlyMap<Ip, readonly Holder[]> {
  return memo(OWN_PODS, world, ['pods', 'births'], () => {
    const book: Book = new Map();
    for (const birth of world.births.objects.values()) {
      const pod = world.pods.objects.get(birth.pod);
      if (pod && countsForPolicy(pod) && isBirthOf(birth, pod))
        for (const address of birth.ips) enter(book, address, { pod, rank: BORN });
    }
    for (const pod of world.pods.objects.values())
      if (countsForPolicy(pod))
        for (const address of pod.ips)
          if (book.get(address)?.[0]?.rank !== BORN) enter(book, address, { pod, rank: OWN });
    return book;
  });
}

const isBirthOf = (birth: Birth, pod: Pod): boolean => birth.uid === '' || birth.uid === pod.uid;

/** The pods of other nodes may be many thousands and change all day: only what changed is looked at. */
interface PeerBook {
  readonly seen: Map<string, Pod>;
  readonly book: Book;
  revision: number;
}

const PEERS = new ObjectMemo<object, PeerBook>();

function peerPods(world: World): ReadonlyMap<Ip, readonly Holder[]> {
  const { objects, revision, changedSince } = world.peers;
  let known = PEERS.get(objects);
  if (!known) {
    known = { seen: new Map(), book: new Map(), revision: -1 };
    PEERS.set(objects, known);
  }
  if (known.revision === revision) return known.book;
  const changed = changedSince(known.revision) ?? new Set([...known.seen.keys(), ...objects.keys()]);
  for (const key of changed) renew(known, key, objects.get(key));
  known.revision = revision;
  return known.book;
}

function renew({ seen, book }: PeerBook, key: string, pod: Pod | undefined): void {
  const before = seen.get(key);
  if (before === pod) return;
  if (before) leave(book, seen, before);
  if (!pod) return;
  seen.set(key, pod);
  if (countsForPolicy(pod)) for (const address of pod.ips) enter(book, address, { pod, rank: PEER });
}

function leave(book: Book, seen: Map<string, Pod>, pod: Pod): void {
  seen.delete(pod.key);
  for (const address of pod.ips) {
    const rest = (book.get(address) ?? []).filter((holder) => holder.pod !== pod);
    if (rest.length > 0) book.set(address, rest);
    else book.delete(address);
  }
}

function enter(book: Book, address: Ip, holder: Holder): void {
  const present = book.get(address);
  if (!present) book.set(address, [holder]);
  else if (!present.some(({ pod }) => pod === holder.pod)) {
    present.push(holder);
    present.sort((a, b) => a.rank - b.rank || (a.pod.key < b.pod.key ? -1 : 1));
  }
}

const gatewaysOf = ({ podCidrs }: Node): readonly Ip[] => podCidrs.map((cidr) => nthAddress(cidr, 1));

function linkAddresses(world: World): ReadonlySet<Ip> {
  return memo(LINKS, world, ['links'], () => {
    const all = [...world.links.objects.values()].flatMap((link) => link.addresses);
    return new Set(all.map(withoutLength));
  });
}

const withoutLength = (text: string): Ip => text.slice(0, text.indexOf('/')) as Ip;

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
