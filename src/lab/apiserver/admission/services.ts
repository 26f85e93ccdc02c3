import { ensure, type JsonObject, meta, objects, sub, text } from '../json.ts';
import { type Cause, required, unsupported, wrong } from '../status.ts';
import type { Admission } from './admission.ts';
import { ClusterIps, NodePorts } from './service-numbers.ts';

const GIVEN_FIELDS = ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy'];

/** Cluster IPs and node ports of Services; taken when made, freed when removed. Without ranges no cluster IP is given. */
export function services(serviceCidrs: readonly string[]): Admission {
  const addresses = new ClusterIps(serviceCidrs);
  const ports = new NodePorts();
  const complete = (service: JsonObject, dryRun: boolean): void => {
    const spec = ensure(service, 'spec');
    defaults(spec);
    if (spec.type === 'ExternalName') return;
    const owner = dryRun ? undefined : text(meta(service).uid);
    addresses.give(spec, owner);
    ports.give(spec, owner);
  };
  return {
    create(service, { dryRun }) {
      complete(service, dryRun);
      service.status = { loadBalancer: {} };
    },
    update(service, old, { dryRun }) {
      keepGiven(ensure(service, 'spec'), sub(old, 'spec'));
      complete(service, dryRun);
    },
    validate: serviceFaults,
    removed(service) {
      const uid = text(meta(service).uid);
      addresses.free(uid);
      ports.free(uid);
    },
  };
}

function defaults(spec: JsonObject): void {
  spec.type ??= 'ClusterIP';
  spec.sessionAffinity ??= 'None';
  if (spec.sessionAffinity === 'ClientIP')
    ensure(ensure(spec, 'sessionAffinityConfig'), 'clientIP').timeoutSeconds ??= 10800;
  for (const port of objects(spec.ports)) {
    port.protocol ??= 'TCP';
    port.targetPort ??= port.port ?? 0;
  }
  if (spec.type === 'ExternalName') return;
  spec.internalTrafficPolicy ??= 'Cluster';
  if (spec.type === 'NodePort' || spec.type === 'LoadBalancer') spec.externalTrafficPolicy ??= 'Cluster';
  if (spec.type === 'LoadBalancer') spec.allocateLoadBalancerNodePorts ??= true;
}

/** A client that does not know what was given leaves it out; it stays. */
function keepGiven(spec: JsonObject, before: JsonObject): void {
  for (const key of GIVEN_FIELDS) {
    if (spec[key] === undefined && before[key] !== undefined && spec.type !== 'ExternalName')
      spec[key] = before[key];
  }
  for (const port of objects(spec.ports)) {
    const same = objects(before.ports).find(
      (p) => p.port === port.port && p.protocol === (port.protocol ?? 'TCP'),
    );
    if (port.nodePort === undefined && same?.nodePort !== undefined) port.nodePort = same.nodePort;
  }
}

function serviceFaults(service: JsonObject, old: JsonObject | undefined): Cause[] {
  const spec = sub(service, 'spec');
  const causes: Cause[] = [];
  const kinds = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
  if (objects(spec.ports).length === 0 && spec.clusterIP !== 'None' && spec.type !== 'ExternalName') {
    causes.push(required('spec.ports'));
  }
  objects(spec.ports).forEach((port, i) => {
    const number = Number(port.port ?? 0);
    if (objects(spec.ports).length > 1 && text(port.name) === '')
      causes.push(required(`spec.ports[${i}].name`));
    if (number < 1 || number > 65535) {
      causes.push(wrong(`spec.ports[${i}].port`, number, 'must be between 1 and 65535, inclusive'));
    }
    if (!['TCP', 'UDP', 'SCTP'].includes(text(port.protocol))) {
      causes.push(unsupported(`spec.ports[${i}].protocol`, port.protocol, ['SCTP', 'TCP', 'UDP']));
    }
  });
  if (!kinds.includes(text(spec.type))) causes.push(unsupported('spec.type', spec.type, kinds));
  const before = sub(old, 'spec');
  if (
    old &&
    before.type === spec.type &&
    text(before.clusterIP) !== text(spec.clusterIP) &&
    text(before.clusterIP) !== ''
  ) {
    causes.push(wrong('spec.clusterIPs[0]', spec.clusterIPs, 'may not change once set'));
  }
  return causes;
}
