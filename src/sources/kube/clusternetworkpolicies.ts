import {
  AUDIT_ANNOTATION,
  type ClusterNetworkPolicy,
  type ClusterPeer,
  type ClusterRule,
  type PolicyPort,
  type PolicyProtocol,
} from '../../model/cluster/policy.ts';
import { EVERYTHING } from '../../model/cluster/selector.ts';
import { Field, shown, told } from './field.ts';
import type { Kind } from './kind.ts';
import { labelSelector } from './label-selectors.ts';
import { prefix } from './prefixes.ts';
import { record, text } from './raw.ts';
import { CLUSTER_NETWORK_POLICIES } from './resource.ts';

/**
 * ClusterNetworkPolicies; their CRD may be absent.
 *
 * A rule that we cannot read as it was meant fails closed as the API's documentation has it ("Accept": it matches no traffic; "Deny" and
 * "Pass": it denies all), and an empty peer or protocol is one whose only field is of a newer version. Where it is the policy that we
 * cannot place (tier, priority, subject, unknown fields), it stands first in the Admin tier, loses its Accepts, and its Passes deny:
 * then nothing passes that any reading of it would stop.
 */
export const clusterNetworkPolicies: Kind<'clusterNetworkPolicies'> = {
  source: 'clusterNetworkPolicies',
  resource: CLUSTER_NETWORK_POLICIES,
  optional: true,
  key: (raw) => text(record(raw.metadata).name),
  keyOf: (policy) => policy.name,
  project(raw): ClusterNetworkPolicy {
    const meta = record(raw.metadata);
    const faults: string[] = [];
    const spec = new Field('spec', raw.spec, faults);
    spec.known('tier', 'priority', 'subject', 'ingress', 'egress');
    const tier = tierOf(spec.at('tier'));
    const priority = spec.at('priority').whole(0, 1000);
    const subject = subjectOf(spec.at('subject'));
    const placed = faults.length === 0;
    const rules = (direction: 'ingress' | 'egress', side: 'from' | 'to') => {
      const read = rulesOf(spec.at(direction), side);
      return Object.freeze(placed ? read : read.flatMap(closed));
    };
    return Object.freeze({
      name: text(meta.name),
      uid: text(meta.uid),
      tier: placed ? tier : 'Admin',
      priority: placed ? (priority ?? 0) : 0,
      subject,
      ingress: rules('ingress', 'from'),
      egress: rules('egress', 'to'),
      audit: record(meta.annotations)[AUDIT_ANNOTATION] === 'true',
      problems: told(faults),
    });
  },
};

function tierOf(field: Field): ClusterNetworkPolicy['tier'] {
  if (field.value === 'Admin' || field.value === 'Baseline') return field.value;
  field.fault(`${shown(field.value)} is neither Admin nor Baseline`);
  return 'Admin';
}

function subjectOf(field: Field): ClusterNetworkPolicy['subject'] {
  const keys = field.known('namespaces', 'pods');
  if (keys.length !== 1) field.fault('it needs one of namespaces and pods');
  if (keys.includes('pods')) return namespacedPods(field.at('pods'));
  return Object.freeze({ namespaces: labelSelector(field.at('namespaces')), pods: EVERYTHING });
}

function namespacedPods(field: Field): ClusterNetworkPolicy['subject'] {
  field.known('namespaceSelector', 'podSelector');
  return Object.freeze({
    namespaces: labelSelector(field.at('namespaceSelector')),
    pods: labelSelector(field.at('podSelector')),
  });
}

function closed(rule: ClusterRule): readonly ClusterRule[] {
  if (rule.action === 'Accept') return [];
  return [Object.freeze({ ...rule, action: 'Deny' })];
}

function rulesOf(list: Field, side: 'from' | 'to'): readonly ClusterRule[] {
  const before = list.faults;
  const items = list.items();
  if (list.faults > before) return [denial('')];
  return items.flatMap((item) => ruleOf(item, side));
}

