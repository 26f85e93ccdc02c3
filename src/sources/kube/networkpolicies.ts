import {
  AUDIT_ANNOTATION,
  type BlockPeer,
  type Direction,
  type NetworkPolicy,
  type Peer,
  type PolicyPort,
  type PolicyProtocol,
  type PolicyRule,
} from '../../model/cluster/policy.ts';
import { contains } from '../../model/net/cidr.ts';
import { Field, shown, told } from './field.ts';
import type { Kind } from './kind.ts';
import { labelSelector } from './label-selectors.ts';
import { prefix } from './prefixes.ts';
import { record, text } from './raw.ts';
import { NETWORK_POLICIES } from './resource.ts';

/**
 * NetworkPolicies. One with any fault is closed: it has no rules at all in the directions that it covers. Fields that we do not know
 * are faults too, because a policy that is read without them may allow more than was meant.
 */
export const networkPolicies: Kind<'networkPolicies'> = {
  source: 'networkPolicies',
  resource: NETWORK_POLICIES,
  key(raw) {
    const { namespace, name } = record(raw.metadata);
    return text(name) === '' ? '' : `${text(namespace)}/${text(name)}`;
  },
  keyOf: (policy) => policy.key,
  project(raw, shared): NetworkPolicy {
    const meta = record(raw.metadata);
    const namespace = shared.string(text(meta.namespace));
    const name = text(meta.name);
    const faults: string[] = [];
    const spec = new Field('spec', raw.spec, faults);
    spec.known('podSelector', 'policyTypes', 'ingress', 'egress');
    const pods = labelSelector(spec.at('podSelector'));
    const covered = directions(spec);
    const ingress = covered.includes('ingress') ? rules(spec.at('ingress'), 'from') : undefined;
    const egress = covered.includes('egress') ? rules(spec.at('egress'), 'to') : undefined;
    return Object.freeze({
      key: `${namespace}/${name}`,
      namespace,
      name,
      uid: text(meta.uid),
      pods,
      ...(ingress && { ingress: faults.length > 0 ? CLOSED : ingress }),
      ...(egress && { egress: faults.length > 0 ? CLOSED : egress }),
      audit: record(meta.annotations)[AUDIT_ANNOTATION] === 'true',
      problems: told(faults),
    });
  },
};

const CLOSED: readonly PolicyRule[] = Object.freeze([]);
const BOTH: readonly Direction[] = ['ingress', 'egress'];

/** Without policyTypes it is about ingress, and about egress only when it has such rules (the API server fills that in). */
function directions(spec: Field): readonly Direction[] {
  const before = spec.faults;
  const items = spec.at('policyTypes').items();
  if (spec.faults > before) return BOTH;
  if (items.length === 0) {
    const { present, value } = spec.at('egress');
    const none = !present || (Array.isArray(value) && value.length === 0);
    return none ? ['ingress'] : BOTH;
  }
  const unknown = items.filter(({ value }) => value !== 'Ingress' && value !== 'Egress');
  for (const item of unknown) item.fault(`${shown(item.value)} is neither Ingress nor Egress`);
  if (unknown.length > 0) return BOTH;
  return BOTH.filter((direction) =>
    items.some(({ value }) => value === (direction === 'ingress' ? 'Ingress' : 'Egress')),
  );
}

function rules(list: Field, side: 'from' | 'to'): readonly PolicyRule[] {
  return Object.freeze(
    list.items().map((rule) => {
      rule.known(side, 'ports');
      if (!rule.present) rule.fault('there is no rule');
      const peers = rule.at(side).items();
      const ports = rule.at('ports').items();
      return Object.freeze({
        peers: peers.length === 0 ? 'any' : Object.freeze(peers.flatMap(peer)),
        ports: ports.length === 0 ? 'any' : Object.freeze(ports.flatMap(port)),
      });
    }),
  );
}

function peer(field: Field): readonly Peer[] {
  const keys = field.known('podSelector', 'namespaceSelector', 'ipBlock');
  if (keys.length === 0) field.fault('it names no peer');
  if (keys.includes('ipBlock')) {
    if (keys.length > 1) field.fault('ipBlock cannot stand beside a selector');
    return block(field.at('ipBlock'));
  }
  const pods = labelSelector(field.at('podSelector'));
  const namespaces = field.at('namespaceSelector');
  if (!namespaces.present) return [Object.freeze({ kind: 'pods', pods })];
  return [Object.freeze({ kind: 'pods', namespaces: labelSelector(namespaces), pods })];
}

function block(field: Field): readonly BlockPeer[] {
  field.known('cidr', 'except');
  const cidr = prefix(field.at('cidr'));
  const except = field
    .at('except')
    .items()
    .flatMap((item) => {
      const inner = prefix(item);
      if (inner === undefined || cidr === undefined) return [];
      if (!contains(cidr, inner) || inner === cidr) item.fault(`${inner} is not a part of ${cidr}`);
      return [inner];
    });
  return cidr === undefined ? [] : [Object.freeze({ kind: 'block', cidr, except: Object.freeze(except) })];
}

function port(field: Field): readonly PolicyPort[] {
  field.known('protocol', 'port', 'endPort');
  if (!field.present) field.fault('there is no port');
  const protocol = protocolOf(field.at('protocol'));
  const number = field.at('port');
  const end = field.at('endPort');
  if (!number.present || typeof number.value === 'string') {
    if (end.present) end.fault('it needs a port that is a number');
    if (!number.present) return [Object.freeze({ protocol })];
    return [Object.freeze({ protocol, name: portName(number) })];
  }
  const from = number.whole(1, 65_535);
  const to = end.present ? end.whole(1, 65_535) : from;
  if (from === undefined || to === undefined) return [];
  if (to < from) end.fault(`${to} is below the port ${from}`);
  return [Object.freeze({ protocol, from, to })];
}

function protocolOf(field: Field): PolicyProtocol {
  const { value } = field;
  if (!field.present || value === 'TCP') return 'TCP';
  if (value === 'UDP' || value === 'SCTP') return value;
  field.fault(`${shown(value)} is not TCP, UDP or SCTP`);
  return 'TCP';
}

/** RFC 6335 section 5.1, as the API has it for container ports: a name of any other form is no pod's. */
function portName(field: Field): string {
  const name = field.string();
  const sound = name.length <= 15 && /^[a-z0-9]+(-[a-z0-9]+)*$/.test(name) && /[a-z]/.test(name);
  if (!sound) field.fault(`${shown(name)} cannot be the name of a port`);
  return name;
}
