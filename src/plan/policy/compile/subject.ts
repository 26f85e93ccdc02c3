import {
  type ClusterNetworkPolicy,
  DIRECTIONS,
  type Direction,
  type NetworkPolicy,
} from '../../../model/cluster/policy.ts';
import type { Selector } from '../../../model/cluster/selector.ts';
import { describe } from '../../../model/errors.ts';
import type { Scope, Selecting } from '../select/matcher.ts';
import {
  type Compiled,
  closedClusterPolicy,
  closedNetworkPolicy,
  compileClusterPolicy,
  compileNetworkPolicy,
} from './compile.ts';

/** A policy of either kind as one that selects pods. What a change of its rules alone replaces is `policy`; otherwise it is a new Subject. */
export type Subject = NetworkSubject | ClusterSubject;

export interface NetworkSubject extends Selecting {
  readonly kind: 'network';
  readonly name: string;
  policy: NetworkPolicy;
}

export interface ClusterSubject extends Selecting {
  readonly kind: 'cluster';
  readonly name: string;
  policy: ClusterNetworkPolicy;
}

export function networkSubject(policy: NetworkPolicy): NetworkSubject {
  return { kind: 'network', name: policy.key, policy, scope: policy.namespace, pods: policy.pods };
}

export function clusterSubject(policy: ClusterNetworkPolicy): ClusterSubject {
  const { namespaces, pods }: { namespaces: Scope; pods: Selector } = policy.subject;
  return { kind: 'cluster', name: policy.name, policy, scope: namespaces, pods };
}

/** Whether both select the same pods for the same directions in the same place among others, so that no pod's Selection differs. */
export function samePlace(a: Subject, b: Subject): boolean {
  return (
    a.kind === b.kind &&
    a.name === b.name &&
    textOf(a.scope) === textOf(b.scope) &&
    a.pods.text === b.pods.text &&
    a.policy.audit === b.policy.audit &&
    DIRECTIONS.every((direction) => speaks(a, direction) === speaks(b, direction)) &&
    (a.kind === 'network' || b.kind === 'network' || sameRank(a.policy, b.policy))
  );
}

/** Whether it says something about a direction. An empty list of a NetworkPolicy allows nothing; one of a ClusterNetworkPolicy says nothing. */
export function speaks(subject: Subject, direction: Direction): boolean {
  return subject.kind === 'network'
    ? subject.policy[direction] !== undefined
    : subject.policy[direction].length > 0;
}

/** What is programmed of a policy, and why it is not what was asked for. */
export interface Outcome {
  readonly compiled: Compiled;
  readonly problems: readonly string[];
}

/** A policy that cannot be compiled is closed, and no other one suffers. */
export function compile(subject: Subject): Outcome {
  const { problems } = subject.policy;
  try {
    return {
      compiled:
        subject.kind === 'network'
          ? compileNetworkPolicy(subject.policy)
          : compileClusterPolicy(subject.policy),
      problems,
    };
  } catch (error) {
    const words = `it could not be compiled: ${describe(error)}`;
    const compiled =
      subject.kind === 'network' ? closedNetworkPolicy(subject.policy) : closedClusterPolicy(subject.policy);
    return { compiled, problems: [...problems, words] };
  }
}

function sameRank(a: ClusterNetworkPolicy, b: ClusterNetworkPolicy): boolean {
  return a.tier === b.tier && a.priority === b.priority;
}

const textOf = (scope: Scope): string => (typeof scope === 'string' ? scope : `{${scope.text}}`);
