import type { Config } from '../../model/cluster/config.ts';
import type { Pod } from '../../model/cluster/pod.ts';
import type { Ip } from '../../model/net/ip.ts';
import type { Problem } from '../../model/problem.ts';
import type { Row } from '../../model/rows/row.ts';
import type { World } from '../../model/world.ts';
import { nodeAddresses } from '../nodes/addresses.ts';
import { placeOf, podLinks, touchesPlace, touchesPodLinks } from '../nodes/pod-links.ts';
import { nothing, type Planner, type UnitPlan } from '../planner.ts';
import { portNumbers } from './compile/wanted-sets.ts';
import { notePolicy, type PolicyIndex, policyIndex, unitOf } from './policy-index.ts';
import {
  addressElement,
  addressSetRows,
  baseRows,
  blockSetRows,
  dispatchRows,
  policyRows,
  portElement,
  portSetRows,
  selectionRows,
  tierRows,
} from './render/render.ts';

import { closedWhereUnsound } from './unsound.ts';

/**
 * `base` = what is there once; `policy/NAMESPACE/NAME` = chains of a NetworkPolicy, `cluster-policy/NAME` = what is wrong with that one (also for those that select nobody here);
 * `set/ID` = a set, without elements unless it is of blocks; `pod/NAMESPACE/NAME`, `node/NAME` = its elements of all sets; `dispatch/NAMESPACE/NAME` = which chains
 * judge a pod of this node; `chain/SELECTION`, `tier/…` = such chains, shared by the pods to which the same policies apply.
 *
 * There are no units for what this node's pods do not need. One engine follows one World: `affected` hands each touched unit out once.
 */
type Unit = string;

/** Which packets of pods pass. See README.md. */
export const policyPlanner: Planner<Unit> = {
  name: 'policy',
  reads: [
    'config',
    'kernel',
    'cni',
    'links',
    'nodes',
    'pods',
    'namespaces',
    'peers',
    'births',
    'networkPolicies',
    'clusterNetworkPolicies',
  ],
  // A connection is ended for what policies say: that waits for their sources, too.
  writes: ['nft', 'conntrack'],
  units: everything,
  *affected(change, world) {
    const index = notePolicy(change, world);
    yield* index.take();
    if (change.source === 'kernel') yield* everything(world);
    if (change.source === 'config') yield* configured(change.before, change.after, index, world);
    if (change.source === 'cni') yield 'base';
    if (change.source === 'links' && touchesPodLinks(change)) yield 'base';
    if (change.source !== 'nodes') return;
    yield `node/${change.key}`;
    if (touchesPlace(change, world)) yield 'base';
  },
  plan(unit, world) {
    const config = world.config.objects.get('config');
    if (!config?.policy.enabled) return nothing;
    const missing = world.kernel.objects.get('kernel')?.missing ?? {};
    if (missing.nftables !== undefined) return unit === 'base' ? unenforced(missing.nftables) : nothing;
    if (unit === 'base') {
      const place = placeOf(world.nodes.objects.get(config.nodeName));
      return baseRows({ config, missing, pods: podLinks(world, place), ...place });
    }
    const slash = unit.indexOf('/');
    const plan = PLANS[unit.slice(0, slash)];
    return plan?.(unit.slice(slash + 1), policyIndex(world), config, world) ?? nothing;
  },
};

type Plan = (name: string, index: PolicyIndex, config: Config, world: World) => UnitPlan;

const PLANS: Readonly<Record<string, Plan>> = {
  policy: planNetworkPolicy,
  'cluster-policy': planClusterPolicy,
  set: planSet,
  chain: planChain,
  tier: planTier,
  pod: planPod,
  dispatch: planDispatch,
  node: planNode,
};

function* everything(world: World): Iterable<Unit> {
  const index = policyIndex(world);
  yield 'base';
  for (const { kind, name } of index.usedPolicies()) yield unitOf(kind, name);
  yield* index.faultyPolicies();
  for (const id of index.sets.ids()) yield `set/${id}`;
  for (const id of index.locals.chains()) yield `chain/${id}`;
  for (const id of index.locals.tiers()) yield `tier/${id}`;
  for (const key of index.locals.keys()) yield `dispatch/${key}`;
  for (const table of ['pods', 'peers'] as const) for (const key of index.podKeys(table)) yield `pod/${key}`;
  for (const name of world.nodes.objects.keys()) yield `node/${name}`;
}

