import type { PolicyPreview, PreviewChange, PreviewedPolicy } from '../../../model/api.ts';
import type { Pod } from '../../../model/cluster/pod.ts';
import type { ClusterNetworkPolicy, Direction, NetworkPolicy } from '../../../model/cluster/policy.ts';
import { DIRECTIONS } from '../../../model/cluster/policy.ts';
import { equal } from '../../../model/equal.ts';
import { FAMILIES, type Family, familyOf, type Ip } from '../../../model/net/ip.ts';
import type { Table, World } from '../../../model/world.ts';
import { decide } from '../decide/decide.ts';
import { type Selected, selectedFor } from '../decide/selected.ts';
import type { Decision, Verdict } from '../flow.ts';
import { nodeEnds, outsideEnds, type PreviewEnd, podEnds } from './ends.ts';
import { grouped, type Judged } from './group.ts';
import { trafficOf } from './traffic.ts';
import { type AnyPolicy, type Words, wordsOf } from './words.ts';

export interface GivenPolicies {
  readonly networkPolicies: readonly NetworkPolicy[];
  readonly clusterNetworkPolicies: readonly ClusterNetworkPolicy[];
  /** Policies of the World that would be taken away. */
  readonly deleted?: readonly AnyPolicy[];
}

/** More groups of changes than these are counted, not listed. */
const LISTED = 1_000;
/** More kinds of traffic than these are not judged: it would take minutes, and nobody would read it. */
const JUDGED = 200_000;
/** Verdicts between two chances for others to run. */
const SLICE = 500;

/**
 * What would change if these policies were created, replaced those of their names, or were deleted: traffic that opens, closes, or would be denied but
 * for audit mode. Pods that no policy tells apart are judged once. The tables of the World are copied, so it may change meanwhile;
 * `yield` is where others may run.
 */
export function* preview(live: World, given: GivenPolicies, most = JUDGED): Generator<void, PolicyPreview> {
  const before = copyOf(live);
  const after = withPolicies(before, given);
  const changed = changedPolicies(before, given);
  const all = wordsOf([before, after].flatMap((world) => policiesOf(world)));
  const pods = podEnds(after, all);
  const asked = rememberAsked(before, after);
  const isTouched = (end: PreviewEnd, direction: Direction) =>
    asked(end, direction).some((policy) => changed.has(nameOf(policy))) || touchesDefault(after, end, given);
  const judged: Judged[] = [];
  const seen = new Set<string>();
  let count = 0;
  for (const end of pods) {
    for (const direction of DIRECTIONS.filter((one) => isTouched(end, one))) {
      const words = wordsOf(asked(end, direction));
      for (const other of [...pods, ...nodeEnds(after, words), ...outsideEnds(after, words)]) {
        const [from, to] = direction === 'egress' ? [end, other] : [other, end];
        const pair = `${from.label}\n${to.label}`;
        if (count >= most || seen.has(pair) || (from === to && from.members.length < 2)) continue;
        seen.add(pair);
        const { ports } = wordsOf([...asked(from, 'egress'), ...asked(to, 'ingress')]);
        for (const traffic of trafficOf(ports, to.pod)) {
          for (const family of familiesOf(from, to, all)) {
            judged.push(...judgeOne({ before, after }, from, to, family, traffic));
            if (++count % SLICE === 0) yield;
          }
        }
      }
    }
  }
  const changes = grouped(judged);
  return {
    policies: previewed(before, given, pods, asked),
    changes: changes.slice(0, LISTED),
    omitted: Math.max(0, changes.length - LISTED),
    judged: count,
    complete: count < most,
  };
}

const copyTable = <T>(table: Table<T>): Table<T> => ({ ...table, objects: new Map(table.objects) });

/** As if policies were enforced, though the setting may say that they are not. */
function enforcing(table: World['config']): World['config'] {
  const enforced = [...table.objects].map(
    ([key, config]) => [key, { ...config, policy: { ...config.policy, enabled: true } }] as const,
  );
  return { ...table, objects: new Map(enforced) };
}

function copyOf(world: World): World {
  return {
    ...world,
    config: enforcing(world.config),
    links: copyTable(world.links),
    nodes: copyTable(world.nodes),
    pods: copyTable(world.pods),
    peers: copyTable(world.peers),
    births: copyTable(world.births),
    namespaces: copyTable(world.namespaces),
    networkPolicies: copyTable(world.networkPolicies),
    clusterNetworkPolicies: copyTable(world.clusterNetworkPolicies),
  };
}

function withPolicies(world: World, given: GivenPolicies): World {
  const networkPolicies = new Map(world.networkPolicies.objects);
  const clusterNetworkPolicies = new Map(world.clusterNetworkPolicies.objects);
  for (const policy of given.deleted ?? []) {
    if ('key' in policy) networkPolicies.delete(policy.key);
    else clusterNetworkPolicies.delete(policy.name);
  }
  for (const policy of given.networkPolicies) networkPolicies.set(policy.key, policy);
  for (const policy of given.clusterNetworkPolicies) clusterNetworkPolicies.set(policy.name, policy);
  return {
    ...world,
    networkPolicies: { ...world.networkPolicies, objects: networkPolicies },
    clusterNetworkPolicies: { ...world.clusterNetworkPolicies, objects: clusterNetworkPolicies },
  };
}

const policiesOf = (world: World): AnyPolicy[] => [
  ...world.networkPolicies.objects.values(),
  ...world.clusterNetworkPolicies.objects.values(),
];

export const nameOf = (policy: AnyPolicy): string =>
  'key' in policy ? `NetworkPolicy ${policy.key}` : `ClusterNetworkPolicy ${policy.name}`;

