import type { Pod } from '../../model/cluster/pod.ts';
import { type Ip, tryIp } from '../../model/net/ip.ts';
import type { World } from '../../model/world.ts';
import type { NodeIndex } from '../nodes/node-index.ts';

/** One end of a path. */
export interface End {
  readonly kind: 'pod' | 'node' | 'outside' | 'unknown';
  /** `pod default/a`, `node n1`, `outside 192.0.2.1`. */
  readonly title: string;
  readonly ips: readonly Ip[];
  /** By name, and not by one address. */
  readonly named: boolean;
  /** The node that it is on. */
  readonly node: string | undefined;
  /** Why it is unknown. */
  readonly why: string;
}

/** Finds who is meant by `namespace/name`, a pod's or a node's name, or an address. */
export function findEnd(world: World, index: NodeIndex, text: string): End {
  const address = tryIp(text);
  return address === undefined ? byName(world, index, text) : byAddress(world, index, address);
}

function byName(world: World, index: NodeIndex, text: string): End {
  const pods = world.pods.objects;
  const exact = pods.get(text) ?? pods.get(`default/${text}`);
  if (exact) return podEnd(exact);
  const same = text.includes('/') ? [] : [...pods.values()].filter((pod) => pod.name === text);
  const [only] = same;
  if (only && same.length === 1) return podEnd(only);
  if (same.length > 1) {
    const keys = same.map((pod) => pod.key).sort();
    return unknown(text, `several pods have this name: ${keys.join(', ')}`);
  }
  const node = index.get(text);
  if (node)
    return { kind: 'node', title: `node ${text}`, ips: node.addresses, named: true, node: text, why: '' };
  const why = world.pods.ready
    ? 'there is no pod or node of this name; write NAMESPACE/NAME or an address'
    : `pods are not known yet: ${world.pods.reason ?? 'not ready'}`;
  return unknown(text, why);
}

function podEnd(pod: Pod): End {
  const title = `pod ${pod.key}`;
  if (pod.ips.length === 0) return unknown(title, `has no address yet (${pod.phase})`);
  if (pod.hostNetwork) return { kind: 'node', title, ips: pod.ips, named: true, node: pod.node, why: '' };
  return { kind: 'pod', title, ips: pod.ips, named: true, node: pod.node, why: '' };
}

function byAddress(world: World, index: NodeIndex, address: Ip): End {
  const [holder] = [...index.withAddress(address)].sort();
  if (holder !== undefined)
    return { kind: 'node', title: `node ${holder}`, ips: [address], named: false, node: holder, why: '' };
  for (const pod of world.pods.objects.values()) {
    if (!pod.hostNetwork && pod.ips.includes(address))
      return { ...podEnd(pod), ips: [address], named: false };
  }
  for (const prefix of index.cidrs.covering(address)) {
    const [name] = [...index.cidrs.values(prefix)].sort();
    const title = `${address} on ${name}`;
    return { kind: 'pod', title, ips: [address], named: false, node: name, why: '' };
  }
  return {
    kind: 'outside',
    title: `outside ${address}`,
    ips: [address],
    named: false,
    node: undefined,
    why: '',
  };
}

function unknown(title: string, why: string): End {
  return { kind: 'unknown', title, ips: [], named: false, node: undefined, why };
}
