import type { Node } from '../../model/cluster/node.ts';
import type { Problem } from '../../model/problem.ts';
import type { NodeIndex } from '../nodes/node-index.ts';
import { nothing, type UnitPlan } from '../planner.ts';
import { choosePair } from './choice.ts';
import { carriedPrefixes } from './prefixes.ts';
import { transportOf } from './registry.ts';
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
  return { rows: plan.rows, problems: [...told, ...plan.problems] };
}
