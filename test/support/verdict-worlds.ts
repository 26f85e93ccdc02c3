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
import { ip } from '../../src/model/net/ip.ts';
import type { World } from '../../src/model/world.ts';
import type { WorldStore } from '../../src/model/world-store.ts';
import { decide } from '../../src/plan/policy/decide/decide.ts';
import type { Flow, Verdict } from '../../src/plan/policy/flow.ts';
import { CONFIG, emptyStore, eth0, node } from './plan-worlds.ts';
import { cnp, pod } from './policy-worlds.ts';

/** `x/a` on node 1 or 2 with one address of each family, label `pod=a`, ports web/TCP 80 and dns/UDP 53. */
export function podOn(key: string, on: number, last: number, changes: Partial<Pod> = {}): Pod {
  return pod(key, `pod=${key.split('/')[1]}`, `10.244.${on}.${last} fd00:244:${on}::${last}`, {
    node: `n${on}`,
    ports: [
      { name: 'web', protocol: 'TCP', port: 80 },
      { name: 'dns', protocol: 'UDP', port: 53 },
    ],
    ...changes,
  });
}

/** Of the Admin tier, for all pods, unless `changes` say otherwise. */
export const clusterPolicy = (name: string, changes: Partial<ClusterNetworkPolicy>): ClusterNetworkPolicy =>
  cnp(name, 'Admin', 10, changes);

export const rule = (
  peers: readonly Peer[] | 'any',
  ports: readonly PolicyPort[] | 'any' = 'any',
): PolicyRule => ({
  peers,
  ports,
});
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
  const all = [podOn('x/a', 1, 11), podOn('x/b', 1, 12), podOn('y/a', 1, 21), podOn('y/b', 2, 22), ...pods];
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
