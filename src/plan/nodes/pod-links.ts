/**
 * The links by which packets of this node's pods come to its IP stack: all on which pods are, or may be in a moment. One list for all rules that must tell pods
 * from nodes, or look at what pods send.
 */
import type { Config } from '../../model/cluster/config.ts';
import type { HostLink, KernelFacts } from '../../model/cluster/host.ts';
import type { Node } from '../../model/cluster/node.ts';
import { equal } from '../../model/equal.ts';
import type { World, WorldChangeOf } from '../../model/world.ts';
import { podNetwork, podPlugin } from './pod-network.ts';
import { contains, prefixOf } from './prefix.ts';

/** The plugin `ptp` names its links so, in nft's words. */
export const PAIRS = 'veth*';

export interface PodLinks {
  /** Sorted: the one that we attach pods to (also before it is made), and those that pods of before are still on. */
  readonly bridges: readonly string[];
  /** Whether pods have pairs of links of their own, without a bridge. */
  readonly pairs: boolean;
}

/** What is known of this node without anything else: from its Node, or remembered. */
export type Place = Pick<Node, 'podCidrs' | 'addresses'>;

export function placeOf(node: Node | undefined): Place {
  const { podCidrs = [], addresses = [] } = node ?? {};
  return { podCidrs, addresses };
}

/** Names of links as rules test them: `fairlead0`, `veth*`. */
export function linkNames({ bridges, pairs }: PodLinks): readonly string[] {
  return pairs ? [...bridges, PAIRS] : bridges;
}

/**
 * A link that has an address in this node's pod CIDRs is pods' gateway, whoever made it and whatever files still say so: nobody but this machine's owner gives
 * links addresses. Links of the underlay are never among them: other nodes' packets come there, too. Beside another network there are none.
 */
export function podLinks(world: World, place: Place): PodLinks {
  const config = world.config.objects.get('config');
  if (!config?.router.enabled) return NONE;
  const missing = world.kernel.objects.get('kernel')?.missing;
  const inputs = [config, missing, world.links.revision, world.cni.revision, place.podCidrs, place.addresses];
  const known = MEMO.get(world.links.objects);
  if (known && inputs.every((input, i) => input === known.inputs[i])) return known.links;
  const links = look(world, config, missing ?? {}, place);
  MEMO.set(world.links.objects, { inputs, links });
  return links;
}

/** A function of these inputs alone. */
interface Memo {
  readonly inputs: readonly unknown[];
  readonly links: PodLinks;
}

const MEMO = new WeakMap<ReadonlyMap<string, HostLink>, Memo>();

function look(world: World, config: Config, missing: KernelFacts['missing'], place: Place): PodLinks {
  const links = world.links.objects;
  const seen = [...links.values()].filter((link) => isGateway(link, place));
  const bridges = new Set(seen.filter(({ kind }) => kind === 'bridge').map(({ name }) => name));
  let pairs = seen.some(isPair);
  if (config.cni.write) {
    const { bridge } = podNetwork(config, world.cni.objects.values());
    const plugin = podPlugin(config, missing);
    if (plugin === 'bridge' || links.get(bridge)?.kind === 'bridge') bridges.add(bridge);
    pairs ||= plugin === 'ptp';
  }
  for (const link of links.values()) {
    if (!isUnderlay(link, config, place)) continue;
    bridges.delete(link.name);
    if (isPairName(link.name)) pairs = false;
  }
  return { bridges: [...bridges].sort(), pairs };
}

/** Whether a change of this node's own Node can. */
export function touchesPlace({ key, before, after }: WorldChangeOf<'nodes'>, world: World): boolean {
  const own = key === world.config.objects.get('config')?.nodeName;
  return own && !equal(placeOf(before), placeOf(after));
}

/** Whether a change of one link can change `podLinks`: of a bridge, or of a pair that a pod may have. */
export function touchesPodLinks({ before, after }: WorldChangeOf<'links'>): boolean {
  return essence(before) !== essence(after);
}

const NONE: PodLinks = { bridges: [], pairs: false };

/** The plugin `ptp` gives the node's end of each pair the gateway's address. */
function isGateway({ addresses }: HostLink, { podCidrs }: Place): boolean {
  return addresses.some((text) => podCidrs.some((cidr) => contains(cidr, prefixOf(text).address)));
}

const isPair = ({ kind, master, name }: HostLink): boolean =>
  kind === 'veth' && master === undefined && isPairName(name);
const isPairName = (name: string): boolean => name.startsWith(PAIRS.slice(0, -1));

function isUnderlay({ name, addresses }: HostLink, { underlayLink }: Config, place: Place): boolean {
  return name === underlayLink || addresses.some((text) => place.addresses.includes(prefixOf(text).address));
}

function essence(link: HostLink | undefined): string {
  return link === undefined ? '' : `${link.kind} ${link.master} ${link.addresses.join()}`;
}
