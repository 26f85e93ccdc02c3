/** Small Worlds for tests of policy, in few words. */
import type { Config } from '../../src/model/cluster/config.ts';
import type { Namespace } from '../../src/model/cluster/namespace.ts';
import type { Node } from '../../src/model/cluster/node.ts';
import type { Pod } from '../../src/model/cluster/pod.ts';
import type {
  BlockPeer,
  ClusterNetworkPolicy,
  ClusterRule,
  NetworkPolicy,
  PodPeer,
  PolicyPort,
  PolicyRule,
} from '../../src/model/cluster/policy.ts';
import { type Selector, type SelectorTerm, selector } from '../../src/model/cluster/selector.ts';
import { cidr } from '../../src/model/net/cidr.ts';
import { ip } from '../../src/model/net/ip.ts';
import type { WorldStore } from '../../src/model/world-store.ts';
import { nodeAddresses } from '../../src/plan/nodes/addresses.ts';
import { policyIndex } from '../../src/plan/policy/policy-index.ts';
import { CONFIG, emptyStore, node } from './plan-worlds.ts';

/** `app=web tier!=db app:a,b app!:a,b key !key`, all of which must hold; empty = everything. */
export function sel(text: string): Selector {
  return selector(text.split(' ').filter(Boolean).map(term));
}

function term(text: string): SelectorTerm {
  const found = /^(?<not>!?)(?<key>[^=!:]+)(?:(?<operator>!?[=:])(?<values>.*))?$/.exec(text)?.groups;
  const { not = '', key = '', operator, values = '' } = found ?? {};
  if (operator === undefined) return { key, operator: not === '' ? 'Exists' : 'DoesNotExist', values: [] };
  return { key, operator: operator.startsWith('!') ? 'NotIn' : 'In', values: values.split(',') };
}

export function pod(key: string, labels: string, address: string, more: Partial<Pod> = {}): Pod {
  const [namespace = '', name = ''] = key.split('/');
  return {
    key,
    namespace,
    name,
    uid: `uid-${key}`,
    node: 'n1',
    ips: address.split(' ').filter(Boolean).map(ip),
    hostNetwork: false,
    phase: 'Running',
    labels: labelsOf(labels),
    ports: [],
    ...more,
  };
}

export function namespace(name: string, labels = '', audit = false): Namespace {
  const all = { 'kubernetes.io/metadata.name': name, ...labelsOf(labels) };
  return { name, uid: `uid-${name}`, labels: all, audit };
}

function labelsOf(text: string): Record<string, string> {
  const pairs = text.split(' ').filter(Boolean);
  return Object.fromEntries(pairs.map((pair) => [pair.split('=')[0] ?? '', pair.split('=')[1] ?? '']));
}

export function netpol(key: string, pods: string, more: Partial<NetworkPolicy> = {}): NetworkPolicy {
  const [namespace = '', name = ''] = key.split('/');
  return { key, namespace, name, uid: '1', pods: sel(pods), audit: false, problems: [], ...more };
}

export function cnp(
  name: string,
  tier: ClusterNetworkPolicy['tier'],
  priority: number,
  more: Partial<ClusterNetworkPolicy> = {},
): ClusterNetworkPolicy {
  const subject = { namespaces: sel(''), pods: sel('') };
  return {
    name,
    uid: '1',
    tier,
    priority,
    subject,
    ingress: [],
    egress: [],
    audit: false,
    problems: [],
    ...more,
  };
}

export const ALL: PolicyRule = { peers: 'any', ports: 'any' };
export const DENY: ClusterRule = { name: '', action: 'Deny', peers: 'any', ports: 'any' };

/** Pods of the policy's own namespace. */
export const own = (pods: string): PodPeer => ({ kind: 'pods', pods: sel(pods) });
export const pods = (namespaces: string, labels: string) =>
  ({ kind: 'pods', namespaces: sel(namespaces), pods: sel(labels) }) as const;
export const block = (prefix: string, ...except: string[]): BlockPeer => ({
  kind: 'block',
  cidr: cidr(prefix),
  except: except.map(cidr),
});
export const from = (...peers: readonly (PodPeer | BlockPeer)[]): PolicyRule => ({ peers, ports: 'any' });

