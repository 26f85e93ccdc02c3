import { FairleadError } from '../../model/errors.ts';
import { contains, nthAddress, overlaps, splitPrefix, tryCidr } from '../../model/net/cidr.ts';
import { type Family, familyOf, tryIp } from '../../model/net/ip.ts';

/** A cluster and the wires under it, as data. Read from `--topology FILE` (JSON or YAML) or made by `defaultTopology`. */
export interface Topology {
  /** Address families of nodes and pods. */
  readonly families: readonly Family[];
  readonly segments: readonly Segment[];
  readonly routers: readonly Router[];
  readonly nodes: readonly TopologyNode[];
  /** A machine that is no node, to see what leaves the cluster. */
  readonly outside: { readonly segment: string } | undefined;
  /** Ranges from which Nodes get their pod CIDRs: /24 and /64 each. */
  readonly clusterCidrs: readonly string[];
}

/** One underlay broadcast domain: a bridge in a namespace of its own. Router, if any, has address `.1`. */
export interface Segment {
  readonly name: string;
  readonly cidrs: readonly string[];
  readonly mtu: number;
}

export interface Router {
  readonly name: string;
  readonly segments: readonly string[];
}

export interface TopologyNode {
  readonly name: string;
  readonly segment: string;
  /** How many pods the lab creates on it. */
  readonly pods: number;
  /** Addresses on its segment, without prefix length; absent = the next free ones, from `.11`. */
  readonly addresses?: readonly string[];
  /** Given at creation instead of waiting for the controller. */
  readonly podCidrs?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  /** Kernel settings of this machine before its agent starts: `{"net/ipv4/conf/all/rp_filter": "1"}`. */
  readonly sysctls?: Readonly<Record<string, string>>;
  /** Bytes that its CNI configuration folder can hold; absent = enough. */
  readonly cniSpace?: number;
}

export interface TopologyOptions {
  readonly nodes?: number;
  readonly pods?: number;
  readonly families?: readonly Family[];
  readonly segments?: number;
  readonly mtu?: number;
}

/** Documentation ranges (RFC 5737, RFC 3849); the third IPv4 one is where `outside` lives. */
const SEGMENTS: readonly (readonly [string, string])[] = [
  ['192.0.2.0/24', '2001:db8:0:1::/64'],
  ['198.51.100.0/24', '2001:db8:0:2::/64'],
];
const WORLD = ['203.0.113.0/24', '2001:db8:0:f::/64'] as const;
const CLUSTER_CIDRS = ['10.244.0.0/16', 'fd00:10:244::/48'] as const;

/** Two segments joined by a router, so that `auto` has something to choose; the first nodes on wire0, the others on wire1. */
export function defaultTopology(options: TopologyOptions = {}): Topology {
  const families = options.families ?? ['ipv4', 'ipv6'];
  const count = options.nodes ?? 3;
  const wires = Math.min(options.segments ?? 2, SEGMENTS.length);
  const ours = (cidr: string) => families.includes(familyOf(cidr));
  const mtu = options.mtu ?? 1500;
  const segments = SEGMENTS.slice(0, wires).map((cidrs, i) => ({
    name: `wire${i}`,
    cidrs: cidrs.filter(ours),
    mtu,
  }));
  segments.push({ name: 'world', cidrs: WORLD.filter(ours), mtu });
  const nodes = Array.from({ length: count }, (_, i) => ({
    name: `n${i + 1}`,
    segment: `wire${Math.floor((i * wires) / count)}`,
    pods: options.pods ?? 2,
  }));
  return {
    families,
    segments,
    routers: [{ name: 'r1', segments: segments.map((s) => s.name) }],
    nodes,
    outside: { segment: 'world' },
    clusterCidrs: CLUSTER_CIDRS.filter(ours),
  };
}

/** Address of the machine that routes out of a segment. */
export const gatewayOf = (cidr: string): string => nthAddress(cidr, 1);

export const outsideAddress = (cidr: string): string => nthAddress(cidr, 2);

