import type { Pod } from '../../../model/cluster/pod.ts';
import type {
  ClusterPeer,
  ClusterRule,
  Direction,
  Peer,
  PolicyPort,
  PolicyRule,
} from '../../../model/cluster/policy.ts';
import { matches } from '../../../model/cluster/selector.ts';
import type { Ip } from '../../../model/net/ip.ts';
import type { World } from '../../../model/world.ts';
import { contains } from '../../nodes/prefix.ts';
import type { Flow } from '../flow.ts';
import { nodesAt } from './addresses.ts';
import { namespaceLabels } from './selected.ts';

/** A flow as the pod sees it whose policies are asked. */
export interface Question {
  readonly world: World;
  readonly flow: Flow;
  readonly direction: Direction;
  readonly pod: Pod;
  /** The other end. */
  readonly far: { readonly address: Ip; readonly pods: readonly Pod[] };
}

/** Whether a rule names the other end and the port. `namespace` is the policy's own, of a NetworkPolicy. */
export function ruleMatches(rule: PolicyRule | ClusterRule, question: Question, namespace?: string): boolean {
  const { direction, pod, far } = question;
  // A port name is that of the destination: our pod's own for what comes in, the named peer's for what goes out.
  const served = (pods: readonly Pod[]): boolean =>
    portsMatch(rule.ports, question.flow, direction === 'ingress' ? [pod] : pods);
  if (rule.peers === 'any') return served(far.pods);
  return rule.peers.some((peer: Peer | ClusterPeer) => {
    if (peer.kind !== 'pods') return blockMatches(peer, question) && served([]);
    const named = far.pods.filter((one) => podMatches(peer, one, question.world, namespace));
    return named.length > 0 && served(named);
  });
}

type PodsPeer = Extract<Peer | ClusterPeer, { kind: 'pods' }>;

function podMatches(peer: PodsPeer, pod: Pod, world: World, namespace: string | undefined): boolean {
  const inNamespace = peer.namespaces
    ? matches(peer.namespaces, namespaceLabels(world, pod.namespace))
    : pod.namespace === namespace;
  return inNamespace && matches(peer.pods, pod.labels);
}

function blockMatches(peer: Exclude<Peer | ClusterPeer, PodsPeer>, { world, far }: Question): boolean {
  const { address } = far;
  switch (peer.kind) {
    case 'block':
      return contains(peer.cidr, address) && !peer.except.some((cidr) => contains(cidr, address));
    case 'networks':
      return peer.cidrs.some((cidr) => contains(cidr, address));
    case 'nodes':
      return nodesAt(world, address).some((node) => matches(peer.nodes, node.labels));
  }
}

function portsMatch(ports: readonly PolicyPort[] | 'any', flow: Flow, served: readonly Pod[]): boolean {
  if (ports === 'any') return true;
  return ports.some(({ protocol, from, to = from, name }) => {
    if (protocol !== flow.protocol) return false;
    const { port } = flow;
    if (name !== undefined)
      return served.some((pod) =>
        pod.ports.some((one) => one.name === name && one.protocol === protocol && one.port === port),
      );
    if (from === undefined || to === undefined) return true;
    return port !== undefined && from <= port && port <= to;
  });
}
