import type { Node } from '../../model/cluster/node.ts';
import type { Cidr } from '../../model/net/cidr.ts';
import type { Problem } from '../../model/problem.ts';
import type { Row } from '../../model/rows/row.ts';
import type { NodeIndex } from '../nodes/node-index.ts';
import { nothing, type UnitPlan } from '../planner.ts';
import { choosePair, notReady, type Pair } from './choice.ts';
import { carriedPrefixes } from './prefixes.ts';
import { transportOf } from './registry.ts';
import type { Carrier } from './transport.ts';
import type { Self } from './underlay.ts';

/** The rows that send packets for the pods of one other node there. */
export function planPeer(self: Self, index: NodeIndex, peer: Node): UnitPlan {
  if (peer.name === self.name) return nothing;
  const { prefixes, problems } = carriedPrefixes(self, index, peer);
  const told: Problem[] = [
    ...peer.problems.map((message) => ({ object: `Node ${peer.name}`, message })),
    ...problems,
  ];
  if (prefixes.length === 0) return { rows: [], problems: told };
  const pair = choosePair(self, peer);
  const transport = pair.carrier === undefined ? undefined : transportOf(pair.carrier);
  if (!transport || pair.carrier === undefined) {
    told.push({
      object: `Node ${peer.name}`,
      message: `its pods cannot be reached: ${pair.reason}`,
      hint: 'set transport to auto or vxlan, or give the nodes addresses that meet',
    });
    return { rows: [], problems: told };
  }
  const plan = transport.peer(pair.carrier, self, peer, prefixes);
  const rows = firstNexthops(plan.rows, standby(pair, self, peer, prefixes));
  return { rows, problems: [...told, ...plan.problems] };
}

/**
 * Everything but the routes, for carriers that a route of this peer may still go by, or soon will: a route that failed to move
 * keeps what it stands on until we have taken the old carrier back, which waits for all routes.
 */
function standby(pair: Pair, self: Self, peer: Node, prefixes: readonly Cidr[]): Row[] {
  const carriers = new Set([...[...(self.says?.uses ?? [])].sort(), pair.wanted ?? '']);
  carriers.delete(pair.carrier ?? '');
  // First what carries to this peer: we use some carriers towards others only, and a nexthop can lead by one.
  const carries = (carrier: Carrier) => Number(notReady(carrier, self, peer) === undefined);
  const carryingFirst = [...carriers].sort((a, b) => carries(b) - carries(a));
  return carryingFirst.flatMap((carrier) => {
    const transport = transportOf(carrier);
    if (!transport || transport.refuses(carrier, self, peer) !== undefined) return [];
    return transport.peer(carrier, self, peer, prefixes).rows.filter((row) => row.target !== 'route');
  });
}

/**
 * A route by id follows its nexthop, so the nexthop leads where the route is to go; only without such a route where one may still go,
 * last where one soon will. `waiting` is in that order.
 */
function firstNexthops(rows: readonly Row[], waiting: readonly Row[]): readonly Row[] {
  if (waiting.length === 0) return rows;
  const seen = new Set<string>();
  return [...rows, ...waiting].filter((row) => {
    if (row.target !== 'nexthop') return true;
    const first = !seen.has(row.key);
    seen.add(row.key);
    return first;
  });
}
