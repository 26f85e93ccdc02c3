import type { ResourceName } from './status.ts';

/** One served resource. Adding a built-in one is one line in the table below; a CRD adds one at run time. */
export interface Resource extends ResourceName {
  readonly version: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** Name of its type in `schema/`, or undefined for custom resources. */
  readonly type: string | undefined;
  /** Has a status subresource: writes to one part ignore the other. */
  readonly status: boolean;
  /** Counts changes of anything but metadata and status in `metadata.generation`. */
  readonly generation: boolean;
  /** DELETE answers with the object instead of a Status. */
  readonly returnsDeleted: boolean;
  /** Field selectors beyond `metadata.name` and `metadata.namespace`. */
  readonly fields: readonly string[];
  /** Fields whose values are kept beside the text, because agents select by them. */
  readonly hot: readonly string[];
  /** Resources with one storage name show the same objects (core and events.k8s.io Events). */
  readonly storage: string;
  /** Only POST, never stored (access reviews). */
  readonly virtual: boolean;
  /** What every stored text of this resource begins with; list items leave it out, as the real server does. */
  readonly head: string;
  readonly custom: boolean;
}

export type ResourceOptions = Partial<
  Omit<Resource, 'group' | 'version' | 'plural' | 'kind' | 'head' | 'shortNames'>
>;

export const apiVersion = (r: { group: string; version: string }): string =>
  r.group === '' ? r.version : `${r.group}/${r.version}`;

export function resource(
  groupVersion: string,
  plural: string,
  kind: string,
  shortNames: string,
  options: ResourceOptions = {},
): Resource {
  const [version = '', group = ''] = groupVersion.split('/').reverse();
  return {
    group,
    version,
    plural,
    kind,
    singular: options.singular ?? kind.toLowerCase(),
    shortNames: shortNames === '' ? [] : shortNames.split(','),
    categories: options.categories ?? [],
    namespaced: options.namespaced ?? true,
    type: 'type' in options ? options.type : kind,
    status: options.status ?? false,
    generation: options.generation ?? false,
    returnsDeleted: options.returnsDeleted ?? false,
    fields: options.fields ?? [],
    hot: options.hot ?? [],
    storage: options.storage ?? (group === '' ? plural : `${plural}.${group}`),
    virtual: options.virtual ?? false,
    head: `{"kind":"${kind}","apiVersion":"${groupVersion}",`,
    custom: options.custom ?? false,
  };
}

const all = ['all'];
const workload: ResourceOptions = { status: true, generation: true, categories: all };
const rbac = 'rbac.authorization.k8s.io/v1';
const podFields =
  'spec.restartPolicy spec.schedulerName spec.serviceAccountName spec.hostNetwork status.podIP';
const eventFields = 'kind namespace name uid apiVersion resourceVersion fieldPath'
  .split(' ')
  .map((field) => `involvedObject.${field}`)
  .concat('reason', 'type', 'reportingComponent', 'source');

/** Every built-in resource. */
const builtIn: readonly Resource[] = [
  resource('v1', 'bindings', 'Binding', '', { virtual: true }),
  resource('v1', 'configmaps', 'ConfigMap', 'cm'),
  resource('v1', 'endpoints', 'Endpoints', 'ep', { singular: 'endpoints' }),
  resource('v1', 'events', 'Event', 'ev', { fields: eventFields }),
  resource('v1', 'namespaces', 'Namespace', 'ns', {
    namespaced: false,
    status: true,
    returnsDeleted: true,
    fields: ['status.phase'],
  }),
  resource('v1', 'nodes', 'Node', 'no', { namespaced: false, status: true, fields: ['spec.unschedulable'] }),
  resource('v1', 'pods', 'Pod', 'po', {
    status: true,
    generation: true,
    returnsDeleted: true,
    categories: all,
    fields: ['spec.nodeName', 'status.phase', ...podFields.split(' ')],
    hot: ['spec.nodeName', 'status.phase'],
  }),
  resource('v1', 'secrets', 'Secret', '', { fields: ['type'] }),
  resource('v1', 'serviceaccounts', 'ServiceAccount', 'sa', { returnsDeleted: true }),
  resource('v1', 'services', 'Service', 'svc', {
    status: true,
    returnsDeleted: true,
    categories: all,
    fields: ['spec.clusterIP', 'spec.type'],
  }),
  resource('apps/v1', 'daemonsets', 'DaemonSet', 'ds', workload),
  resource('apps/v1', 'deployments', 'Deployment', 'deploy', workload),
  resource('authorization.k8s.io/v1', 'selfsubjectaccessreviews', 'SelfSubjectAccessReview', '', {
    namespaced: false,
    virtual: true,
  }),
  resource('authorization.k8s.io/v1', 'subjectaccessreviews', 'SubjectAccessReview', '', {
    namespaced: false,
    virtual: true,
  }),
  resource('coordination.k8s.io/v1', 'leases', 'Lease', ''),
  resource('discovery.k8s.io/v1', 'endpointslices', 'EndpointSlice', '', { generation: true }),
  resource('events.k8s.io/v1', 'events', 'Event', 'ev', { type: 'EventsEvent', storage: 'events' }),
  resource('networking.k8s.io/v1', 'networkpolicies', 'NetworkPolicy', 'netpol', { generation: true }),
  resource(rbac, 'clusterrolebindings', 'ClusterRoleBinding', '', { namespaced: false }),
  resource(rbac, 'clusterroles', 'ClusterRole', '', { namespaced: false }),
  resource(rbac, 'rolebindings', 'RoleBinding', ''),
  resource(rbac, 'roles', 'Role', ''),
  resource('apiextensions.k8s.io/v1', 'customresourcedefinitions', 'CustomResourceDefinition', 'crd,crds', {
    namespaced: false,
    status: true,
    generation: true,
    categories: ['api-extensions'],
  }),
];

/** What is served now: the built-in table and what CRDs added. */
export class Resources {
  readonly #byPath = new Map<string, Resource>();
  #onDrop: (r: Resource) => void = () => {};

  constructor() {
    for (const r of builtIn) this.add(r);
  }

  add(r: Resource): void {
    this.#byPath.set(`${apiVersion(r)}/${r.plural}`, r);
  }

  /** Told of every resource that is served no more. */
  onDrop(listener: (r: Resource) => void): void {
    this.#onDrop = listener;
  }

  drop(r: Resource): void {
    this.#byPath.delete(`${apiVersion(r)}/${r.plural}`);
    this.#onDrop(r);
  }

  get(groupVersion: string, plural: string): Resource | undefined {
    return this.#byPath.get(`${groupVersion}/${plural}`);
  }

  /** The resource by storage name: the first version that is served. */
  stored(storage: string): Resource | undefined {
    for (const r of this.#byPath.values()) if (r.storage === storage && !r.virtual) return r;
    return undefined;
  }

  all(): Resource[] {
    return [...this.#byPath.values()];
  }

  /** Groups with their versions, in the order of the table; '' is the core group. */
  groups(): Map<string, string[]> {
    const groups = new Map<string, string[]>();
    for (const r of this.#byPath.values()) {
      const versions = groups.get(r.group) ?? [];
      if (!versions.includes(r.version)) versions.push(r.version);
      groups.set(r.group, versions);
    }
    return groups;
  }
}
