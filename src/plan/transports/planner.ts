import type { Node } from '../../model/cluster/node.ts';
import { equal } from '../../model/equal.ts';
import type { Problem } from '../../model/problem.ts';
import type { World, WorldChange } from '../../model/world.ts';
import { cidrConflict, identityConflict } from '../nodes/claims.ts';
import { type NodeIndex, nodeIndex, noteNode } from '../nodes/node-index.ts';
import { touchesPodLinks } from '../nodes/pod-links.ts';
import { nothing, type Planner, type UnitPlan } from '../planner.ts';
import { mtuProblems } from './mtu.ts';
import { carriersInUse } from './pairs.ts';
import { planPeer } from './peer-plan.ts';
import { provision } from './provision.ts';
import { TRANSPORTS, unbuilt } from './registry.ts';
import { onlyListens, type Self, sameSender, selfOf, touchesUnderlay } from './underlay.ts';

/** `self` = devices of this node; `node/NAME` = the way to another node. */
type Unit = 'self' | `node/${string}`;

/** How packets for pods of other nodes leave this one. See README.md. */
export const transportsPlanner: Planner<Unit> = {
  name: 'transports',
  reads: ['config', 'kernel', 'links', 'nodes', 'cni'],
  writes: ['link', 'address', 'sysctl', 'neighbor', 'fdb', 'nexthop', 'route', 'nft'],
  units: everything,
  *affected(change, world) {
    if (change.source === 'nodes')
      yield* affectedByNode(change.key, change.before, change.after, world, change);
    else if (change.source === 'config' || change.source === 'kernel') yield* everything(world);
    else if (change.source === 'links' && touchesUnderlay(change, world) && !onlyListens(change))
      yield* everything(world);
    // From which links pods' packets come, which must not count as another node's.
    else if (change.source === 'cni' || (change.source === 'links' && touchesPodLinks(change))) yield 'self';
  },
  plan(unit, world) {
    const self = selfOf(world);
    if (!self?.config.router.enabled) return nothing;
    const index = nodeIndex(world);
    if (unit === 'self') return planSelf(self, index);
    const peer = index.get(unit.slice('node/'.length));
    if (!peer) return nothing;
    const plan = planPeer(self, index, peer);
    const admitted = TRANSPORTS.flatMap((transport) => transport.admit?.(self, peer) ?? []);
    return { ...plan, rows: [...plan.rows, ...admitted] };
  },
};

function* everything(world: World): Iterable<Unit> {
  yield 'self';
  for (const name of world.nodes.objects.keys()) yield `node/${name}`;
}

function* affectedByNode(
  name: string,
  before: Node | undefined,
  after: Node | undefined,
  world: World,
  change: Extract<WorldChange, { source: 'nodes' }>,
): Iterable<Unit> {
  const index = noteNode(change, world);
  const own = name === world.config.objects.get('config')?.nodeName;
  if (own && !sameSender(before, after) && !onlyConfirms(before, after, world, index)) {
    // What is gone already still has rows.
    yield `node/${name}`;
    yield* everything(world);
    return;
  }
  // What the others use decides which devices there are; these few rows are planned again each time.
  yield 'self';
  yield `node/${name}`;
  for (const node of [before, after]) {
    if (node) for (const other of index.touching(node)) yield `node/${other}`;
  }
}

/**
 * Whether our first word leaves every way as it is, which is what it mostly does: all that we send goes by the one carrier that it names, and nobody says
 * that he does not accept that.
 */
function onlyConfirms(
  before: Node | undefined,
  after: Node | undefined,
  world: World,
  index: NodeIndex,
): boolean {
  if (!before || before.facts || !after?.facts || !sameSender({ ...before, facts: after.facts }, after))
    return false;
  const { uses, leaves = [] } = after.facts;
  const [carrier] = uses;
  if (carrier === undefined || uses.length > 1 || leaves.length > 0) return false;
  const self = selfOf(world);
  if (!self || !equal(carriersInUse(self, index), uses)) return false;
  for (const { facts } of index.nodes()) if (facts && !facts.accepts.includes(carrier)) return false;
  return true;
}

function planSelf(self: Self, index: NodeIndex): UnitPlan {
  const node = index.get(self.name);
  const plan = provision(self, index);
  const problems = [...standingProblems(self), ...(node ? ownConflicts(index, node) : []), ...plan.problems];
  return { rows: plan.rows, problems };
}

/** Those that no other Node has a part in. */
function standingProblems(self: Self): readonly Problem[] {
  let problems = STANDING.get(self);
  if (!problems) {
    const setting = unbuilt(self.config);
    problems = [...self.problems, ...mtuProblems(self), ...(setting ? [setting] : [])];
    STANDING.set(self, problems);
  }
  return problems;
}

const STANDING = new WeakMap<Self, readonly Problem[]>();

function ownConflicts(index: NodeIndex, node: Node): Problem[] {
  const found = [
    identityConflict(index, node),
    ...node.podCidrs.map((cidr) => cidrConflict(index, node, cidr)),
  ];
  return found.filter((problem) => problem !== undefined);
}
