/**
 * What the two APIs' texts say of one connection, word by word over raw manifests: slow, plain, without any index, and without a line of the
 * product's code. k8s.io/api/networking/v1 types.go (NetworkPolicy), network-policy-api apis/v1alpha2 clusternetworkpolicy_types.go.
 */
import { inBlock } from './templates.ts';

type Raw = Readonly<Record<string, unknown>>;
type Labels = Readonly<Record<string, string>>;

export interface Objects {
  readonly namespaces: readonly unknown[];
  readonly pods: readonly unknown[];
  readonly nodes: readonly unknown[];
  readonly policies: readonly unknown[];
}

/** A connection's first packet. Protocols without a name are told by their IANA number. */
export interface Packet {
  readonly from: string;
  readonly to: string;
  readonly protocol: string | number;
  readonly port?: number;
}

export interface NaiveVerdict {
  readonly allowed: boolean;
  readonly egress: boolean;
  readonly ingress: boolean;
}

interface Pod {
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  readonly labels: Labels;
  readonly namespaceLabels: Labels;
  readonly raw: Raw;
}

type Direction = 'ingress' | 'egress';

/** One end of a connection: an address, and the pod that has it, unless that pod has the node's address or has finished. */
interface End {
  readonly address: string;
  readonly pod: Pod | undefined;
}

export function naiveVerdict(objects: Objects, packet: Packet): NaiveVerdict {
  const from = endOf(objects, packet.from);
  const to = endOf(objects, packet.to);
  // "OR if the traffic source is the pod's local node"
  const local = to.pod !== undefined && nodesWith(objects, packet.from).includes(to.pod.node);
  const egress = from.pod === undefined || directionAllows(objects, 'egress', from.pod, to, to, packet);
  const ingress =
    to.pod === undefined || local || directionAllows(objects, 'ingress', to.pod, from, to, packet);
  return { allowed: egress && ingress, egress, ingress };
}

/** Admin tier, then NetworkPolicies, then Baseline tier, then "all pods can communicate with each other". */
function directionAllows(
  objects: Objects,
  direction: Direction,
  pod: Pod,
  peer: End,
  destination: End,
  packet: Packet,
): boolean {
  const tier = (name: string) => tierDecides(objects, name, direction, pod, peer, destination, packet);
  const admin = tier('Admin');
  if (admin === 'Accept' || admin === 'Deny') return admin === 'Accept';
  const policies = objects.policies.map(rec).filter((policy) => networkPolicySelects(policy, direction, pod));
  if (policies.length > 0)
    return policies.some((policy) => networkPolicyAllows(policy, direction, peer, destination, packet));
  return tier('Baseline') !== 'Deny';
}

// NetworkPolicy

function networkPolicySelects(policy: Raw, direction: Direction, pod: Pod): boolean {
  if (policy.kind !== 'NetworkPolicy' || rec(policy.metadata).namespace !== pod.namespace) return false;
  const spec = rec(policy.spec);
  return typesOf(spec).includes(direction) && selectorMatches(spec.podSelector, pod.labels);
}

/** "If no policyTypes are specified on a NetworkPolicy then by default Ingress will always be set and Egress will be set if [it] has any egress rules" */
function typesOf(spec: Raw): readonly string[] {
  if (list(spec.policyTypes).length > 0)
    return list(spec.policyTypes).map((type) => String(type).toLowerCase());
  return list(spec.egress).length > 0 ? ['ingress', 'egress'] : ['ingress'];
}

function networkPolicyAllows(
  policy: Raw,
  direction: Direction,
  peer: End,
  destination: End,
  packet: Packet,
): boolean {
  const namespace = String(rec(policy.metadata).namespace);
  return list(rec(policy.spec)[direction]).some((raw) => {
    const rule = rec(raw);
    const peers = list(direction === 'ingress' ? rule.from : rule.to);
    const ports = list(rule.ports);
    // A port's name has a meaning on pods only: with a block as destination it says nothing.
    return (peers.length === 0 ? [undefined] : peers).some((one) => {
      const matches = one === undefined || networkPolicyPeerMatches(rec(one), namespace, peer);
      const byBlock = direction === 'egress' && one !== undefined && rec(one).ipBlock !== undefined;
      const target = byBlock ? { ...destination, pod: undefined } : destination;
      return (
        matches &&
        (ports.length === 0 || ports.some((port) => networkPolicyPortMatches(rec(port), target, packet)))
      );
    });
  });
}