/** `TCP`, `TCP/80`, `TCP/80-90`, `UDP/dns`. */
export function port(text: string): PolicyPort {
  const [name = '', rest] = text.split('/');
  const protocol = name as PolicyPort['protocol'];
  if (rest === undefined) return { protocol };
  const range = /^(\d+)(?:-(\d+))?$/.exec(rest);
  if (!range) return { protocol, name: rest };
  return { protocol, from: Number(range[1]), to: Number(range[2] ?? range[1]) };
}

export interface PolicyContent {
  readonly policy?: Partial<Config['policy']>;
  readonly namespaces?: readonly Namespace[];
  readonly nodes?: readonly Node[];
  /** Of node n1, which is ours. */
  readonly pods?: readonly Pod[];
  readonly peers?: readonly Pod[];
  readonly netpols?: readonly NetworkPolicy[];
  readonly cnps?: readonly ClusterNetworkPolicy[];
}

export function policyStore(content: PolicyContent): WorldStore {
  const store = emptyStore();
  store.put('config', 'config', { ...CONFIG, policy: { ...CONFIG.policy, ...content.policy } });
  store.put('kernel', 'kernel', { release: '6.1', missing: {} });
  for (const each of content.nodes ?? [node(1)]) store.put('nodes', each.name, each);
  for (const each of content.namespaces ?? [namespace('x'), namespace('y')])
    store.put('namespaces', each.name, each);
  for (const each of content.pods ?? []) store.put('pods', each.key, each);
  for (const each of content.peers ?? []) store.put('peers', each.key, each);
  for (const each of content.netpols ?? []) store.put('networkPolicies', each.key, each);
  for (const each of content.cnps ?? []) store.put('clusterNetworkPolicies', each.name, each);
  store.take();
  return store;
}

/** Sets in use with what is in them, sorted: `{ 'x: app=web': ['10.244.1.2'] }`; port sets hold `10.244.1.2 TCP 80`. */
export function setsOf({ world }: WorldStore): Record<string, string[]> {
  const index = policyIndex(world);
  const sets: Record<string, string[]> = {};
  for (const id of [...index.sets.ids()].sort()) sets[id] = [];
  for (const key of index.locals.keys()) {
    const local = index.locals.get(key);
    if (local)
      for (const [id, value] of elements(index, local.pod, index.locals.ipsOf(key), true))
        sets[id]?.push(value);
  }
  for (const key of index.podKeys('peers')) {
    const peer = index.peer(key);
    if (peer) for (const [id, value] of elements(index, peer, peer.ips, false)) sets[id]?.push(value);
  }
  for (const each of world.nodes.objects.values())
    for (const { set } of index.sets.withNode(each)) sets[set.id]?.push(...nodeAddresses(each));
  for (const values of Object.values(sets)) values.sort();
  return sets;
}

function* elements(
  index: ReturnType<typeof policyIndex>,
  of: Pod,
  ips: readonly string[],
  here: boolean,
): Iterable<[string, string]> {
  for (const { set, ...wanted } of index.sets.withPod(of, here)) {
    for (const address of ips) {
      if (wanted.kind === 'addresses') yield [set.id, address];
      else {
        for (const each of of.ports)
          if (each.name === wanted.name && each.protocol === wanted.protocol)
            yield [set.id, `${address} ${each.protocol} ${each.port}`];
      }
    }
  }
}

/** What selects a pod in a direction, as `x/allow x/deny`; `open` when nothing does, `nobody` when it is no pod to policies. */
export function selectedBy({ world }: WorldStore, key: string, direction: 'ingress' | 'egress'): string {
  const local = policyIndex(world).locals.get(key);
  if (!local) return 'nobody';
  const { admin, selection } = local[direction];
  if (!admin && !selection) return 'open';
  const words = [
    ...(admin?.policies ?? []).map((name) => `admin:${name}`),
    ...(selection?.policies ?? []),
    ...(selection?.defaultDeny ? ['default-deny'] : []),
    ...(selection?.baseline ?? []).map((name) => `baseline:${name}`),
    ...(selection?.enforced === false ? ['(audit)'] : []),
  ];
  return words.join(' ');
}
