import type { NamedPort, Pod } from '../../model/cluster/pod.ts';
import { type Ip, tryIp } from '../../model/net/ip.ts';
import type { Kind } from './kind.ts';
import { array, type Raw, record, text } from './raw.ts';
import { PODS } from './resource.ts';

/** Pods of the whole cluster. */
export const pods: Kind<'pods'> = {
  source: 'pods',
  resource: PODS,
  key(raw) {
    const { namespace, name } = record(raw.metadata);
    return text(name) === '' ? '' : `${text(namespace)}/${text(name)}`;
  },
  keyOf: (pod) => pod.key,
  project(raw, shared): Pod {
    const meta = record(raw.metadata);
    const spec = record(raw.spec);
    const status = record(raw.status);
    const namespace = shared.string(text(meta.namespace));
    const name = text(meta.name);
    return Object.freeze({
      // One piece in memory; a template's parts would stay as they are.
      key: [namespace, name].join('/'),
      namespace,
      name,
      uid: text(meta.uid),
      node: shared.string(text(spec.nodeName)),
      ips: addressesOf(status),
      hostNetwork: spec.hostNetwork === true,
      phase: phaseOf(status.phase),
      labels: shared.labels(meta.labels),
      ports: shared.list(namedPorts(spec)),
    });
  },
};

/** Only the pods of one node: what an agent needs that plans nothing about the others. */
export function podsOn(node: string): Kind<'pods'> {
  return { ...pods, fieldSelector: `spec.nodeName=${node}` };
}

/** The pods of all other nodes, and of none yet. A pod that is given to a node moves to `pods` there: its key may shortly be in both, or in none. */
export function podsNotOn(node: string): Kind<'peers'> {
  return { ...pods, source: 'peers', fieldSelector: `spec.nodeName!=${node}` };
}

const NO_ADDRESSES: readonly Ip[] = Object.freeze([]);

function addressesOf(status: Raw): readonly Ip[] {
  const all = array(status.podIPs).map((entry) => text(record(entry).ip));
  if (all.length === 0 && text(status.podIP) !== '') all.push(text(status.podIP));
  if (all.length === 0) return NO_ADDRESSES;
  return Object.freeze(all.map(tryIp).filter((address) => address !== undefined));
}

/** Restartable init containers (sidecars, KEP-753) run as long as the pod; ordinary ones end before it serves. */
function namedPorts(spec: Raw): readonly NamedPort[] {
  const sidecars = array(spec.initContainers).filter((one) => record(one).restartPolicy === 'Always');
  const named: NamedPort[] = [];
  for (const container of [...array(spec.containers), ...sidecars]) {
    for (const raw of array(record(container).ports)) {
      const { name, containerPort, protocol = 'TCP' } = record(raw);
      if (text(name) === '' || typeof containerPort !== 'number') continue;
      if (protocol === 'TCP' || protocol === 'UDP' || protocol === 'SCTP')
        named.push(Object.freeze({ name: text(name), protocol, port: containerPort }));
    }
  }
  return named;
}

const PHASES: readonly Pod['phase'][] = ['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'];

function phaseOf(value: unknown): Pod['phase'] {
  return PHASES.find((phase) => phase === value) ?? 'Unknown';
}
