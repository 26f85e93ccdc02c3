import type {
  ClusterNetworkPolicy,
  ClusterPeer,
  ClusterRule,
  Direction,
  NetworkPolicy,
  Peer,
  PolicyPort,
  PolicyRule,
} from '../../../model/cluster/policy.ts';
import { DIRECTIONS } from '../../../model/cluster/policy.ts';
import { EVERYTHING, type Selector } from '../../../model/cluster/selector.ts';
import type { Cidr } from '../../../model/net/cidr.ts';
import type { CompiledPeer, CompiledPolicy, CompiledPort, CompiledRule } from '../compiled.ts';
import type { Scope } from '../select/matcher.ts';
import { blocksOf } from './blocks.ts';
import { addressesOf, nodesOf, portsHere, portsOf, type WantedSet } from './sets.ts';

/** A policy resolved, a function of the policy alone. */
export interface Compiled {
  /** A direction that the policy says nothing about is absent. */
  readonly ingress?: CompiledPolicy;
  readonly egress?: CompiledPolicy;
  /** Each once. */
  readonly sets: readonly WantedSet[];
}

/** One with problems allows nothing in the directions it covers. */
export function compileNetworkPolicy(policy: NetworkPolicy): Compiled {
  const sets = new Sets();
  const usable = policy.problems.length === 0;
  const one = (direction: Direction, rules: readonly PolicyRule[]): CompiledPolicy => ({
    tier: 'network-policy',
    name: policy.key,
    direction,
    audit: policy.audit,
    rules: usable
      ? rules.flatMap((rule, index) => {
          const peers =
            rule.peers === 'any' ? 'any' : rule.peers.map((peer) => netPeer(peer, policy.namespace));
          return compileRule({ action: 'accept', index, name: '' }, direction, peers, rule.ports, sets);
        })
      : [],
  });
  return {
    ...(policy.ingress && { ingress: one('ingress', policy.ingress) }),
    ...(policy.egress && { egress: one('egress', policy.egress) }),
    sets: sets.all(),
  };
}

/** For one that could not be compiled: it allows nothing in the directions it covers. */
export function closedNetworkPolicy(policy: NetworkPolicy): Compiled {
  return compileNetworkPolicy({ ...policy, problems: ['closed'] });
}

/** Without rules in a direction it says nothing there: there is no implicit isolation. */
export function compileClusterPolicy(policy: ClusterNetworkPolicy): Compiled {
  const sets = new Sets();
  const compiled: { [D in Direction]?: CompiledPolicy } = {};
  for (const direction of DIRECTIONS) {
    if (policy[direction].length === 0) continue;
    compiled[direction] = {
      tier: policy.tier === 'Admin' ? 'admin' : 'baseline',
      name: policy.name,
      direction,
      audit: policy.audit,
      rules: policy[direction].flatMap((rule, index) => clusterRule(rule, index, direction, sets)),
    };
  }
  return { ...compiled, sets: sets.all() };
}

/** For one that could not be compiled: it denies everything in the directions it covers. */
export function closedClusterPolicy(policy: ClusterNetworkPolicy): Compiled {
  const deny = (rules: readonly ClusterRule[]): readonly ClusterRule[] =>
    rules.slice(0, 1).map(({ name }) => ({ name, action: 'Deny', peers: 'any', ports: 'any' }));
  return compileClusterPolicy({ ...policy, ingress: deny(policy.ingress), egress: deny(policy.egress) });
}

const ACTIONS = { Accept: 'accept', Deny: 'deny', Pass: 'pass' } as const;

function clusterRule(rule: ClusterRule, index: number, direction: Direction, sets: Sets): CompiledRule[] {
  const peers = rule.peers === 'any' ? 'any' : rule.peers.map(clusterPeer);
  const head = { action: ACTIONS[rule.action], index, name: rule.name };
  return compileRule(head, direction, peers, rule.ports, sets);
}

