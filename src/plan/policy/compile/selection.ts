import type { Config } from '../../../model/cluster/config.ts';
import type { ClusterNetworkPolicy, Direction } from '../../../model/cluster/policy.ts';
import type { Judges, Selection, Tier } from '../compiled.ts';
import { type ClusterSubject, type NetworkSubject, type Subject, speaks } from './subject.ts';

/** What one namespace adds to the Selections of its pods. */
export interface Circumstances {
  /** The Namespace is in audit mode. */
  readonly audit: boolean;
  /** Whether it has any NetworkPolicy, of whatever direction. */
  readonly policies: boolean;
  readonly settings: Config['policy'] | undefined;
}

/** NetworkPolicies that select a pod, sorted by name, and how they decide; `undefined` when they leave a direction to others. */
export function decisionOf(
  direction: Direction,
  namespace: string,
  subjects: readonly NetworkSubject[],
  { audit, policies, settings }: Circumstances,
): Selection | undefined {
  const speaking = subjects.filter((subject) => speaks(subject, direction));
  const defaultDeny = !policies && deniesByDefault(settings, direction, namespace);
  if (speaking.length === 0 && !defaultDeny) return undefined;
  return {
    direction,
    policies: speaking.map(({ name }) => name),
    defaultDeny,
    enforced: !audit && (defaultDeny || speaking.some(({ policy }) => !policy.audit)),
    baseline: [],
  };
}

/** Whether it is NetworkPolicies that decide: they have the last word on what they select. */
export const decides = ({ policies, defaultDeny }: Selection): boolean => policies.length > 0 || defaultDeny;

/** `subjects`: in order of priority. */
export function judgesOf(
  direction: Direction,
  subjects: readonly ClusterSubject[],
  decision: Selection | undefined,
): Judges {
  const names = (tier: ClusterNetworkPolicy['tier']) =>
    subjects.filter((one) => one.policy.tier === tier && speaks(one, direction)).map(({ name }) => name);
  const policies = names('Admin');
  const admin = policies.length > 0 ? ({ tier: 'admin', direction, policies } as const) : undefined;
  if (decision) return { admin, selection: decision };
  const baseline = names('Baseline');
  if (baseline.length === 0) return { admin, selection: undefined };
  return { admin, selection: { direction, policies: [], defaultDeny: false, enforced: true, baseline } };
}

/** Unique and readable: it names a unit of the planner. */
export function selectionId({ direction, policies, defaultDeny, enforced, baseline }: Selection): string {
  const mode = `${defaultDeny ? ' default-deny' : ''}${enforced ? '' : ' audit'}`;
  return `${direction}${mode} ${policies.join(',')}|${baseline.join(',')}`;
}

/** What its chain jumps to. */
export function baselineOf({ direction, baseline }: Selection): Tier | undefined {
  return baseline.length > 0 ? { tier: 'baseline', direction, policies: baseline } : undefined;
}

export const tierId = ({ tier, direction, policies }: Tier): string =>
  `${tier} ${direction} ${policies.join(',')}`;

function deniesByDefault(
  settings: Circumstances['settings'],
  direction: Direction,
  namespace: string,
): boolean {
  if (!settings) return false;
  const { defaultDeny, defaultDenyExcept } = settings;
  return (defaultDeny === 'both' || defaultDeny === direction) && !defaultDenyExcept.includes(namespace);
}

export const byName = (a: Subject, b: Subject): number => (a.name < b.name ? -1 : 1);
export const byPriority = (a: ClusterSubject, b: ClusterSubject): number =>
  a.policy.priority - b.policy.priority || byName(a, b);
