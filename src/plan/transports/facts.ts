import { FACTS_ANNOTATION, type NodeFacts } from '../../model/cluster/node.ts';
import { annotationKey } from '../../model/rows/node-status.ts';
import type { Row, RowRef } from '../../model/rows/row.ts';
import { nodeMac } from '../nodes/identity.ts';
import type { NodeIndex } from '../nodes/node-index.ts';
import { planPeer } from './peer-plan.ts';
import { type Provision, provision } from './provision.ts';
import { type Self, underlayMtu } from './underlay.ts';

/**
 * What this node tells the others. A carrier goes out of `uses` in two steps, first named in `leaves`: between writing and seeing
 * what we wrote we must not take it for granted that we still may use it.
 */
function nodeFacts(self: Self, { accepts, uses }: Provision): NodeFacts {
  const known = self.says?.leaves ?? [];
  const leaves = (self.says?.uses ?? []).filter((c) => !uses.includes(c) && !known.includes(c));
  return {
    version: 1,
    accepts,
    uses: [...uses, ...leaves].sort(),
    ...(leaves.length > 0 && { leaves }),
    underlay: self.underlayAddresses,
    mtu: underlayMtu(self),
    vxlan: { mac: nodeMac(self.name), ...self.config.vxlan },
  };
}

/** The annotation's text: always the same for the same facts. */
export function factsText(facts: NodeFacts): string {
  const { version, accepts, uses, leaves, underlay, mtu, vxlan } = facts;
  return JSON.stringify({ version, accepts, uses, leaves, underlay, mtu, vxlan });
}

/**
 * The row that publishes them. It waits for the devices, so that `accepts` is never a lie. While it takes back a carrier from
 * `uses` it also waits for every route and nexthop, because one that failed to move still goes the old way: a route by id goes where its
 * nexthop leads.
 */
export function factsRows(self: Self, index: NodeIndex): readonly Row[] {
  const plan = provision(self, index);
  const takesBack = self.says?.uses.some((carrier) => !plan.uses.includes(carrier)) ?? false;
  if (takesBack) return [factsRow(self, plan, paths(self, index))];
  const known = LAST.get(plan);
  if (known?.self === self) return known.rows;
  const rows = [factsRow(self, plan, [])];
  LAST.set(plan, { self, rows });
  return rows;
}

/** What is said only follows from what is provided: the same list as long as that is the same. */
const LAST = new WeakMap<Provision, { readonly self: Self; readonly rows: readonly Row[] }>();

function factsRow(self: Self, plan: Provision, paths: readonly RowRef[]): Row {
  const needs: RowRef[] = [];
  for (const carrier of plan.accepts) needs.push(...(plan.devices.get(carrier)?.ready ?? []));
  needs.push(...paths);
  return {
    target: 'node-status',
    key: annotationKey(FACTS_ANNOTATION),
    why: `tells other nodes: accepts ${plan.accepts.join(', ') || 'nothing'}; uses ${plan.uses.join(', ') || 'nothing'}`,
    body: {
      node: self.name,
      item: { kind: 'annotation', name: FACTS_ANNOTATION, value: factsText(nodeFacts(self, plan)) },
    },
    needs,
  };
}

/** Routes to all other nodes, and the nexthops of those by id. Only asked for while a carrier is given up, so it may cost a walk over the cluster. */
function paths(self: Self, index: NodeIndex): RowRef[] {
  const refs: RowRef[] = [];
  for (const peer of index.nodes()) {
    for (const { target, key } of planPeer(self, index, peer).rows) {
      if (target === 'route' || target === 'nexthop') refs.push({ target, key });
    }
  }
  return refs.sort((a, b) => (`${a.target} ${a.key}` < `${b.target} ${b.key}` ? -1 : 1));
}