function networkPolicyPeerMatches(peer: Raw, namespace: string, { address, pod }: End): boolean {
  if (peer.ipBlock !== undefined) {
    const block = rec(peer.ipBlock);
    return (
      inBlock(String(block.cidr), address) && !list(block.except).some((one) => inBlock(String(one), address))
    );
  }
  if (peer.podSelector === undefined && peer.namespaceSelector === undefined) return false;
  if (!pod) return false;
  if (peer.podSelector !== undefined && !selectorMatches(peer.podSelector, pod.labels)) return false;
  return peer.namespaceSelector === undefined
    ? pod.namespace === namespace
    : selectorMatches(peer.namespaceSelector, pod.namespaceLabels);
}

function networkPolicyPortMatches(
  { protocol = 'TCP', port, endPort }: Raw,
  destination: End,
  packet: Packet,
): boolean {
  if (packet.protocol !== protocol) return false;
  if (port === undefined || port === null) return true;
  const number = packet.port ?? -1;
  if (typeof port === 'string') return hasNamedPort(destination.pod, port, String(protocol), number);
  return endPort === undefined ? number === port : number >= Number(port) && number <= Number(endPort);
}

// ClusterNetworkPolicy

function tierDecides(
  objects: Objects,
  tier: string,
  direction: Direction,
  pod: Pod,
  peer: End,
  destination: End,
  packet: Packet,
): 'Accept' | 'Deny' | 'Pass' | undefined {
  const policies = objects.policies
    .map(rec)
    .filter(({ kind, spec }) => kind === 'ClusterNetworkPolicy' && rec(spec).tier === tier)
    .filter(({ spec }) => namespacedPodMatches(rec(rec(spec).subject), pod))
    .sort(
      (a, b) =>
        Number(rec(a.spec).priority) - Number(rec(b.spec).priority) || (nameOf(a) < nameOf(b) ? -1 : 1),
    );
  for (const policy of policies) {
    for (const raw of list(rec(policy.spec)[direction])) {
      const rule = rec(raw);
      const action = actionOf(rule, direction, objects, peer, destination, packet);
      if (action !== undefined) return action;
    }
  }
  return undefined;
}

/** What a rule says of the packet; an unknown peer or protocol fails closed: Accept matches nothing, Deny and Pass become "Deny all". */
function actionOf(
  rule: Raw,
  direction: Direction,
  objects: Objects,
  peer: End,
  destination: End,
  packet: Packet,
): 'Accept' | 'Deny' | 'Pass' | undefined {
  const peers = list(direction === 'ingress' ? rule.from : rule.to).map(rec);
  const protocols = list(rule.protocols).map(rec);
  const known =
    direction === 'ingress' ? ['namespaces', 'pods'] : ['namespaces', 'pods', 'networks', 'nodes'];
  const action = rule.action as 'Accept' | 'Deny' | 'Pass';
  const odd =
    peers.some((one) => !known.some((name) => one[name] !== undefined)) || protocols.some(isUnknownProtocol);
  if (odd) return action === 'Accept' ? undefined : 'Deny';
  const matches =
    peers.some((one) => clusterPeerMatches(one, objects, peer)) &&
    (protocols.length === 0 || protocols.some((one) => protocolMatches(one, destination, packet)));
  return matches ? action : undefined;
}

function isUnknownProtocol(one: Raw): boolean {
  if (one.destinationNamedPort !== undefined) return false;
  const name = ['tcp', 'udp', 'sctp'].find((field) => one[field] !== undefined);
  const { number, range } = rec(rec(one[name ?? '']).destinationPort);
  return number === undefined && range === undefined;
}

function clusterPeerMatches(one: Raw, objects: Objects, { address, pod }: End): boolean {
  if (one.networks !== undefined) return list(one.networks).some((cidr) => inBlock(String(cidr), address));
  if (one.nodes !== undefined) {
    return objects.nodes
      .map(rec)
      .filter((node) => selectorMatches(one.nodes, labelsOf(node)))
      .some((node) => nodeAddresses(node).includes(address));
  }
  return pod !== undefined && namespacedPodMatches(one, pod);
}