/** What settings are for. What they say of pods, the index has told. */
function configured(
  before: Config | undefined,
  after: Config | undefined,
  index: PolicyIndex,
  world: World,
): Iterable<Unit> {
  if (before?.policy.enabled !== after?.policy.enabled || before?.nodeName !== after?.nodeName)
    return everything(world);
  return ['base', ...[...index.locals.tiers()].map((id) => `tier/${id}`)];
}

function unenforced(reason: string): UnitPlan {
  return {
    rows: [],
    problems: [
      {
        object: 'setting policy.enabled',
        message: `network policies are not enforced: ${reason}`,
        hint: 'load nf_tables, or set policy.enabled to false',
      },
    ],
  };
}

function planNetworkPolicy(name: string, index: PolicyIndex, config: Config): UnitPlan {
  const { ingress, egress } = index.used('network', name)?.compiled ?? {};
  const { rows, problems = [] } = closedWhereUnsound(
    [ingress, egress].filter((policy) => policy !== undefined),
    (policies) => policies.flatMap((policy) => policyRows(policy, config.policy)),
  );
  const told = problemsOf('network', name, index, (problem) => `${problem}; ${CLOSED}`);
  return { rows, problems: [...told, ...problems] };
}

const CLOSED = 'it is closed: what cannot be understood allows nothing';

/** Its problems say themselves what becomes of each rule. */
function planClusterPolicy(name: string, index: PolicyIndex): UnitPlan {
  return { rows: [], problems: problemsOf('cluster', name, index, (problem) => problem) };
}

/** Also of a policy that selects nobody here: it may select nobody anywhere, because of the problem. */
function problemsOf(
  kind: 'network' | 'cluster',
  name: string,
  index: PolicyIndex,
  words: (problem: string) => string,
): readonly Problem[] {
  const here = index.used(kind, name) !== undefined;
  return index.problems(kind, name).map((problem) => ({
    object: `${kind === 'network' ? 'NetworkPolicy' : 'ClusterNetworkPolicy'} ${name}`,
    message: here ? words(problem) : `${problem} (it selects no pod of this node)`,
    everywhere: words(problem),
    hint: 'correct the field and apply the policy again',
  }));
}

function planSet(id: string, index: PolicyIndex): UnitPlan {
  const wanted = index.sets.get(id);
  if (!wanted) return nothing;
  switch (wanted.kind) {
    case 'ports':
      return { rows: portSetRows(wanted.set) };
    case 'blocks':
      return { rows: blockSetRows(wanted.set) };
    default:
      return { rows: addressSetRows(wanted.set) };
  }
}

function planChain(id: string, index: PolicyIndex): UnitPlan {
  const selection = index.locals.chain(id);
  return selection ? { rows: selectionRows(selection) } : nothing;
}

function planTier(id: string, index: PolicyIndex, config: Config): UnitPlan {
  const found = index.locals.tier(id);
  if (!found) return nothing;
  const { direction, tier } = found;
  const policies = found.policies
    .map((name) => index.used('cluster', name)?.compiled[direction])
    .filter((policy) => policy !== undefined);
  return closedWhereUnsound(policies, (some) => tierRows(direction, tier, some, config.policy));
}

function planPod(key: string, index: PolicyIndex): UnitPlan {
  const rows: Row[] = [];
  const local = index.locals.get(key);
  if (local) addElements(rows, index, local.pod, index.locals.ipsOf(key), true);
  const peer = index.peer(key);
  if (peer) {
    const ips = peer.ips.filter((ip) => !index.locals.isBorn(ip));
    addElements(rows, index, peer, ips, false);
  }
  return { rows };
}

function planDispatch(key: string, index: PolicyIndex): UnitPlan {
  const pod = index.locals.dispatched(key);
  return pod ? { rows: dispatchRows(pod) } : nothing;
}

function addElements(rows: Row[], index: PolicyIndex, pod: Pod, ips: readonly Ip[], here: boolean): void {
  if (ips.length === 0) return;
  const why = `pod ${pod.key}`;
  for (const wanted of index.sets.withPod(pod, here)) {
    for (const ip of ips) {
      if (wanted.kind === 'addresses') rows.push(addressElement(wanted.set, ip, why));
      else {
        for (const port of portNumbers(pod, wanted))
          rows.push(portElement(wanted.set, ip, wanted.protocol, port, why));
      }
    }
  }
}

function planNode(name: string, index: PolicyIndex, _config: Config, world: World): UnitPlan {
  const node = world.nodes.objects.get(name);
  if (!node) return nothing;
  const ips = nodeAddresses(node);
  const rows = index.sets
    .withNode(node)
    .flatMap(({ set }) => [...ips].map((ip) => addressElement(set, ip, `Node ${name}`)));
  return { rows };
}
