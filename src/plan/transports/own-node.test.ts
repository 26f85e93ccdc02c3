/** What a change of our own Node costs: it is written to all day, and thousands of ways to others hang on a little of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { facts, node, store } from '../../../test/support/plan-worlds.ts';
import type { TransportName } from '../../model/cluster/config.ts';
import type { Node } from '../../model/cluster/node.ts';
import { egressPlanner } from '../egress/planner.ts';
import { PlanEngine } from '../engine.ts';
import { nodePlanner } from '../node/planner.ts';
import { policyPlanner } from '../policy/planner.ts';
import { transportsPlanner } from './planner.ts';

const VXLAN = 'vxlan/ipv4/1/8472';
const own = node(1);
const others = Array.from({ length: 40 }, (_, i) => node(i + 2));
/** Of the planners' units those of our Node itself, and those that there is one of. */
const FEW = 8;

/** How many units each of these states of our own Node plans, one after the other, in a cluster of 41. */
function planned(
  peers: readonly Node[],
  states: readonly Node[],
  transport: TransportName = 'vxlan',
): number[] {
  const filled = store({ config: { transport }, nodes: [own, ...peers] });
  const engine = new PlanEngine([transportsPlanner, egressPlanner, nodePlanner, policyPlanner]);
  engine.run(filled.world, filled.take());
  return states.map((state) => {
    filled.put('nodes', own.name, state);
    return engine.run(filled.world, filled.take()).units;
  });
}

const said = facts(own, { accepts: [VXLAN], uses: [VXLAN] });

test('labels, the condition, marks of what was written, and what the others do not send by: no way is planned again', () => {
  const unavailable = { status: 'True', reason: 'x', message: 'y' } as const;
  const states: Node[] = [
    { ...own, labels: { a: 'b' } },
    { ...own, networkUnavailable: unavailable },
    { ...own, unseen: [VXLAN] },
    // The echo, with the first word in it.
    { ...own, facts: said },
    { ...own, facts: { ...said, accepts: [VXLAN, 'layer2'], mtu: 1400 } },
    { ...own, facts: { ...said, accepts: [VXLAN, 'layer2'], mtu: 1400 }, unseen: ['layer2'] },
  ];
  for (const units of planned(others, states)) assert.ok(units <= FEW, `${units} units`);
});

test('what ways depend on is planned again for all', () => {
  // Peers that accept nothing but vxlan are sent to by it until we have said that we send by layer2 only.
  const told = others.map((other) => ({
    ...other,
    facts: facts(other, { accepts: [VXLAN], uses: [VXLAN] }),
  }));
  const word = { ...own, facts: facts(own, { accepts: ['layer2'], uses: ['layer2'] }) };
  for (const units of planned(told, [word], 'layer2')) assert.ok(units > others.length, `${units} units`);
  const changed: Node[] = [
    { ...own, facts: { ...said, uses: ['layer2', VXLAN] } },
    { ...own, facts: { ...said, uses: ['layer2', VXLAN], leaves: ['layer2'] } },
    { ...own, facts: said, podCidrs: [] },
    { ...own, facts: said },
  ];
  for (const units of planned(others, changed)) assert.ok(units > others.length, `${units} units`);
});