/** A subject or peer: `namespaces`, or `pods` with both selectors. */
function namespacedPodMatches(one: Raw, pod: Pod): boolean {
  if (one.namespaces !== undefined) return selectorMatches(one.namespaces, pod.namespaceLabels);
  if (one.pods === undefined) return false;
  const { namespaceSelector, podSelector } = rec(one.pods);
  return selectorMatches(namespaceSelector, pod.namespaceLabels) && selectorMatches(podSelector, pod.labels);
}

function protocolMatches(one: Raw, destination: End, packet: Packet): boolean {
  const number = packet.port ?? -1;
  if (one.destinationNamedPort !== undefined)
    return hasNamedPort(destination.pod, String(one.destinationNamedPort), String(packet.protocol), number);
  const name = ['tcp', 'udp', 'sctp'].find((field) => one[field] !== undefined) ?? '';
  if (packet.protocol !== name.toUpperCase()) return false;
  const port = rec(rec(one[name]).destinationPort);
  if (port.number !== undefined) return number === port.number;
  const { start, end } = rec(port.range);
  return number >= Number(start) && number <= Number(end);
}

// Pods, names, labels

function endOf(objects: Objects, address: string): End {
  const raw = objects.pods
    .map(rec)
    .find(
      ({ spec, status }) =>
        rec(spec).hostNetwork !== true &&
        !finished(rec(status)) &&
        addressesOf(rec(status)).includes(address),
    );
  if (!raw) return { address, pod: undefined };
  const { namespace, name } = rec(raw.metadata);
  const home = objects.namespaces.map(rec).find((one) => nameOf(one) === namespace);
  const pod = {
    namespace: String(namespace),
    name: String(name),
    node: String(rec(raw.spec).nodeName),
    labels: labelsOf(raw),
    namespaceLabels: labelsOf(home ?? {}),
    raw,
  };
  return { address, pod };
}

/** By name AND protocol, of containers and of init containers that go on running. */
function hasNamedPort(pod: Pod | undefined, name: string, protocol: string, number: number): boolean {
  if (!pod) return false;
  const { containers, initContainers } = rec(pod.raw.spec);
  const sidecars = list(initContainers).filter((one) => rec(one).restartPolicy === 'Always');
  return [...list(containers), ...sidecars]
    .flatMap((container) => list(rec(container).ports).map(rec))
    .some(
      (port) => port.name === name && (port.protocol ?? 'TCP') === protocol && port.containerPort === number,
    );
}

function selectorMatches(raw: unknown, labels: Labels): boolean {
  const { matchLabels, matchExpressions } = rec(raw);
  const pairs = Object.entries(rec(matchLabels));
  return (
    pairs.every(([key, value]) => labels[key] === value) &&
    list(matchExpressions).every((one) => {
      const { key, operator, values } = rec(one);
      const value = labels[String(key)];
      const named = value !== undefined && list(values).includes(value);
      if (operator === 'In') return named;
      if (operator === 'NotIn') return !named;
      if (operator === 'Exists') return value !== undefined;
      if (operator === 'DoesNotExist') return value === undefined;
      throw new Error(`unknown operator ${String(operator)}`);
    })
  );
}

const finished = ({ phase }: Raw): boolean => phase === 'Succeeded' || phase === 'Failed';
const addressesOf = (status: Raw): readonly unknown[] => list(status.podIPs).map((one) => rec(one).ip);
const nodeAddresses = (node: Raw): readonly unknown[] =>
  list(rec(node.status).addresses).map((one) => rec(one).address);
const nodesWith = ({ nodes }: Objects, address: string): readonly string[] =>
  nodes
    .map(rec)
    .filter((node) => nodeAddresses(node).includes(address))
    .map(nameOf);
const nameOf = (raw: Raw): string => String(rec(raw.metadata).name);
const labelsOf = (raw: Raw): Labels => rec(rec(raw.metadata).labels) as Labels;
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const rec = (value: unknown): Raw => (typeof value === 'object' && value !== null ? (value as Raw) : {});
