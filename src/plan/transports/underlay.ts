import type { Config } from '../../model/cluster/config.ts';
import type { HostLink, KernelFacts } from '../../model/cluster/host.ts';
import type { Node } from '../../model/cluster/node.ts';
import { equal } from '../../model/equal.ts';
import { type Cidr, networkOf, splitPrefix } from '../../model/net/cidr.ts';
import { FAMILIES, type Family, familyOf, type Ip } from '../../model/net/ip.ts';
import type { Problem } from '../../model/problem.ts';
import { LINK_PREFIX } from '../../model/rows/link.ts';
import type { World, WorldChangeOf } from '../../model/world.ts';
import { type PodLinks, podLinks } from '../nodes/pod-links.ts';
import { type PodNetwork, podNetwork } from '../nodes/pod-network.ts';
import { contains, prefixOf } from '../nodes/prefix.ts';

/** Where packets of one family leave this machine towards other nodes. */
export interface Underlay {
  readonly dev: string;
  readonly address: Ip;
  /** What the link holds to be on-link. */
  readonly prefix: Cidr;
  readonly mtu: number;
}

/** What ways depend on of what a node tells the others. */
export interface Said {
  readonly uses: readonly string[];
  readonly leaves?: readonly string[] | undefined;
}

/** All that planning for this machine depends on besides the other Nodes. The same object as long as it says the same. */
export interface Self {
  readonly name: string;
  readonly created: string;
  readonly addresses: readonly Ip[];
  readonly podCidrs: readonly Cidr[];
  /** What the API server has of what we said that we send by: what the others may have read. Absent while we have said nothing. */
  readonly says: Said | undefined;
  readonly config: Config;
  readonly missing: KernelFacts['missing'];
  readonly network: PodNetwork;
  /** Where pods' packets come from. */
  readonly pods: PodLinks;
  readonly underlay: Readonly<Partial<Record<Family, Underlay>>>;
  /** All global addresses of the underlay links with their prefix length, sorted. */
  readonly underlayAddresses: readonly string[];
  /** Underlay links that learn from routers (accept_ra), which forwarding would stop. */
  readonly listening: readonly string[];
  readonly problems: readonly Problem[];
}

/** This machine as planners see it; `undefined` while its Node or its configuration is not known. */
export function selfOf(world: World): Self | undefined {
  const config = world.config.objects.get('config');
  const node = config && world.nodes.objects.get(config.nodeName);
  if (!config || !node) return undefined;
  const kernel = world.kernel.objects.get('kernel');
  const known = MEMO.get(world.links.objects);
  const inputs = [config, node, kernel, world.links.revision, world.cni.revision] as const;
  if (known && inputs.every((input, i) => input === known.inputs[i])) return known.self;
  const fresh = describeSelf(config, node, kernel, world);
  const self = known && equal(known.self, fresh) ? known.self : fresh;
  MEMO.set(world.links.objects, { inputs, self });
  return self;
}

/** Whether a change of one link can change `selfOf`. Veths of pods come and go all day and must cost nothing. */
export function touchesUnderlay(change: WorldChangeOf<'links'>, world: World): boolean {
  const config = world.config.objects.get('config');
  const node = config && world.nodes.objects.get(config.nodeName);
  if (!config || !node || change.key.startsWith(LINK_PREFIX)) return false;
  const { before, after } = change;
  if (before && after && equal(essence(before), essence(after))) return false;
  if (config.underlayLink !== undefined) return config.underlayLink === change.key;
  return [before, after].some((link) => link !== undefined && carriesAddressOf(link, node));
}

/** Whether a link changed in nothing but how it listens to routers, which no route depends on. */
export function onlyListens({ before, after }: WorldChangeOf<'links'>): boolean {
  return before !== undefined && after !== undefined && equal({ ...before, acceptRa: after.acceptRa }, after);
}

/** The parts of a Node that the rows of others depend on; heartbeats, labels and conditions are not among them. */
export function sameNode(a: Node | undefined, b: Node | undefined): boolean {
  if (!a || !b) return a === b;
  return (
    a.name === b.name &&
    a.created === b.created &&
    equal(a.addresses, b.addresses) &&
    equal(a.externalAddresses, b.externalAddresses) &&
    equal(a.podCidrs, b.podCidrs) &&
    equal(a.facts, b.facts) &&
    equal(a.unseen, b.unseen)
  );
}

/**
 * The parts of this node's own Node that its way to others depends on: of what it told them, only by what it says that it sends, and nothing of what
 * they may have read that we have not seen come back.
 */
export function sameSender(a: Node | undefined, b: Node | undefined): boolean {
  return (
    equal(a?.facts?.uses, b?.facts?.uses) &&
    equal(a?.facts?.leaves, b?.facts?.leaves) &&
    sameNode(silent(a), silent(b))
  );
}

const silent = (node: Node | undefined): Node | undefined =>
  node && { ...node, facts: undefined, unseen: [] };

