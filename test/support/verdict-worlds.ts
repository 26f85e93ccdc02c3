/** A small cluster for verdicts, and short words for policies and questions. */
import assert from 'node:assert/strict';
import type { Config } from '../../src/model/cluster/config.ts';
import type { Pod } from '../../src/model/cluster/pod.ts';
import type {
  ClusterNetworkPolicy,
  ClusterRule,
  NetworkPolicy,
  Peer,
  PolicyPort,
  PolicyRule,
} from '../../src/model/cluster/policy.ts';
import { EVERYTHING, type Selector, selector } from '../../src/model/cluster/selector.ts';
import { ip } from '../../src/model/net/ip.ts';
import type { World } from '../../src/model/world.ts';
import type { WorldStore } from '../../src/model/world-store.ts';
import { decide } from '../../src/plan/policy/decide/decide.ts';
import type { Flow, Verdict } from '../../src/plan/policy/flow.ts';
import { CONFIG, emptyStore, eth0, node } from './plan-worlds.ts';

export const is = (key: string, ...values: string[]): Selector => selector([{ key, operator: 'In', values }]);
export const isNot = (key: string, ...values: string[]): Selector =>
  selector([{ key, operator: 'NotIn', values }]);

/** `x/a` on node 1 or 2 with one address of each family, label `pod=a`, ports web/TCP 80 and dns/UDP 53. */
export function pod(key: string, on: number, last: number, changes: Partial<Pod> = {}): Pod {
  const [namespace = '', name = ''] = key.split('/');
  return {
    key,
    namespace,
    name,
    uid: `uid-${key}`,
    node: `n${on}`,
    ips: [ip(`10.244.${on}.${last}`), ip(`fd00:244:${on}::${last}`)],
    hostNetwork: false,
    phase: 'Running',
    labels: { pod: name },
    ports: [
      { name: 'web', protocol: 'TCP', port: 80 },
      { name: 'dns', protocol: 'UDP', port: 53 },
    ],
    ...changes,
  };
}

export function networkPolicy(key: string, changes: Partial<NetworkPolicy>): NetworkPolicy {
  const [namespace = '', name = ''] = key.split('/');
  return { key, namespace, name, uid: key, pods: EVERYTHING, audit: false, problems: [], ...changes };
}

export function clusterPolicy(name: string, changes: Partial<ClusterNetworkPolicy>): ClusterNetworkPolicy {
  const subject = { namespaces: EVERYTHING, pods: EVERYTHING };
  const basis = { name, uid: name, tier: 'Admin', priority: 10, subject } as const;
  return { ...basis, ingress: [], egress: [], audit: false, problems: [], ...changes };
}

export const rule = (
  peers: readonly Peer[] | 'any',
  ports: readonly PolicyPort[] | 'any' = 'any',
): PolicyRule => ({
  peers,
  ports,
});
export const own = (pods: Selector): Peer => ({ kind: 'pods', pods });
export const clusterRule = (
  action: ClusterRule['action'],
  changes: Partial<ClusterRule> = {},
): ClusterRule => ({
  name: '',
  action,
  peers: 'any',
  ports: 'any',
  ...changes,
});

export interface Given {
  readonly pods?: readonly Pod[];
  readonly policies?: readonly NetworkPolicy[];
  readonly cluster?: readonly ClusterNetworkPolicy[];
  readonly config?: Partial<Config['policy']>;
  readonly audited?: readonly string[];
}

/** Namespaces x and y; a and b of x and a of y on node 1, b of y on node 2. */
export function storeOf({ pods = [], policies = [], cluster = [], config, audited = [] }: Given): WorldStore {
  const store = emptyStore();
  store.put('config', 'config', { ...CONFIG, policy: { ...CONFIG.policy, ...config } });
  for (const i of [1, 2]) store.put('nodes', `n${i}`, node(i, { labels: { zone: `z${i}` } }));
  store.put('links', 'eth0', eth0(node(1)));
  for (const name of ['x', 'y'])
    store.put('namespaces', name, { name, uid: name, labels: { ns: name }, audit: audited.includes(name) });
  const all = [pod('x/a', 1, 11), pod('x/b', 1, 12), pod('y/a', 1, 21), pod('y/b', 2, 22), ...pods];
  for (const one of all) store.put(one.node === 'n1' ? 'pods' : 'peers', one.key, one);
  for (const one of policies) store.put('networkPolicies', one.key, one);
  for (const one of cluster) store.put('clusterNetworkPolicies', one.name, one);
  return store;
}

export const worldOf = (given: Given): World => storeOf(given).world;

export const ADDRESS: Readonly<Record<string, string>> = {
  'x/a': '10.244.1.11',
  'x/b': '10.244.1.12',
  'y/a': '10.244.1.21',
  'y/b': '10.244.2.22',
  'y/c': '10.244.2.23',
  outside: '192.0.2.7',
  n1: '10.0.0.1',
  n2: '10.0.0.2',
  gateway: '10.244.1.1',
  nobody: '10.244.1.200',
};

export function flow(from: string, to: string, protocol: Flow['protocol'] = 'TCP', port?: number): Flow {
  const of = (text: string) => ip(ADDRESS[text] ?? text);
  const hasPort = typeof protocol === 'string';
  return { from: of(from), to: of(to), protocol, ...(hasPort && { port: port ?? 80 }) };
}

/** `+` allowed or `-` denied, then who decided. */
export function ask(world: World, ...args: Parameters<typeof flow>): string {
  const { egress, ingress, allowed } = decide(world, flow(...args));
  const words = (verdict: Verdict | undefined): string =>
    verdict ? `${verdict.allowed ? '+' : '-'}${verdict.audit ? 'audit ' : ''}${verdict.by}` : 'none';
  assert.equal(allowed, (egress?.allowed ?? true) && (ingress?.allowed ?? true));
  return `${words(egress)} | ${words(ingress)}`;
}
