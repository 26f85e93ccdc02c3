import type { Node } from '../../model/cluster/node.ts';
import { equal } from '../../model/equal.ts';
import { familyOf } from '../../model/net/ip.ts';
import { nftElementKey } from '../../model/rows/nft.ts';
import type { Row, RowOf } from '../../model/rows/row.ts';
import type { World } from '../../model/world.ts';
import { type NodeIndex, nodeIndex, noteNode } from '../nodes/node-index.ts';
import { contains } from '../nodes/prefix.ts';
import { nothing, type Planner, type UnitPlan } from '../planner.ts';
import { type Self, selfOf } from '../transports/underlay.ts';
import { clampChain, masqueradeChains, masqueradeSets, podFamilies } from './chains.ts';
import { excludeSet, nodeIpSet, podCidrSet } from './names.ts';

/** `self` = chains and sets; `node/NAME` = what that node adds to the sets. */
type Unit = 'self' | `node/${string}`;

/** How packets of pods leave the cluster, and that they keep their source inside it. See README.md. */
export const egressPlanner: Planner<Unit> = {
  name: 'egress',
  reads: ['config', 'kernel', 'links', 'nodes'],
  writes: ['nft'],
  units: everything,
  *affected(change, world) {
    if (change.source === 'config' || change.source === 'kernel') yield* everything(world);
    if (change.source !== 'nodes') return;
    const index = noteNode(change, world);
    yield `node/${change.key}`;
    const own = change.key === world.config.objects.get('config')?.nodeName;
    if (own && !equal(change.before?.podCidrs, change.after?.podCidrs)) yield* everything(world);
    for (const node of [change.before, change.after]) {
      if (node) for (const other of index.touching(node)) yield `node/${other}`;
    }
  },
  plan(unit, world) {
    const self = selfOf(world);
    if (!self || self.podCidrs.length === 0) return nothing;
    if (unit === 'self') return planSelf(self);
    if (!masquerades(self)) return nothing;
    const index = nodeIndex(world);
    const node = index.get(unit.slice('node/'.length));
    return node ? { rows: planNode(self, index, node) } : nothing;
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

function planSelf(self: Self): UnitPlan {
  const { masquerade, clampMss } = self.config;
  const lacking = self.missing.nftables;
  if (lacking !== undefined) {
    if (!masquerade.enabled && !clampMss) return nothing;
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
  if (masquerade.enabled)
    rows.push(...masqueradeSets(self), ...masqueradeChains(self), ...excludeElements(self));
  if (clampMss) rows.push(clampChain(self));
  return { rows };
}

/** Ranges of a set may not overlap, so what lies inside another one is left out. */
function excludeElements(self: Self): Row[] {
  const families = podFamilies(self);
  const all = [...new Set(self.config.masquerade.exclude)].filter((cidr) =>
    families.includes(familyOf(cidr)),
  );
  return all
    .filter((cidr) => !all.some((other) => other !== cidr && contains(other, cidr)))
    .map((cidr) => element(excludeSet(familyOf(cidr)), cidr, `setting masquerade.exclude ${cidr}`));
}

function planNode(self: Self, index: NodeIndex, node: Node): Row[] {
  const families = podFamilies(self);
  const rows: Row[] = [];
  for (const cidr of node.podCidrs) {
    const covered = index.cidrs.covering(cidr).length > 0;
    if (covered || !families.includes(familyOf(cidr))) continue;
    rows.push(element(podCidrSet(familyOf(cidr)), cidr, `pods of Node ${node.name} keep and see sources`));
  }
  for (const address of new Set([...node.addresses, ...node.externalAddresses])) {
    if (!families.includes(familyOf(address))) continue;
    rows.push(element(nodeIpSet(familyOf(address)), address, `Node ${node.name} sees the sources of pods`));
  }
  return rows;
}

/** Without a comment, so that two Nodes that claim the same share one element. */
function element(set: string, prefix: string, why: string): RowOf<'nft'> {
  const text = prefix.endsWith(familyOf(prefix) === 'ipv4' ? '/32' : '/128')
    ? prefix.slice(0, prefix.indexOf('/'))
    : prefix;
  return {
    target: 'nft',
    key: nftElementKey(set, [text]),
    body: { kind: 'element', set, key: [text] },
    why,
  };
}
