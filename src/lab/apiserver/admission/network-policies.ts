import { contains, networkOf, splitPrefix } from '../../../model/net/cidr.ts';
import { familyOf, tryIp } from '../../../model/net/ip.ts';
import { ensure, type Json, type JsonObject, list, objects, sub, text, texts } from '../json.ts';
import { type Cause, notAllowed, required, unsupported, wrong } from '../status.ts';
import type { Admission } from './admission.ts';
import { labelSelectorFaults } from './label-selector.ts';

const PROTOCOLS = ['TCP', 'UDP', 'SCTP'];
const TYPES = ['Ingress', 'Egress'];

/** NetworkPolicies: what the server fills in, and what it refuses, in the order and the words of kube-apiserver 1.36. */
export const networkPolicies: Admission = {
  create: defaults,
  update: defaults,
  validate(policy) {
    const spec = sub(policy, 'spec');
    return [
      ...labelSelectorFaults(sub(spec, 'podSelector'), 'spec.podSelector'),
      ...objects(spec.ingress).flatMap((rule, i) => ruleFaults(rule, 'from', `spec.ingress[${i}]`)),
      ...objects(spec.egress).flatMap((rule, i) => ruleFaults(rule, 'to', `spec.egress[${i}]`)),
      ...typeFaults(spec.policyTypes),
    ];
  },
};

function defaults(policy: JsonObject): void {
  const spec = ensure(policy, 'spec');
  spec.podSelector ??= {};
  const egress = list(spec.egress).length > 0;
  if (list(spec.policyTypes).length === 0) spec.policyTypes = egress ? [...TYPES] : ['Ingress'];
  for (const rule of [...objects(spec.ingress), ...objects(spec.egress)]) {
    for (const port of objects(rule.ports)) port.protocol ??= 'TCP';
  }
}

function typeFaults(types: Json | undefined): Cause[] {
  const given = list(types);
  if (given.length > TYPES.length)
    return [wrong('spec.policyTypes', given, 'may not specify more than two policyTypes')];
  return given.flatMap((type, i) =>
    TYPES.includes(text(type)) ? [] : [unsupported(`spec.policyTypes[${i}]`, type, TYPES)],
  );
}

function ruleFaults(rule: JsonObject, side: 'from' | 'to', at: string): Cause[] {
  return [
    ...objects(rule.ports).flatMap((port, i) => portFaults(port, `${at}.ports[${i}]`)),
    ...objects(rule[side]).flatMap((peer, i) => peerFaults(peer, `${at}.${side}[${i}]`)),
  ];
}

function portFaults({ protocol, port, endPort }: JsonObject, at: string): Cause[] {
  const causes: Cause[] = [];
  if (!PROTOCOLS.includes(text(protocol))) causes.push(unsupported(`${at}.protocol`, protocol, PROTOCOLS));
  const end = `${at}.endPort`;
  if (typeof port === 'number') {
    causes.push(...portNumberFaults(port, `${at}.port`));
    if (typeof endPort !== 'number') return causes;
    // It names the port as the wrong value, and means the endPort.
    if (endPort < port) causes.push(wrong(end, port, 'must be greater than or equal to `port`'));
    causes.push(...portNumberFaults(endPort, end));
  } else if (typeof port === 'string') {
    if (endPort !== undefined)
      causes.push(wrong(end, endPort, 'may not be specified when `port` is non-numeric'));
    causes.push(...portNameFaults(port).map((words) => wrong(`${at}.port`, port, words)));
  } else if (endPort !== undefined)
    causes.push(wrong(end, endPort, 'may not be specified when `port` is not specified'));
  return causes;
}

function portNumberFaults(port: number, field: string): Cause[] {
  return port >= 1 && port <= 65_535 ? [] : [wrong(field, port, 'must be between 1 and 65535, inclusive')];
}

function portNameFaults(name: string): string[] {
  return [
    ...(name.length > 15 ? ['must be no more than 15 characters'] : []),
    ...(/^[-a-z0-9]+$/.test(name)
      ? []
      : ['must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)']),
    ...(/[a-z]/.test(name) ? [] : ['must contain at least one letter (a-z)']),
    ...(name.includes('--') ? ['must not contain consecutive hyphens'] : []),
    ...(name.startsWith('-') || name.endsWith('-') ? ['must not begin or end with a hyphen'] : []),
  ];
}

function peerFaults(peer: JsonObject, at: string): Cause[] {
  const kinds = ['podSelector', 'namespaceSelector', 'ipBlock'].filter((kind) => peer[kind] !== undefined);
  const causes = kinds.flatMap((kind) =>
    kind === 'ipBlock'
      ? blockFaults(sub(peer, kind), `${at}.${kind}`)
      : labelSelectorFaults(sub(peer, kind), `${at}.${kind}`),
  );
  if (kinds.length === 0) causes.push(required(at, 'must specify a peer'));
  else if (kinds.length > 1 && kinds.includes('ipBlock'))
    causes.push(notAllowed(at, 'may not specify both ipBlock and another peer'));
  return causes;
}

function blockFaults(block: JsonObject, at: string): Cause[] {
  const cidr = text(block.cidr);
  if (cidr === '') return [required(`${at}.cidr`)];
  const outer = readPrefix(cidr);
  const causes = outer.faults.map((words) => wrong(`${at}.cidr`, cidr, words));
  if (outer.network === undefined) return causes;
  for (const [i, except] of texts(block.except).entries()) {
    const field = `${at}.except[${i}]`;
    const inner = readPrefix(except);
    causes.push(...inner.faults.map((words) => wrong(field, except, words)));
    if (inner.network === undefined) continue;
    if (inner.network === outer.network || !contains(outer.network, inner.network))
      causes.push(wrong(field, except, 'must be a strict subset of `cidr`'));
  }
  return causes;
}

/** What a prefix means, if anything, and what is wrong with how it is written. */
function readPrefix(written: string): { network: string | undefined; faults: string[] } {
  const plain = written.replace(/(^|[./])0+(?=\d)/g, '$1');
  // Of an IPv4-mapped prefix nothing but that is told.
  const mapped = familyOf(plain) === 'ipv6' && familyOf(tryIp(plain.split('/')[0] ?? '') ?? '::') === 'ipv4';
  if (mapped) return { network: undefined, faults: ['must not have an IPv4-mapped IPv6 address'] };
  try {
    const { address, length } = splitPrefix(plain);
    const network = networkOf(address, length);
    const faults: string[] = [];
    if (plain !== written) faults.push('must not have leading 0s in IP or prefix length');
    if (network !== `${address}/${length}`) faults.push('must not have bits set beyond the prefix length');
    return { network, faults };
  } catch {
    return {
      network: undefined,
      faults: ['must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'],
    };
  }
}
