import { FairleadError } from '../../model/errors.ts';
import type { GivenPolicies } from '../../plan/policy/preview/preview.ts';
import { clusterNetworkPolicies } from '../../sources/kube/clusternetworkpolicies.ts';
import { Interner } from '../../sources/kube/interner.ts';
import { networkPolicies } from '../../sources/kube/networkpolicies.ts';
import { array, type Raw, record, text } from '../../sources/kube/raw.ts';

/** One object of the Kubernetes API as somebody wrote it, and where: `policies.yaml line 12`. */
export interface Manifest {
  readonly where: string;
  readonly raw: Raw;
}

/** The objects of a YAML or JSON text, of several documents or of a List. Throws `bad-manifest` with all that cannot be read. */
export async function parseManifests(content: string, file: string): Promise<Manifest[]> {
  const { LineCounter, parseAllDocuments } = await import('yaml');
  const lines = new LineCounter();
  const documents = [...parseAllDocuments(content, { lineCounter: lines, prettyErrors: false })];
  const lineOf = (offset: number): string => `${file} line ${lines.linePos(offset).line}`;
  const errors = documents.flatMap((document) => document.errors);
  if (errors.length > 0) throw bad(errors.map(({ pos, message }) => `${lineOf(pos[0])}: ${message}`));
  return documents.flatMap((document) => {
    const value: unknown = document.toJS();
    if (value === null || value === undefined) return [];
    const where = lineOf(document.contents?.range?.[0] ?? 0);
    if (typeof value !== 'object' || Array.isArray(value))
      throw bad([`${where}: is no object of the Kubernetes API (it has no kind)`]);
    const raw = record(value);
    if (text(raw.kind) !== 'List') return [{ where, raw }];
    return array(raw.items).map((item, i) => ({ where: `${where} items[${i}]`, raw: record(item) }));
  });
}

const VERSIONS: Readonly<Record<string, string>> = {
  NetworkPolicy: 'networking.k8s.io/v1',
  ClusterNetworkPolicy: 'policy.networking.k8s.io/v1alpha2',
};

export const isPolicy = ({ raw }: Manifest): boolean => Object.hasOwn(VERSIONS, text(raw.kind));

/** `NetworkPolicy x/a`, as far as it is written. */
export function titleOf({ raw }: Manifest): string {
  const { name, namespace } = record(raw.metadata);
  const kind = text(raw.kind) === '' ? 'an object without kind' : text(raw.kind);
  return `${kind} ${text(namespace) === '' ? '' : `${text(namespace)}/`}${text(name)}`.trimEnd();
}

/** Policies among the objects, in the agent's words. Throws `bad-manifest` that names each file, object and field at fault. */
export function policiesIn(manifests: readonly Manifest[]): GivenPolicies {
  const shared = new Interner();
  const faults: string[] = [];
  const found: { networkPolicies: GivenPolicies['networkPolicies'][number][] } & {
    clusterNetworkPolicies: GivenPolicies['clusterNetworkPolicies'][number][];
  } = { networkPolicies: [], clusterNetworkPolicies: [] };
  for (const manifest of manifests.filter(isPolicy)) {
    const fault = (words: string) => faults.push(`${manifest.where}: ${titleOf(manifest)}: ${words}`);
    const kind = text(manifest.raw.kind);
    const { apiVersion } = manifest.raw;
    if (apiVersion !== VERSIONS[kind])
      fault(`apiVersion: ${text(apiVersion) || 'none'} is not ${VERSIONS[kind]}`);
    if (text(record(manifest.raw.metadata).name) === '') fault('metadata.name: is missing');
    if (kind === 'NetworkPolicy') {
      const policy = networkPolicies.project(withNamespace(manifest.raw), shared);
      policy.problems.forEach(fault);
      found.networkPolicies.push(policy);
    } else {
      const policy = clusterNetworkPolicies.project(manifest.raw, shared);
      policy.problems.forEach(fault);
      found.clusterNetworkPolicies.push(policy);
    }
  }
  if (faults.length > 0) throw bad(faults);
  return found;
}

/** An object without a namespace goes where kubectl would put it. */
export function withNamespace(raw: Raw): Raw {
  const meta = record(raw.metadata);
  return text(meta.namespace) === '' ? { ...raw, metadata: { ...meta, namespace: 'default' } } : raw;
}

const bad = (lines: readonly string[]): FairleadError => new FairleadError('bad-manifest', lines.join('\n'));
