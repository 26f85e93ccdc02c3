import { contains, nthAddress, splitPrefix } from '../../../model/net/cidr.ts';
import { ensure, type JsonObject, meta, objects, sub, text, texts } from '../json.ts';
import { type Cause, required, unsupported, wrong } from '../status.ts';
import type { Admission } from './admission.ts';

const familyName = (address: string): string => (address.includes(':') ? 'IPv6' : 'IPv4');
const nodePorts = { first: 30000, last: 32767 };

/** Cluster IPs and node ports of Services; taken when made, freed when removed. Without ranges no cluster IP is given. */
export function services(serviceCidrs: readonly string[]): Admission {
  const taken = new Map<string, string>();
  const ports = new Map<number, string>();
  const ranges = new Map(serviceCidrs.map((range) => [familyName(splitPrefix(range).address), range]));
  const primary = serviceCidrs[0] === undefined ? 'IPv4' : familyName(serviceCidrs[0]);

  // The first ten addresses stay free for clusters' fixed ones; the search goes on where it last ended, and once around.
  const last = new Map<string, number>();
  const free = (range: string): string => {
    let offset = last.get(range) ?? 10;
    for (let tried = 0; tried < 70_000; tried++, offset++) {
      let candidate = nthAddress(range, offset);
      if (offset > 65_000 || !contains(range, candidate)) {
        offset = 10;
        candidate = nthAddress(range, offset);
      }
      if (taken.has(candidate)) continue;
      last.set(range, offset + 1);
      return candidate;
    }
    return '';
  };

  const giveAddresses = (spec: JsonObject, uid: string, dryRun: boolean): void => {
    const asked =
      texts(spec.clusterIPs).length > 0 ? texts(spec.clusterIPs) : [text(spec.clusterIP)].filter(Boolean);
    const headless = asked[0] === 'None';
    spec.ipFamilyPolicy ??= 'SingleStack';
    const policy = spec.ipFamilyPolicy;
    const wanted = texts(spec.ipFamilies);
    const families =
      wanted.length > 0 ? [...wanted] : asked.length > 0 && !headless ? asked.map(familyName) : [primary];
    const other = families[0] === 'IPv4' ? 'IPv6' : 'IPv4';
    if (policy !== 'SingleStack' && families.length === 1 && ranges.has(other)) families.push(other);
    spec.ipFamilies = families;
    if (headless) spec.clusterIPs = ['None'];
    else {
      const range = (family: string): string | undefined => ranges.get(family);
      spec.clusterIPs = families.map((family, i) => {
        const address = asked[i] ?? free(range(family) ?? '0.0.0.0/32');
        if (address !== '' && !dryRun) taken.set(address, uid);
        return address;
      });
    }
    spec.clusterIP = texts(spec.clusterIPs)[0] ?? '';
  };

  const givePorts = (spec: JsonObject, uid: string, dryRun: boolean): void => {
    const wants =
      spec.type === 'NodePort' ||
      (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false);
    for (const port of objects(spec.ports)) {
      if (!wants) continue;
      let number = Number(port.nodePort ?? 0);
      for (let n = nodePorts.first; number === 0 && n <= nodePorts.last; n++) if (!ports.has(n)) number = n;
      port.nodePort = number;
      if (!dryRun) ports.set(number, uid);
    }
  };

  const defaults = (service: JsonObject, dryRun: boolean): void => {
    const spec = ensure(service, 'spec');
    const uid = text(meta(service).uid);
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
    giveAddresses(spec, uid, dryRun);
    givePorts(spec, uid, dryRun);
  };

  return {
    create(service, { dryRun }) {
      defaults(service, dryRun);
      service.status = { loadBalancer: {} };
    },
    update(service, old, { dryRun }) {
      const spec = ensure(service, 'spec');
      const before = sub(old, 'spec');
      // A client that does not know them leaves them out; they stay.
      for (const key of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy']) {
        if (spec[key] === undefined && before[key] !== undefined && spec.type !== 'ExternalName')
          spec[key] = before[key];
      }
      objects(spec.ports).forEach((port) => {
        const same = objects(before.ports).find(
          (p) => p.port === port.port && p.protocol === (port.protocol ?? 'TCP'),
        );
        if (port.nodePort === undefined && same?.nodePort !== undefined) port.nodePort = same.nodePort;
      });
      defaults(service, dryRun);
    },
    validate: serviceFaults,
    removed(service) {
      const uid = text(meta(service).uid);
      for (const [address, owner] of taken) if (owner === uid) taken.delete(address);
      for (const [port, owner] of ports) if (owner === uid) ports.delete(port);
    },
  };
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
