import type { JsonObject } from './json.ts';
import { apiVersion, type Resource, type Resources } from './resources.ts';

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

/** What `/version` says: the version whose behaviour this server follows. */
export const version: JsonObject = {
  major: '1',
  minor: '36',
  emulationMajor: '1',
  emulationMinor: '36',
  minCompatibilityMajor: '1',
  minCompatibilityMinor: '35',
  gitVersion: 'v1.36.3+fairlead-lab',
  gitCommit: '',
  gitTreeState: '',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: '',
  platform: 'linux/amd64',
};

interface Subresource {
  readonly name: string;
  readonly kind: string;
  readonly verbs: string[];
}

function subresources(r: Resource): Subresource[] {
  const found: Subresource[] = [];
  if (r.storage === 'pods') found.push({ name: 'binding', kind: 'Binding', verbs: ['create'] });
  if (r.status) found.push({ name: 'status', kind: r.kind, verbs: ['get', 'patch', 'update'] });
  return found;
}

const verbsOf = (r: Resource): string[] => (r.virtual ? ['create'] : verbs);

function legacyResource(r: Resource): JsonObject[] {
  const own: JsonObject = {
    name: r.plural,
    singularName: r.singular,
    namespaced: r.namespaced,
    kind: r.kind,
    verbs: verbsOf(r),
    ...(r.shortNames.length > 0 ? { shortNames: [...r.shortNames] } : {}),
    ...(r.categories.length > 0 ? { categories: [...r.categories] } : {}),
  };
  const more = subresources(r).map((s) => ({
    name: `${r.plural}/${s.name}`,
    singularName: '',
    namespaced: r.namespaced,
    kind: s.kind,
    verbs: s.verbs,
  }));
  return [own, ...more];
}

/** `/api/v1` and `/apis/GROUP/VERSION`. */
export function resourceList(resources: Resources, groupVersion: string): JsonObject | undefined {
  const found = resources.all().filter((r) => apiVersion(r) === groupVersion);
  if (found.length === 0) return undefined;
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion,
    resources: found.flatMap(legacyResource),
  };
}

function group(name: string, versions: readonly string[]): JsonObject {
  const listed = versions.map((v) => ({ groupVersion: `${name}/${v}`, version: v }));
  return { name, versions: listed, preferredVersion: listed[0] ?? {} };
}

/** `/apis`. */
export function groupList(resources: Resources): JsonObject {
  const groups = [...resources.groups()].filter(([name]) => name !== '').map(([name, v]) => group(name, v));
  return { kind: 'APIGroupList', apiVersion: 'v1', groups };
}

/** `/apis/GROUP`. */
export function oneGroup(resources: Resources, name: string): JsonObject | undefined {
  const versions = resources.groups().get(name);
  return versions ? { kind: 'APIGroup', apiVersion: 'v1', ...group(name, versions) } : undefined;
}

export const coreVersions: JsonObject = {
  kind: 'APIVersions',
  versions: ['v1'],
  serverAddressByClientCIDRs: [],
};

/** Aggregated discovery (KEP-3352) of `/api` (the core group) or `/apis` (all others): one request instead of one a group. */
export function aggregated(resources: Resources, core: boolean, discoveryVersion: string): JsonObject {
  const items = [...resources.groups()]
    .filter(([name]) => (name === '') === core)
    .map(([name, versions]) => ({
      metadata: name === '' ? {} : { name },
      versions: versions.map((v) => ({
        version: v,
        resources: resources
          .all()
          .filter((r) => r.group === name && r.version === v)
          .map(aggregatedResource),
        freshness: 'Current',
      })),
    }));
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${discoveryVersion}`,
    metadata: {},
    items,
  };
}

function aggregatedResource(r: Resource): JsonObject {
  const kind = (name: string): JsonObject => ({ group: r.group, version: r.version, kind: name });
  const more = subresources(r).map((s) => ({
    subresource: s.name,
    responseKind: kind(s.kind),
    verbs: s.verbs,
  }));
  return {
    resource: r.plural,
    responseKind: kind(r.kind),
    scope: r.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: r.singular,
    verbs: verbsOf(r),
    ...(r.shortNames.length > 0 ? { shortNames: [...r.shortNames] } : {}),
    ...(r.categories.length > 0 ? { categories: [...r.categories] } : {}),
    ...(more.length > 0 ? { subresources: more } : {}),
  };
}