/** Addresses with prefix length of every node, by name: those asked for, else counted from `.11` in each segment. */
export function nodeAddresses(topology: Topology): ReadonlyMap<string, readonly string[]> {
  const result = new Map<string, readonly string[]>();
  const next = new Map<string, number>();
  const taken = new Set(topology.nodes.flatMap((node) => node.addresses ?? []));
  for (const node of topology.nodes) {
    const segment = segmentNamed(topology, node.segment);
    if (node.addresses) {
      result.set(
        node.name,
        node.addresses.map((a) => `${a}/${prefixFor(segment, a)}`),
      );
      continue;
    }
    let n = next.get(segment.name) ?? 11;
    while (segment.cidrs.some((cidr) => taken.has(nthAddress(cidr, n)))) n++;
    next.set(segment.name, n + 1);
    result.set(
      node.name,
      segment.cidrs.map((cidr) => `${nthAddress(cidr, n)}/${splitPrefix(cidr).length}`),
    );
  }
  return result;
}

export function segmentNamed(topology: Topology, name: string): Segment {
  const segment = topology.segments.find((s) => s.name === name);
  if (!segment)
    throw bad(`no segment "${name}"`, `segments are ${topology.segments.map((s) => s.name).join(', ')}`);
  return segment;
}

function prefixFor(segment: Segment, address: string): number {
  const cidr = segment.cidrs.find((c) => contains(c, address));
  if (!cidr) throw bad(`address ${address} is not in segment ${segment.name} (${segment.cidrs.join(', ')})`);
  return splitPrefix(cidr).length;
}

/** Names become namespaces, link names and Kubernetes names: the strictest of the three rules holds for all. */
const NAME = /^[a-z]([a-z0-9-]{0,8}[a-z0-9])?$/;

/** What the lab itself has: a machine, and links in the segments, whose ports have the machines' names. */
const TAKEN = ['outside', 'lo', 'br0'];

/** Checks a topology read from a file. Throws `bad-topology`, naming the field. */
export function checkTopology(topology: Topology): Topology {
  if (topology.families.length === 0) throw bad('families is empty', 'write ipv4, ipv6 or both');
  const names = [...topology.segments, ...topology.routers, ...topology.nodes].map((x) => x.name);
  for (const [i, name] of names.entries()) {
    if (!NAME.test(name)) throw bad(`name "${name}"`, 'use 1 to 10 lower-case letters, digits and "-"');
    if (names.indexOf(name) !== i || TAKEN.includes(name)) throw bad(`name "${name}" is used twice`);
  }
  const cidrs = [...topology.segments.flatMap((s) => s.cidrs), ...topology.clusterCidrs];
  for (const [i, cidr] of cidrs.entries()) {
    if (!tryCidr(cidr)) throw bad(`"${cidr}" is not a prefix`, 'write ADDRESS/LENGTH with host bits zero');
    const other = cidrs.slice(0, i).find((c) => overlaps(c, cidr));
    if (other) throw bad(`${cidr} overlaps ${other}`);
  }
  for (const router of topology.routers) for (const name of router.segments) segmentNamed(topology, name);
  for (const segment of topology.segments)
    if (segment.mtu < 576 || segment.mtu > 65535)
      throw bad(`segment ${segment.name} mtu ${segment.mtu}`, 'between 576 and 65535');
  for (const node of topology.nodes) checkNode(topology, node);
  if (topology.outside) segmentNamed(topology, topology.outside.segment);
  return topology;
}

function checkNode(topology: Topology, node: TopologyNode): void {
  segmentNamed(topology, node.segment);
  if (!Number.isInteger(node.pods) || node.pods < 0 || node.pods > 100)
    throw bad(`node ${node.name} pods ${node.pods}`, 'between 0 and 100');
  for (const address of node.addresses ?? [])
    if (!tryIp(address)) throw bad(`node ${node.name} address "${address}" is not an IP address`);
  for (const cidr of node.podCidrs ?? [])
    if (!tryCidr(cidr)) throw bad(`node ${node.name} podCidr "${cidr}" is not a prefix`);
}

function bad(what: string, hint?: string): FairleadError {
  return new FairleadError('bad-topology', `topology: ${what}`, hint === undefined ? {} : { hint });
}