/** Families in which this machine can send to other nodes, the preferred one first. */
export function underlayFamilies(self: Self): Family[] {
  const preferred = self.config.underlayFamily;
  const order: Family[] = preferred === 'ipv6' ? ['ipv6', 'ipv4'] : ['ipv4', 'ipv6'];
  return order.filter((family) => self.underlay[family] !== undefined);
}

/** The smallest MTU of a link with that family: RFC 791 section 3.1, RFC 8200 section 5. The kernel has no IPv6 on smaller ones. */
export const LEAST_MTU: Readonly<Record<Family, number>> = { ipv4: 576, ipv6: 1280 };

/** The smallest MTU among the underlay links; 1500 when there is none. */
export function underlayMtu(self: Self): number {
  const mtus = FAMILIES.flatMap((family) => self.underlay[family]?.mtu ?? []);
  return mtus.length === 0 ? 1500 : Math.min(...mtus);
}

interface Memo {
  readonly inputs: readonly unknown[];
  readonly self: Self;
}

const MEMO = new WeakMap<ReadonlyMap<string, HostLink>, Memo>();

function describeSelf(config: Config, node: Node, kernel: KernelFacts | undefined, world: World): Self {
  const links = world.links.objects;
  const missing = kernel?.missing ?? {};
  const candidates = [...links.values()]
    .filter((link) => !link.name.startsWith(LINK_PREFIX))
    .sort((a, b) => a.index - b.index || (a.name < b.name ? -1 : 1));
  const underlay: Partial<Record<Family, Underlay>> = {};
  const devices = new Set<string>();
  for (const family of FAMILIES) {
    if (family === 'ipv6' && missing.ipv6 !== undefined) continue;
    const found = findUnderlay(config, node, family, candidates);
    if (found) underlay[family] = found;
    if (found) devices.add(found.dev);
  }
  const used = candidates.filter((link) => devices.has(link.name));
  return {
    name: node.name,
    created: node.created,
    addresses: node.addresses,
    podCidrs: node.podCidrs,
    says: node.facts && { uses: node.facts.uses, leaves: node.facts.leaves },
    config,
    missing,
    network: podNetwork(config, world.cni.objects.values()),
    pods: podLinks(world, node),
    underlay,
    underlayAddresses: used.flatMap((link) => link.addresses.filter(isGlobal)).sort(),
    listening: used.filter((link) => (link.acceptRa ?? 0) > 0).map((link) => link.name),
    problems: underlayProblems(config, node, links, devices.size > 0),
  };
}

function findUnderlay(
  config: Config,
  node: Node,
  family: Family,
  links: readonly HostLink[],
): Underlay | undefined {
  const wanted = node.addresses.filter((address) => familyOf(address) === family);
  const allowed =
    config.underlayLink === undefined ? links : links.filter((link) => link.name === config.underlayLink);
  for (const address of wanted) {
    for (const link of allowed) {
      const own = link.addresses.find((text) => prefixOf(text).address === address);
      if (own !== undefined) return underlayOf(link, own);
    }
  }
  // A link named in the configuration carries the underlay also when the Node object does not know its addresses.
  const [link] = config.underlayLink === undefined ? [] : allowed;
  const own = link?.addresses.find((text) => familyOf(text) === family && isGlobal(text));
  return link && own !== undefined ? underlayOf(link, own) : undefined;
}

function underlayOf(link: HostLink, own: string): Underlay {
  const { address, length } = splitPrefix(own);
  return { dev: link.name, address, prefix: networkOf(address, length), mtu: link.mtu };
}

function underlayProblems(
  config: Config,
  node: Node,
  links: ReadonlyMap<string, HostLink>,
  found: boolean,
): Problem[] {
  const problems: Problem[] = node.problems.map((message) => ({ object: `Node ${node.name}`, message }));
  const named = config.underlayLink;
  if (found) return problems;
  if (named !== undefined && !links.has(named)) {
    problems.push({
      object: 'setting underlayLink',
      message: `this machine has no link "${named}"`,
      hint: 'name a link that `ip link` shows, or leave the setting out',
    });
  } else if (named !== undefined) {
    problems.push({ object: `link ${named}`, message: 'has no address, so it cannot carry the underlay' });
  } else if (node.addresses.length === 0) {
    problems.push({
      object: `Node ${node.name}`,
      message: 'has no InternalIP in status.addresses, so no link can be chosen for the underlay',
      hint: 'start the kubelet with --node-ip, or set underlayLink',
    });
  } else {
    problems.push({
      object: `Node ${node.name}`,
      message: `no link of this machine has its InternalIP ${node.addresses.join(' or ')}`,
      hint: 'correct --node-ip of the kubelet, or set underlayLink',
    });
  }
  return problems;
}

const LINK_LOCAL = ['169.254.0.0/16', '127.0.0.0/8', 'fe80::/10', '::1/128'];

function isGlobal(text: string): boolean {
  const { address } = prefixOf(text);
  return !LINK_LOCAL.some((prefix) => contains(prefix, address));
}

function essence(link: HostLink): unknown {
  return [link.index, link.mtu, link.addresses, link.acceptRa];
}

function carriesAddressOf(link: HostLink, node: Node): boolean {
  return link.addresses.some((text) => node.addresses.includes(prefixOf(text).address));
}