/** The peers of both APIs in one form. */
type Who =
  | { readonly kind: 'pods'; readonly scope: Scope; readonly pods: Selector }
  | { readonly kind: 'blocks'; readonly blocks: readonly Block[] }
  | { readonly kind: 'nodes'; readonly nodes: Selector };

interface Block {
  readonly cidr: Cidr;
  readonly except: readonly Cidr[];
}

function netPeer(peer: Peer, namespace: string): Who {
  if (peer.kind === 'block') return { kind: 'blocks', blocks: [peer] };
  return { kind: 'pods', scope: peer.namespaces ?? namespace, pods: peer.pods };
}

function clusterPeer(peer: ClusterPeer): Who {
  if (peer.kind === 'networks')
    return { kind: 'blocks', blocks: peer.cidrs.map((cidr) => ({ cidr, except: [] })) };
  if (peer.kind === 'nodes') return peer;
  return { kind: 'pods', scope: peer.namespaces, pods: peer.pods };
}

/**
 * A name of an egress port is resolved on each destination pod, so such ports make a rule of their own: its sets hold the
 * addresses of the peers together with their ports. Blocks and Nodes have no port names.
 */
function compileRule(
  head: Pick<CompiledRule, 'action' | 'index' | 'name'>,
  direction: Direction,
  peers: readonly Who[] | 'any',
  ports: readonly PolicyPort[] | 'any',
  sets: Sets,
): CompiledRule[] {
  if (ports === 'any') return [{ ...head, peers: compilePeers(peers, sets), ports }];
  const numbers = ports.filter(({ name }) => name === undefined).map(numbered);
  const names = ports.filter((port): port is Named => port.name !== undefined);
  if (direction === 'ingress') {
    const here = names.map(({ name, protocol }) => sets.port(portsHere(name, protocol)));
    return [{ ...head, peers: compilePeers(peers, sets), ports: [...numbers, ...here] }];
  }
  const rules: CompiledRule[] = [];
  if (numbers.length > 0 || names.length === 0)
    rules.push({ ...head, peers: compilePeers(peers, sets), ports: numbers });
  const there = peers === 'any' ? [ALL_PODS] : peers.filter((peer) => peer.kind === 'pods');
  const found = there.flatMap(({ scope, pods }) =>
    names.map(({ name, protocol }) => sets.port(portsOf(scope, pods, name, protocol))),
  );
  if (found.length > 0) rules.push({ ...head, peers: 'any', ports: found });
  return rules;
}

type Named = PolicyPort & { readonly name: string };

const ALL_PODS = { kind: 'pods', scope: EVERYTHING, pods: EVERYTHING } as const;

function compilePeers(peers: readonly Who[] | 'any', sets: Sets): readonly CompiledPeer[] | 'any' {
  if (peers === 'any') return 'any';
  const compiled = new Map<string, CompiledPeer>();
  const blocks: Block[] = [];
  for (const peer of peers) {
    if (peer.kind === 'blocks') blocks.push(...peer.blocks);
    else {
      const set = sets.want(peer.kind === 'nodes' ? nodesOf(peer.nodes) : addressesOf(peer.scope, peer.pods));
      compiled.set(set, { kind: 'set', set });
    }
  }
  const shared = blocksOf(blocks);
  for (const set of shared) if (set.prefixes.length > 1) sets.want({ kind: 'blocks', set });
  return [...compiled.values(), ...shared.map((set) => ({ kind: 'blocks', blocks: set }) as const)];
}

function numbered({ protocol, from, to }: PolicyPort): CompiledPort {
  return from === undefined ? { protocol } : { protocol, from, to: to ?? from };
}

/** Collects what a policy needs. */
class Sets {
  readonly #wanted = new Map<string, WantedSet>();

  want(wanted: WantedSet): string {
    this.#wanted.set(wanted.set.id, wanted);
    return wanted.set.id;
  }

  port(wanted: Extract<WantedSet, { kind: 'ports' }>): CompiledPort {
    return { protocol: wanted.protocol, set: this.want(wanted) };
  }

  all(): readonly WantedSet[] {
    return [...this.#wanted.values()];
  }
}
