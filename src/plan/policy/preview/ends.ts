import type { Node } from '../../../model/cluster/node.ts';
import type { Pod } from '../../../model/cluster/pod.ts';
import type { Labels } from '../../../model/cluster/selector.ts';
import { type Cidr, nthAddress, splitPrefix } from '../../../model/net/cidr.ts';
import { FAMILIES, type Family, familyOf, type Ip, ip, ipBytes, ipFromBytes } from '../../../model/net/ip.ts';
import type { World } from '../../../model/world.ts';
import { contains } from '../../nodes/prefix.ts';
import { countsForPolicy, nodesAt, podsAt } from '../decide/addresses.ts';
import type { Words } from './words.ts';

/** Pods, Nodes or outside addresses that no policy tells apart; one of them stands for all. */
export interface PreviewEnd {
  readonly label: string;
  /** Addresses of one of them, and of a second one for traffic among them. */
  readonly members: readonly (readonly Ip[])[];
  readonly pod: Pod | undefined;
}

/** Pods by namespace, by the labels that policies ask for, by named ports, and by the blocks that their addresses lie in. */
export function podEnds(world: World, { labelKeys, prefixes }: Words): PreviewEnd[] {
  const blocks = [...prefixes];
  const classes = new Map<string, Pod[]>();
  for (const table of [world.pods, world.peers]) {
    for (const pod of table.objects.values()) {
      if (!countsForPolicy(pod) || pod.ips.length === 0) continue;
      const inside = blocks.map((cidr) =>
        pod.ips.map((address) => (contains(cidr, address) ? 1 : 0)).join(''),
      );
      const families = pod.ips.map(familyOf);
      const key = [pod.namespace, labelText(pod.labels, labelKeys), pod.ports, families, inside];
      const text = JSON.stringify(key);
      const list = classes.get(text);
      if (list) list.push(pod);
      else classes.set(text, [pod]);
    }
  }
  return [...classes.values()].flatMap((pods) => {
    pods.sort((a, b) => (a.key < b.key ? -1 : 1));
    const [first] = pods;
    return first ? [endOf(first.key, pods, first)] : [];
  });
}

export function nodeEnds(world: World, { namesNodes, nodeKeys }: Words): PreviewEnd[] {
  if (!namesNodes) return [];
  const classes = new Map<string, { name: string; ips: readonly Ip[] }[]>();
  for (const node of world.nodes.objects.values()) {
    const key = labelText(node.labels, nodeKeys);
    const member = { name: node.name, ips: addressesOf(node) };
    classes.set(key, [...(classes.get(key) ?? []), member]);
  }
  return [...classes.values()].flatMap((nodes) => {
    const [first] = nodes;
    return first ? [endOf(`Node ${first.name}`, nodes, undefined)] : [];
  });
}

const addressesOf = (node: Node): readonly Ip[] => [...node.addresses, ...node.externalAddresses];

function endOf(name: string, members: readonly { ips: readonly Ip[] }[], pod: Pod | undefined): PreviewEnd {
  const label = members.length > 1 ? `${name} and ${members.length - 1} like it` : name;
  return { label, members: members.slice(0, 2).map(({ ips }) => ips), pod };
}

function labelText(labels: Labels, keys: ReadonlySet<string>): string {
  return JSON.stringify(
    Object.entries(labels)
      .filter(([key]) => keys.has(key))
      .sort(),
  );
}

/** Where documentation lives (RFC 5737, RFC 3849): nobody's addresses, and so anybody's. */
const ELSEWHERE: Readonly<Record<Family, readonly Ip[]>> = {
  ipv4: ['198.51.100.77', '203.0.113.77', '192.0.2.77', '9.9.9.9'].map(ip),
  ipv6: ['2001:db8:77::77', '3fff:77::77', '2620:fe::fe'].map(ip),
};

/** One outside address for each way in which blocks and exceptions contain it or not, and one in none of them where there is one. */
export function outsideEnds(world: World, { blocks, prefixes }: Words): PreviewEnd[] {
  const found = new Map<string, PreviewEnd>();
  const families = FAMILIES.filter(
    (family) => family === 'ipv4' || [...prefixes].some((cidr) => familyOf(cidr) === family),
  );
  const candidates = [
    ...families.flatMap((family) => ELSEWHERE[family]),
    ...blocks.flatMap(({ cidr, except }) => [
      firstOf(cidr),
      ...except.flatMap((hole) => [firstOf(hole), ...besides(hole, cidr)]),
    ]),
  ];
  for (const address of candidates) {
    if (podsAt(world, address).length > 0 || nodesAt(world, address).length > 0) continue;
    const inside = [...prefixes].filter((cidr) => contains(cidr, address));
    const key = `${familyOf(address)} ${inside.join(' ')}`;
    if (!found.has(key))
      found.set(key, { label: outsideLabel(address, inside), members: [[address]], pod: undefined });
  }
  return [...found.values()];
}

function outsideLabel(address: Ip, inside: readonly Cidr[]): string {
  const narrowest = inside.toSorted((a, b) => splitPrefix(b).length - splitPrefix(a).length)[0];
  return narrowest === undefined ? `outside (${address})` : `outside ${narrowest} (${address})`;
}

function firstOf(cidr: Cidr): Ip {
  const { address, length, family } = splitPrefix(cidr);
  return length < (family === 'ipv4' ? 31 : 127) ? nthAddress(cidr, 1) : address;
}

/** An address in each prefix beside `hole` that together with it make up `outer`: what is left of the block lies in them. */
function besides(hole: Cidr, outer: Cidr): Ip[] {
  const inner = splitPrefix(hole);
  const found: Ip[] = [];
  for (let bit = splitPrefix(outer).length; bit < inner.length; bit++) {
    const bytes = Uint8Array.from(ipBytes(inner.address));
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
    found.push(ipFromBytes(bytes));
  }
  return found;
}
