import { FACTS_ANNOTATION, type Node } from '../../model/cluster/node.ts';
import { describe } from '../../model/errors.ts';
import { type Cidr, cidr } from '../../model/net/cidr.ts';
import { type Ip, tryIp } from '../../model/net/ip.ts';
import { parseFacts } from './facts.ts';
import type { Kind } from './kind.ts';
import { array, type Raw, record, text } from './raw.ts';
import { NODES } from './resource.ts';

/** Nodes: addresses, pod CIDRs, labels, and what their agents say. A kubelet's heartbeat changes nothing of it. */
export const nodes: Kind<'nodes'> = {
  source: 'nodes',
  resource: NODES,
  key: (raw) => text(record(raw.metadata).name),
  keyOf: (object) => object.name,
  project(raw, shared): Node {
    const meta = record(raw.metadata);
    const spec = record(raw.spec);
    const status = record(raw.status);
    const problems: string[] = [];
    const addresses = addressesOf(status, 'InternalIP', problems);
    if (addresses.length === 0) problems.push('status.addresses has no InternalIP that can be used');
    return Object.freeze({
      name: text(meta.name),
      uid: text(meta.uid),
      created: text(meta.creationTimestamp),
      addresses,
      externalAddresses: addressesOf(status, 'ExternalIP', problems),
      podCidrs: podCidrsOf(spec, problems),
      labels: shared.labels(meta.labels),
      facts: factsOf(meta, problems),
      networkUnavailable: networkUnavailableOf(status),
      problems: Object.freeze(problems),
    });
  },
};

function addressesOf(status: Raw, type: string, problems: string[]): readonly Ip[] {
  const found = new Set<Ip>();
  array(status.addresses).forEach((entry, i) => {
    const address = record(entry);
    if (address.type !== type) return;
    const parsed = tryIp(text(address.address));
    if (parsed === undefined) {
      problems.push(`status.addresses[${i}] ${type} ${quoted(address.address)} is not an IP address`);
    } else {
      found.add(parsed);
    }
  });
  return Object.freeze([...found]);
}

/** A Node without any is no problem of its fields: it may get them yet. */
function podCidrsOf(spec: Raw, problems: string[]): readonly Cidr[] {
  const many = array(spec.podCIDRs);
  const single = text(spec.podCIDR);
  const entries: (readonly [string, unknown])[] = many.map((value, i) => [`spec.podCIDRs[${i}]`, value]);
  if (entries.length === 0 && single !== '') entries.push(['spec.podCIDR', single]);
  const found = new Set<Cidr>();
  for (const [field, value] of entries) {
    try {
      found.add(cidr(text(value)));
    } catch (error) {
      problems.push(`${field} ${quoted(value)} cannot be used: ${describe(error)}`);
    }
  }
  return Object.freeze([...found]);
}

function factsOf(meta: Raw, problems: string[]): Node['facts'] {
  const value = record(meta.annotations)[FACTS_ANNOTATION];
  if (typeof value !== 'string') return undefined;
  const result = parseFacts(value);
  if ('facts' in result) return result.facts;
  problems.push(result.problem);
  return undefined;
}

function networkUnavailableOf(status: Raw): Node['networkUnavailable'] {
  const found = array(status.conditions)
    .map(record)
    .find((condition) => condition.type === 'NetworkUnavailable');
  if (!found) return undefined;
  const value = found.status === 'True' || found.status === 'False' ? found.status : 'Unknown';
  return Object.freeze({ status: value, reason: text(found.reason), message: text(found.message) });
}

function quoted(value: unknown): string {
  return String(JSON.stringify(value)).slice(0, 80);
}