function ruleOf(field: Field, side: 'from' | 'to'): readonly ClusterRule[] {
  const before = field.faults;
  field.known('name', 'action', side, 'protocols');
  const name = field.at('name').string();
  const action = actionOf(field.at('action'));
  const peers = field.at(side).items();
  if (peers.length === 0) field.at(side).fault('a rule needs peers');
  const read = peers.flatMap((peer) => peerOf(peer, side));
  const protocols = field.at('protocols');
  const ports = protocols.items().flatMap(protocolOf);
  if (protocols.present && ports.length === 0) protocols.fault('it needs entries where it is given');
  const named = ports.some((port) => port.name !== undefined);
  if (named && read.some(({ kind }) => kind !== 'pods')) {
    protocols.fault('destinationNamedPort cannot stand beside peers that are no pods');
  }
  if (field.faults > before) {
    field.conclude(action === 'Accept' ? 'so this rule accepts nothing' : 'so this rule denies everything');
    return action === 'Accept' ? [] : [denial(name)];
  }
  return [
    Object.freeze({
      name,
      action: action ?? 'Deny',
      peers: Object.freeze(read),
      ports: protocols.present ? Object.freeze(ports) : 'any',
    }),
  ];
}

const denial = (name: string): ClusterRule =>
  Object.freeze({ name, action: 'Deny', peers: 'any', ports: 'any' });

function actionOf(field: Field): ClusterRule['action'] | undefined {
  const { value } = field;
  if (value === 'Accept' || value === 'Deny' || value === 'Pass') return value;
  field.fault(`${shown(value)} is not Accept, Deny or Pass`);
  return undefined;
}

/** Exactly one field. Only egress has `networks`, `nodes` and `domainNames`. */
function peerOf(field: Field, side: 'from' | 'to'): readonly ClusterPeer[] {
  const outside = side === 'to' ? ['networks', 'nodes', 'domainNames'] : [];
  const keys = field.known('namespaces', 'pods', ...outside);
  if (keys.length !== 1) field.fault(`it needs one of ${['namespaces', 'pods', ...outside].join(', ')}`);
  const [kind] = keys;
  switch (kind) {
    case 'namespaces':
      return [Object.freeze({ kind: 'pods', namespaces: labelSelector(field.at(kind)), pods: EVERYTHING })];
    case 'pods':
      return [Object.freeze({ kind: 'pods', ...namespacedPods(field.at(kind)) })];
    case 'nodes':
      return [Object.freeze({ kind: 'nodes', nodes: labelSelector(field.at(kind)) })];
    case 'networks':
      return networks(field.at(kind));
    case 'domainNames':
      field.at(kind).fault('peers by domain name are not supported');
      return [];
    default:
      return [];
  }
}

function networks(field: Field): readonly ClusterPeer[] {
  const items = field.items();
  if (items.length === 0) field.fault('it needs a prefix');
  const cidrs = items.map(prefix).filter((one) => one !== undefined);
  return [Object.freeze({ kind: 'networks', cidrs: Object.freeze(cidrs) })];
}

const PROTOCOLS: ReadonlyMap<string, PolicyProtocol> = new Map([
  ['tcp', 'TCP'],
  ['udp', 'UDP'],
  ['sctp', 'SCTP'],
]);

/** Exactly one field. A named port says no protocol: it is that of the container's port. */
function protocolOf(field: Field): readonly PolicyPort[] {
  const keys = field.known('tcp', 'udp', 'sctp', 'destinationNamedPort');
  const [kind = ''] = keys;
  if (keys.length !== 1) field.fault('it needs one of tcp, udp, sctp and destinationNamedPort');
  if (kind === 'destinationNamedPort') {
    const name = field.at(kind).string();
    if (name === '') field.at(kind).fault('it needs a name');
    return [...PROTOCOLS.values()].map((protocol) => Object.freeze({ protocol, name }));
  }
  const protocol = PROTOCOLS.get(kind);
  if (protocol === undefined) return [];
  const inner = field.at(kind);
  inner.known('destinationPort');
  return portsOf(inner.at('destinationPort')).map(({ from, to }) => Object.freeze({ protocol, from, to }));
}

/** Either a number or a range. */
function portsOf(field: Field): readonly { from: number; to: number }[] {
  const keys = field.known('number', 'range');
  if (keys.length !== 1) field.fault('it needs one of number and range');
  if (keys.includes('number')) {
    const number = field.at('number').whole(1, 65_535);
    return number === undefined ? [] : [{ from: number, to: number }];
  }
  const range = field.at('range');
  range.known('start', 'end');
  const from = range.at('start').whole(1, 65_535);
  const to = range.at('end').whole(1, 65_535);
  if (from === undefined || to === undefined) return [];
  if (from >= to) range.fault(`its start ${from} is not below its end ${to}`);
  return [{ from, to }];
}
