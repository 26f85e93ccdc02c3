import { at, type Json, type JsonObject, list, meta, objects, sub, text, texts } from '../json.ts';
import { humanDuration } from './durations.ts';
import { podColumns } from './pod-columns.ts';

/** One column of `kubectl get`. Priority 1 is shown by `-o wide` only. */
export interface Column {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly priority: number;
  /** `now` is in milliseconds since the epoch. */
  readonly cell: (object: JsonObject, now: number) => Json;
}

export function column(name: string, cell: Column['cell'], priority = 0, type = 'string'): Column {
  return { name, type, format: name === 'Name' ? 'name' : '', priority, cell };
}

export const none = '<none>';

export function age(timestamp: Json | undefined, now: number): string {
  const then = Date.parse(text(timestamp));
  return Number.isNaN(then) ? '<unknown>' : humanDuration(now - then);
}

export const name = column('Name', (object) => text(meta(object).name));
export const created = column('Age', (object, now) => age(meta(object).creationTimestamp, now));
const createdAt = column('Created At', (object) => text(meta(object).creationTimestamp), 0, 'date');

const pairs = (labels: JsonObject): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${text(value)}`)
    .sort()
    .join(',') || none;

function selector(value: JsonObject): string {
  const terms = Object.entries(sub(value, 'matchLabels')).map(([key, v]) => `${key}=${text(v)}`);
  for (const e of objects(value.matchExpressions)) {
    const key = text(e.key);
    if (e.operator === 'Exists') terms.push(key);
    else if (e.operator === 'DoesNotExist') terms.push(`!${key}`);
    else terms.push(`${key} ${text(e.operator).toLowerCase()} (${texts(e.values).join(',')})`);
  }
  return terms.join(',') || none;
}

function nodeStatus(node: JsonObject): string {
  const ready = objects(sub(node, 'status').conditions).find((c) => c.type === 'Ready');
  const words = [ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady'];
  if (sub(node, 'spec').unschedulable === true) words.push('SchedulingDisabled');
  return words.join(',');
}

function nodeRoles(node: JsonObject): string {
  const prefix = 'node-role.kubernetes.io/';
  const roles = Object.entries(sub(meta(node), 'labels')).flatMap(([key, value]) =>
    key.startsWith(prefix) ? [key.slice(prefix.length)] : key === 'kubernetes.io/role' ? [text(value)] : [],
  );
  return roles.sort().join(',') || none;
}

const nodeAddress = (node: JsonObject, type: string): string =>
  text(objects(sub(node, 'status').addresses).find((a) => a.type === type)?.address) || none;
const nodeInfo = (node: JsonObject, key: string): string =>
  text(at(node, `status.nodeInfo.${key}`)) || '<unknown>';

function servicePorts(service: JsonObject): string {
  const ports = objects(sub(service, 'spec').ports).map((port) => {
    const node = typeof port.nodePort === 'number' && port.nodePort > 0 ? `:${port.nodePort}` : '';
    return `${String(port.port)}${node}/${text(port.protocol)}`;
  });
  return ports.join(',') || none;
}

function externalAddresses(service: JsonObject): string {
  const spec = sub(service, 'spec');
  const given = objects(at(service, 'status.loadBalancer.ingress')).map(
    (i) => text(i.ip) || text(i.hostname),
  );
  const all = [...given, ...texts(spec.externalIPs)];
  if (spec.type === 'ExternalName') return text(spec.externalName);
  return all.join(',') || (spec.type === 'LoadBalancer' ? '<pending>' : none);
}

const few = (items: readonly string[]): string =>
  items.length === 0
    ? none
    : items.length > 3
      ? `${items.slice(0, 3).join(',')} + ${items.length - 3} more...`
      : items.join(',');

const containerNames = (object: JsonObject, key: string): string =>
  objects(at(object, 'spec.template.spec.containers'))
    .map((c) => text(c[key]))
    .join(',');
const count = (object: JsonObject, path: string): Json => Number(at(object, path) ?? 0);

function eventSource(event: JsonObject): string {
  const { component, host } = sub(event, 'source');
  return [text(component) || text(event.reportingComponent), text(host)].filter(Boolean).join(', ');
}

const involved = (event: JsonObject): string => {
  const { kind, name: objectName } = sub(event, 'involvedObject');
  return `${text(kind).toLowerCase()}/${text(objectName)}`;
};

const subjects = (kind: string) => (binding: JsonObject) =>
  objects(binding.subjects)
    .filter((s) => s.kind === kind)
    .map((s) => (kind === 'ServiceAccount' ? `${text(s.namespace)}/${text(s.name)}` : text(s.name)))
    .join(', ');
const role = (binding: JsonObject): string =>
  `${text(sub(binding, 'roleRef').kind)}/${text(sub(binding, 'roleRef').name)}`;
const binding = [
  name,
  column('Role', role),
  created,
  column('Users', subjects('User'), 1),
  column('Groups', subjects('Group'), 1),
  column('ServiceAccounts', subjects('ServiceAccount'), 1),
];
const dataCount = column('Data', (o) => Object.keys({ ...sub(o, 'data'), ...sub(o, 'binaryData') }).length);
const workloadTail = [
  column('Containers', (o) => containerNames(o, 'name'), 1),
  column('Images', (o) => containerNames(o, 'image'), 1),
  column('Selector', (o) => selector(sub(sub(o, 'spec'), 'selector')), 1),
];
const number = (label: string, path: string): Column => column(label, (o) => count(o, path), 0, 'integer');

/** Columns by storage name, the same as the real server's. */
export const columns: Readonly<Record<string, readonly Column[]>> = {
  nodes: [
    name,
    column('Status', nodeStatus),
    column('Roles', nodeRoles),
    created,
    column('Version', (n) => text(at(n, 'status.nodeInfo.kubeletVersion'))),
    column('Internal-IP', (n) => nodeAddress(n, 'InternalIP'), 1),
    column('External-IP', (n) => nodeAddress(n, 'ExternalIP'), 1),
    column('OS-Image', (n) => nodeInfo(n, 'osImage'), 1),
    column('Kernel-Version', (n) => nodeInfo(n, 'kernelVersion'), 1),
    column('Container-Runtime', (n) => nodeInfo(n, 'containerRuntimeVersion'), 1),
  ],
  pods: podColumns,
  namespaces: [name, column('Status', (n) => text(sub(n, 'status').phase)), created],
  services: [
    name,
    column('Type', (s) => text(sub(s, 'spec').type)),
    column('Cluster-IP', (s) => text(sub(s, 'spec').clusterIP) || none),
    column('External-IP', externalAddresses),
    column('Port(s)', servicePorts),
    created,
    column('Selector', (s) => pairs(sub(sub(s, 'spec'), 'selector')), 1),
  ],
  events: [
    column('Last Seen', (e, now) =>
      age(text(e.lastTimestamp) || text(e.eventTime) || meta(e).creationTimestamp, now),
    ),
    column('Type', (e) => text(e.type)),
    column('Reason', (e) => text(e.reason)),
    column('Object', involved),
    column('Subobject', (e) => text(sub(e, 'involvedObject').fieldPath), 1),
    column('Source', eventSource, 1),
    column('Message', (e) => text(e.message).trim()),
    column(
      'First Seen',
      (e, now) => age(text(e.firstTimestamp) || text(e.eventTime) || meta(e).creationTimestamp, now),
      1,
    ),
    column('Count', (e) => String(e.count ?? 1), 1),
    { ...name, priority: 1 },
  ],
  configmaps: [name, dataCount, created],
  secrets: [name, column('Type', (s) => text(s.type)), dataCount, created],
  endpoints: [
    name,
    column('Endpoints', (e) =>
      few(
        objects(e.subsets).flatMap((s) =>
          objects(s.addresses).flatMap((a) => objects(s.ports).map((p) => `${text(a.ip)}:${String(p.port)}`)),
        ),
      ),
    ),
    created,
  ],
  'endpointslices.discovery.k8s.io': [
    name,
    column('AddressType', (s) => text(s.addressType)),
    column('Ports', (s) =>
      list(s.ports).length === 0 ? '<unset>' : few(objects(s.ports).map((p) => String(p.port ?? '*'))),
    ),
    column('Endpoints', (s) => few(objects(s.endpoints).flatMap((e) => texts(e.addresses).slice(0, 1)))),
    created,
  ],
  'networkpolicies.networking.k8s.io': [
    name,
    column('Pod-Selector', (p) => selector(sub(sub(p, 'spec'), 'podSelector'))),
    created,
  ],
  'daemonsets.apps': [
    name,
    number('Desired', 'status.desiredNumberScheduled'),
    number('Current', 'status.currentNumberScheduled'),
    number('Ready', 'status.numberReady'),
    number('Up-to-date', 'status.updatedNumberScheduled'),
    number('Available', 'status.numberAvailable'),
    column('Node Selector', (o) => pairs(sub(sub(sub(sub(o, 'spec'), 'template'), 'spec'), 'nodeSelector'))),
    created,
    ...workloadTail,
  ],
  'deployments.apps': [
    name,
    column(
      'Ready',
      (o) => `${Number(at(o, 'status.readyReplicas') ?? 0)}/${Number(at(o, 'spec.replicas') ?? 1)}`,
    ),
    column('Up-to-date', (o) => String(count(o, 'status.updatedReplicas'))),
    column('Available', (o) => String(count(o, 'status.availableReplicas'))),
    created,
    ...workloadTail,
  ],
  'leases.coordination.k8s.io': [name, column('Holder', (l) => text(sub(l, 'spec').holderIdentity)), created],
  'clusterroles.rbac.authorization.k8s.io': [name, createdAt],
  'roles.rbac.authorization.k8s.io': [name, createdAt],
  'clusterrolebindings.rbac.authorization.k8s.io': binding,
  'rolebindings.rbac.authorization.k8s.io': binding,
  'customresourcedefinitions.apiextensions.k8s.io': [name, createdAt],
};
