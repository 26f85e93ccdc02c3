/** Words of the API's authorization for what a request does. */
export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';

/** A kind as the API's paths name it: group (empty = core), version, plural. */
export interface Resource {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  /** Fields with long arrays that nobody here reads: lists and watches do without them. */
  readonly unread?: readonly string[];
}

/** One object, or a whole collection when `name` is absent. */
export interface ObjectRef extends Resource {
  readonly namespace?: string;
  readonly name?: string;
  readonly subresource?: string;
}

export const NODES: Resource = {
  group: '',
  version: 'v1',
  resource: 'nodes',
  unread: ['managedFields', 'images'],
};
export const PODS: Resource = { group: '', version: 'v1', resource: 'pods', unread: ['managedFields'] };
export const NAMESPACES: Resource = { group: '', version: 'v1', resource: 'namespaces' };
export const NETWORK_POLICIES: Resource = {
  group: 'networking.k8s.io',
  version: 'v1',
  resource: 'networkpolicies',
};
export const CLUSTER_NETWORK_POLICIES: Resource = {
  group: 'policy.networking.k8s.io',
  version: 'v1alpha2',
  resource: 'clusternetworkpolicies',
};

/** The path of an object or collection, each part encoded: `/api/v1/namespaces/dev/pods/web-0/status`. */
export function pathOf(ref: ObjectRef): string {
  const parts = ref.group === '' ? ['api', ref.version] : ['apis', ref.group, ref.version];
  if (ref.namespace !== undefined) parts.push('namespaces', ref.namespace);
  parts.push(ref.resource);
  if (ref.name !== undefined) parts.push(ref.name);
  if (ref.subresource !== undefined) parts.push(ref.subresource);
  return `/${parts.map(encodeURIComponent).join('/')}`;
}

/** `nodes`, `nodes/status "n1"`, `leases.coordination.k8s.io "a" in namespace b`. */
export function subject(ref: ObjectRef): string {
  const kind = ref.group === '' ? ref.resource : `${ref.resource}.${ref.group}`;
  const sub = ref.subresource === undefined ? '' : `/${ref.subresource}`;
  const name = ref.name === undefined ? '' : ` "${ref.name}"`;
  return `${kind}${sub}${name}${ref.namespace === undefined ? '' : ` in namespace ${ref.namespace}`}`;
}

/** The RBAC rule that would allow a request, in the words of a Role. */
export function permission(verb: Verb, ref: ObjectRef): string {
  const resource = ref.subresource === undefined ? ref.resource : `${ref.resource}/${ref.subresource}`;
  const where = ref.namespace === undefined ? 'in a ClusterRole' : `in namespace ${ref.namespace}`;
  return `apiGroups: ["${ref.group}"], resources: ["${resource}"], verbs: ["${verb}"], ${where}`;
}
