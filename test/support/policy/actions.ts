/** What a case does to its cluster, one entry of `actions` each. One that makes no sense throws: a case that is not understood must not pass. */
import { podOf } from './cluster-file.ts';
import { CaseError, type Field } from './field.ts';
import type { CasePod, Change, ClusterState, Policy } from './state.ts';

export interface Action {
  readonly name: string;
  readonly body: unknown;
  /** A pod that it creates. */
  readonly pod?: CasePod;
  readonly applyTo: (state: ClusterState) => readonly Change[];
}

/** `{"delete-pod": {"namespace": "x", "name": "a"}}`. */
export function actionOf(entry: Field): Action {
  const [only, ...others] = entry.entries();
  if (!only || others.length > 0) return entry.fail('must be an object with one action');
  const [name, body] = only;
  const read = ACTIONS[name];
  if (!read) return body.fail(`unknown action; known are ${Object.keys(ACTIONS).join(', ')}`);
  return {
    name,
    body: body.value,
    ...(name === 'create-pod' ? { pod: podOf(body) } : {}),
    applyTo: inPlace(body, read(body)),
  };
}

type Apply = Action['applyTo'];

const ACTIONS: Readonly<Record<string, (body: Field) => Apply>> = {
  'create-policy': (body) => {
    const policy = policyOf(body);
    return (state) => [state.createPolicy(policy)];
  },
  'update-policy': (body) => {
    const policy = policyOf(body);
    return (state) => [state.updatePolicy(policy)];
  },
  'delete-policy': (body) => {
    const kind = body.at('kind').absent ? 'NetworkPolicy' : kindOf(body);
    const metadata = kind === 'NetworkPolicy' ? namesOf(body) : { name: body.at('name').name() };
    return (state) => [state.deletePolicy({ kind, metadata })];
  },
  'create-namespace': (body) => {
    const [name, labels] = [body.at('name').name(), body.at('labels').textsByName()];
    return (state) => [state.createNamespace(name, labels)];
  },
  'set-namespace-labels': (body) => {
    const [name, labels] = [body.at('name').name(), body.at('labels').textsByName()];
    return (state) => [state.labelNamespace(name, labels)];
  },
  'delete-namespace': (body) => {
    const name = body.at('name').name();
    return (state) => state.deleteNamespace(name);
  },
  'create-pod': (body) => {
    const pod = podOf(body);
    return (state) => [state.createPod(pod)];
  },
  'set-pod-labels': (body) => {
    const [pod, labels] = [namesOf(body), body.at('labels').textsByName()];
    return (state) => [state.labelPod(pod, labels)];
  },
  'delete-pod': (body) => {
    const pod = namesOf(body);
    return (state) => [state.deletePod(pod)];
  },
};

/** A contradiction of the state's is told with the action's place in the file. */
function inPlace(body: Field, apply: Apply): Apply {
  return (state) => {
    try {
      return apply(state);
    } catch (error) {
      if (error instanceof CaseError) throw new CaseError(`${body.path}: ${error.message}`);
      throw error;
    }
  };
}

const API_VERSIONS = {
  NetworkPolicy: 'networking.k8s.io/v1',
  ClusterNetworkPolicy: 'policy.networking.k8s.io/v1alpha2',
} as const;

/** The whole object, unread but for its name. */
function policyOf(body: Field): Policy {
  const kind = kindOf(body);
  const metadata = body.at('metadata');
  metadata.at('name').name();
  if (kind === 'NetworkPolicy') metadata.at('namespace').name();
  if (body.at('spec').absent) return body.at('spec').fail('a policy has a spec');
  return { apiVersion: API_VERSIONS[kind], ...(body.value as Omit<Policy, 'apiVersion'>) };
}

const kindOf = (body: Field): 'NetworkPolicy' | 'ClusterNetworkPolicy' =>
  body.at('kind').oneOf('NetworkPolicy', 'ClusterNetworkPolicy');

const namesOf = (body: Field): { namespace: string; name: string } => ({
  namespace: body.at('namespace').name(),
  name: body.at('name').name(),
});