function changedPolicies(before: World, given: GivenPolicies): ReadonlySet<string> {
  const put = [...given.networkPolicies, ...given.clusterNetworkPolicies];
  const changed = put.filter((policy) => actionOf(before, policy) !== 'unchanged');
  return new Set([...changed, ...(given.deleted ?? [])].map(nameOf));
}

function actionOf(before: World, policy: AnyPolicy): PreviewedPolicy['action'] {
  const present =
    'key' in policy
      ? before.networkPolicies.objects.get(policy.key)
      : before.clusterNetworkPolicies.objects.get(policy.name);
  if (!present) return 'create';
  return equal({ ...present, uid: '' }, { ...policy, uid: '' }) ? 'unchanged' : 'replace';
}

type Asked = (end: PreviewEnd, direction: Direction) => readonly AnyPolicy[];

/** All that has a say about these pods in this direction, before or after. */
function rememberAsked(before: World, after: World): Asked {
  const known = { ingress: new Map<Pod, AnyPolicy[]>(), egress: new Map<Pod, AnyPolicy[]>() };
  const of = ({ admin, policies, baseline }: Selected) => [...admin, ...policies, ...baseline];
  return ({ pod }, direction) => {
    if (!pod) return [];
    const found =
      known[direction].get(pod) ?? [before, after].flatMap((world) => of(selectedFor(world, pod)[direction]));
    known[direction].set(pod, found);
    return found;
  };
}

/** The first NetworkPolicy of a namespace ends the default deny of all its pods, and it begins again without the last one. */
function touchesDefault(world: World, { pod }: PreviewEnd, given: GivenPolicies): boolean {
  const setting = world.config.objects.get('config')?.policy.defaultDeny ?? 'none';
  const touched = [...given.networkPolicies, ...(given.deleted ?? [])];
  return (
    setting !== 'none' &&
    touched.some((policy) => 'namespace' in policy && policy.namespace === pod?.namespace)
  );
}

/** Both only where prefixes could tell them apart. */
function familiesOf(from: PreviewEnd, to: PreviewEnd, { prefixes }: Words): Family[] {
  const common = FAMILIES.filter((family) => addressOf(from, 0, family) && addressOf(to, 0, family));
  return prefixes.size === 0 ? common.slice(0, 1) : common;
}

const addressOf = ({ members }: PreviewEnd, member: number, family: Family): Ip | undefined =>
  members[member]?.find((address) => familyOf(address) === family);

interface Worlds {
  readonly before: World;
  readonly after: World;
}

function judgeOne(
  world: Worlds,
  from: PreviewEnd,
  to: PreviewEnd,
  family: Family,
  traffic: ReturnType<typeof trafficOf>[number],
): Judged[] {
  const source = addressOf(from, 0, family);
  const target = addressOf(to, from === to ? 1 : 0, family);
  if (source === undefined || target === undefined) return [];
  const { label, ...rest } = traffic;
  const flow = { from: source, to: target, ...rest };
  const [old, now] = [decide(world.before, flow), decide(world.after, flow)];
  const kind = kindOf(stateOf(old), stateOf(now));
  const judged = { from: from.label, to: to.label, family, traffic: label };
  return [{ ...judged, ...(kind && { change: { kind, because: reasonOf(kind, old, now) } }) }];
}

type State = 'open' | 'audited' | 'closed';

function stateOf({ allowed, egress, ingress }: Decision): State {
  if (!allowed) return 'closed';
  return egress?.audit || ingress?.audit ? 'audited' : 'open';
}

function kindOf(before: State, after: State): PreviewChange['kind'] | undefined {
  if (before !== 'closed' && after === 'closed') return 'closes';
  if (before === 'closed' && after !== 'closed') return 'opens';
  return before === 'open' && after === 'audited' ? 'audits' : undefined;
}

function reasonOf(kind: PreviewChange['kind'], old: Decision, now: Decision): string {
  const both = (decision: Decision) => [decision.egress, decision.ingress];
  if (kind !== 'opens') {
    const deciding = both(now).filter(
      (verdict) => verdict && (kind === 'closes' ? !verdict.allowed : verdict.audit),
    );
    return deciding.flatMap((verdict) => (verdict ? [shortText(verdict)] : [])).join('; ');
  }
  const opened = both(now).filter((_, i) => both(old)[i]?.allowed === false);
  return opened.flatMap((verdict) => (verdict ? [shortText(verdict)] : [])).join('; ');
}

/** Without the names of the two ends, which stand beside it. */
function shortText({ by, allowed, audit, direction, policies, rule, text }: Verdict): string {
  if (rule !== undefined) return text;
  if (by === 'default') return `nothing selects it for ${direction} any more`;
  if (by === 'network-policy' && (!allowed || audit))
    return `no ${direction} rule of ${policies.join(', ')} allows it${audit ? ' (audit)' : ''}`;
  return text;
}

function previewed(
  before: World,
  given: GivenPolicies,
  pods: readonly PreviewEnd[],
  asked: Asked,
): PreviewedPolicy[] {
  const about = (policy: AnyPolicy, action: PreviewedPolicy['action']): PreviewedPolicy => {
    const selects = pods.filter((end) =>
      DIRECTIONS.some((direction) => asked(end, direction).includes(policy)),
    );
    return { name: nameOf(policy), action, selects: selects.map(({ label }) => label) };
  };
  const put = [...given.networkPolicies, ...given.clusterNetworkPolicies];
  return [
    ...put.map((policy) => about(policy, actionOf(before, policy))),
    ...(given.deleted ?? []).map((policy) => about(policy, 'delete')),
  ];
}
