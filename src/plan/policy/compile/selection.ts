import type { Config } from '../../../model/cluster/config.ts';
import type { ClusterNetworkPolicy, Direction } from '../../../model/cluster/policy.ts';
import type { Selection } from '../compiled.ts';
import { type ClusterSubject, type NetworkSubject, type Subject, speaks } from './subject.ts';

/** What one namespace adds to the Selections of its pods. */
export interface Circumstances {
  /** The Namespace is in audit mode. */
  readonly audit: boolean;
  /** Whether it has any NetworkPolicy, of whatever direction. */
  readonly policies: boolean;
  readonly settings: Config['policy'] | undefined;
}

/** Of those that select a pod, the ones that say something about one direction; `undefined` when none does. */
export function selectionOf(
  direction: Direction,
  namespace: string,
  subjects: readonly Subject[],
  { audit, policies, settings }: Circumstances,
): Selection | undefined {
  const speaking = subjects.filter((subject) => speaks(subject, direction));
  const network = speaking.filter((one): one is NetworkSubject => one.kind === 'network').sort(byName);
  const cluster = speaking.filter((one): one is ClusterSubject => one.kind === 'cluster').sort(byPriority);
  const names = (tier: ClusterNetworkPolicy['tier']) =>
    cluster.filter(({ policy }) => policy.tier === tier).map(({ name }) => name);
  const defaultDeny = !policies && deniesByDefault(settings, direction, namespace);
  const decided = network.length > 0 || defaultDeny;
  const selection: Selection = {
    direction,
    admin: names('Admin'),
    policies: network.map(({ name }) => name),
    defaultDeny,
    enforced: !decided || (!audit && (defaultDeny || network.some(({ policy }) => !policy.audit))),
    // NetworkPolicy has the last word on what it selects.
    baseline: decided ? [] : names('Baseline'),
  };
  return selection.admin.length + selection.baseline.length === 0 && !decided ? undefined : selection;
}

/** Unique and readable: it names a unit of the planner. */
export function selectionId({
  direction,
  admin,
  policies,
  defaultDeny,
  enforced,
  baseline,
}: Selection): string {
  const mode = `${defaultDeny ? ' default-deny' : ''}${enforced ? '' : ' audit'}`;
  return `${direction}${mode} ${admin.join(',')}|${policies.join(',')}|${baseline.join(',')}`;
}

/** ClusterNetworkPolicies that Selections have in common, in order. */
export interface Tier {
  readonly tier: 'admin' | 'baseline';
  readonly direction: Direction;
  readonly policies: readonly string[];
}

export function tiersOf({ direction, admin, baseline }: Selection): Tier[] {
  const tiers: Tier[] = [
    { tier: 'admin', direction, policies: admin },
    { tier: 'baseline', direction, policies: baseline },
  ];
  return tiers.filter(({ policies }) => policies.length > 0);
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

const byName = (a: Subject, b: Subject): number => (a.name < b.name ? -1 : 1);
const byPriority = (a: ClusterSubject, b: ClusterSubject): number =>
  a.policy.priority - b.policy.priority || byName(a, b);
