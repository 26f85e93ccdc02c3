import type { Node } from '../../model/cluster/node.ts';
import { equal } from '../../model/equal.ts';
import { type Family, familyOf } from '../../model/net/ip.ts';
import { nftElementKey } from '../../model/rows/nft.ts';
import type { Row, RowOf } from '../../model/rows/row.ts';
import type { World } from '../../model/world.ts';
import { outermost } from '../nft/cidrs.ts';
import { type NodeIndex, nodeIndex, noteNode } from '../nodes/node-index.ts';
import { nothing, type Planner, type UnitPlan } from '../planner.ts';
import { type Self, selfOf } from '../transports/underlay.ts';
import { masqueradeChains, masqueradeSets, podFamilies } from './chains.ts';
import { clampChains, podsAreWide } from './clamp.ts';
import { excludeSet, nodeIpSet, podCidrSet } from './names.ts';

/** `self` = chains and sets; `node/NAME` = what that node adds to the sets. */
type Unit = 'self' | `node/${string}`;

/** How packets of pods leave the cluster, and that they keep their source inside it. See README.md. */
export const egressPlanner: Planner<Unit> = {
  name: 'egress',
  reads: ['config', 'kernel', 'links', 'ports', 'nodes', 'cni'],
  writes: ['nft'],
  units: everything,
  *affected(change, world) {
    if (change.source === 'config' || change.source === 'kernel') yield* everything(world);
    // Which links are narrow, and which pods wide.
    if (change.source === 'links' || change.source === 'ports' || change.source === 'cni') yield 'self';
    if (change.source !== 'nodes') return;
    noteNode(change, world);
    // A prefix length that comes into use, or goes out of it, takes a set and a rule with it.
    yield 'self';
    yield `node/${change.key}`;
    const own = change.key === world.config.objects.get('config')?.nodeName;
    if (own && !equal(change.before?.podCidrs, change.after?.podCidrs)) yield* everything(world);
  },
  plan(unit, world) {
    const self = selfOf(world);
    if (!self || self.podCidrs.length === 0) return nothing;
    const index = nodeIndex(world);
    if (unit === 'self') return planSelf(self, index, self.config.clampMss && podsAreWide(self, world));
    if (!masquerades(self)) return nothing;
    const node = index.get(unit.slice('node/'.length));
    return node ? { rows: planNode(self, node) } : nothing;
  },
};

/** Whether this node masquerades at all. */
export function masquerades(self: Self): boolean {
  return self.config.masquerade.enabled && self.podCidrs.length > 0 && self.missing.nftables === undefined;
}

function* everything(world: World): Iterable<Unit> {
  yield 'self';
  for (const name of world.nodes.objects.keys()) yield `node/${name}`;
}

/** The last plan of `self`: a Node that comes or goes changes it only when it brings a prefix length of its own. */
const LAST = new WeakMap<Self, { readonly of: string; readonly plan: UnitPlan }>();

function planSelf(self: Self, index: NodeIndex, clamps: boolean): UnitPlan {
  const of = `${index.cidrs.lengths('ipv4')} ${index.cidrs.lengths('ipv6')} ${clamps}`;
  const last = LAST.get(self);
  if (last?.of === of) return last.plan;
  const plan = planSelfAnew(self, index, clamps);
  LAST.set(self, { of, plan });
  return plan;
}

function planSelfAnew(self: Self, index: NodeIndex, clamps: boolean): UnitPlan {
  const { masquerade } = self.config;
  const lacking = self.missing.nftables;
  if (lacking !== undefined) {
    if (!masquerade.enabled && !clamps) return nothing;
    return {
      rows: [],
      problems: [
        {
          object: 'setting masquerade',
          message: `pods cannot reach the outside under the node's address: ${lacking}`,
          hint: 'load nf_tables, or set masquerade.enabled and clampMss to false',
        },
      ],
    };
  }
  const rows: Row[] = [];
  const lengths = (family: Family) => index.cidrs.lengths(family);
  if (masquerade.enabled)
    rows.push(...masqueradeSets(self, lengths), ...masqueradeChains(self, lengths), ...excludeElements(self));
  if (clamps) rows.push(...clampChains(self.podCidrs));
  return { rows };
}

function excludeElements(self: Self): Row[] {
  const families = podFamilies(self);
  return outermost(self.config.masquerade.exclude)
    .filter((cidr) => families.includes(familyOf(cidr)))
    .map((cidr) => element(excludeSet(familyOf(cidr)), single(cidr), `setting masquerade.exclude ${cidr}`));
}

function planNode(self: Self, node: Node): Row[] {
  const families = podFamilies(self);
  const rows: Row[] = [];
  for (const cidr of node.podCidrs) {
    const family = familyOf(cidr);
    if (!families.includes(family)) continue;
    const slash = cidr.indexOf('/');
    const set = podCidrSet(family, Number(cidr.slice(slash + 1)));
    rows.push(element(set, cidr.slice(0, slash), `pods of Node ${node.name} keep and see sources`));
  }
  for (const address of new Set([...node.addresses, ...node.externalAddresses])) {
    if (!families.includes(familyOf(address))) continue;
    rows.push(element(nodeIpSet(familyOf(address)), address, `Node ${node.name} sees the sources of pods`));
  }
  return rows;
}

/** Without a comment, so that two Nodes that claim the same share one element. */
function element(set: string, text: string, why: string): RowOf<'nft'> {
  return {
    target: 'nft',
    key: nftElementKey(set, [text]),
    body: { kind: 'element', set, key: [text] },
    why,
  };
}

/** As nft writes it: a prefix of one address is that address. */
function single(prefix: string): string {
  const whole = familyOf(prefix) === 'ipv4' ? '/32' : '/128';
  return prefix.endsWith(whole) ? prefix.slice(0, -whole.length) : prefix;
}
