/** `--run-router=false`: another network carries the packets of pods, and Fairlead only enforces policies. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Content, node, plan, rowsOf, world } from '../../../test/support/plan-worlds.ts';
import { pairStatuses } from '../../agent/pairs.ts';
import type { Config } from '../../model/cluster/config.ts';
import { resolve, toConfig } from '../../sources/config/resolve.ts';
import { egressPlanner } from '../egress/planner.ts';
import { transportsPlanner } from '../transports/planner.ts';
import { nodePlanner } from './planner.ts';

const planners = [transportsPlanner, egressPlanner, nodePlanner];

function config(flags: Record<string, unknown>): Config {
  const layer = new Map(
    Object.entries(flags).map(([name, value]) => [name as 'router.enabled', { value, where: 'a test' }]),
  );
  const { values, problems } = resolve([layer], { transports: ['layer2', 'vxlan'], hostname: 'n1' });
  assert.deepEqual(problems, []);
  return toConfig(values);
}

const CALLS = ['ip6tables', 'iptables'].map((table) => `sysctl net/bridge/bridge-nf-call-${table}`);
const nodes = [node(1), node(2)];
const bridge = { path: '/etc/cni/net.d/10-flannel.conflist', name: 'cbr0', bridge: 'cni0', ranges: [] };
const beside = (content: Content = {}, flags: Record<string, unknown> = {}) =>
  plan(planners, { nodes, config: config({ 'router.enabled': false, ...flags }), ...content });
const lines = (content?: Content, flags?: Record<string, unknown>) =>
  beside(content, flags).rows.map(({ target, key }) => `${target} ${key}`);

test('with it everything is planned, without it nothing: no route, no device, no masquerading, no file, no word on the Node', () => {
  const with_ = plan(planners, { nodes, config: config({}) });
  for (const target of ['route', 'nft', 'file', 'node-status', 'sysctl'] as const)
    assert.ok(rowsOf(with_, target).length > 0, target);
  assert.deepEqual(beside({}, { 'policy.enabled': false }), { rows: [], problems: [] });
});

test('settings of what it does not do change nothing', () => {
  const flags = { 'cni.write': true, 'masquerade.enabled': true, clampMss: true, transport: 'vxlan' };
  assert.deepEqual(lines({}, flags).sort(), CALLS);
});

test("the other network's bridge calls netfilter, so that policies see its packets", () => {
  const cni = [bridge as never];
  for (const content of [{ cni }, {}]) assert.deepEqual(lines(content).sort(), CALLS);
  assert.deepEqual(lines({ cni }, { 'policy.enabled': false }), []);
  const missing = { br_netfilter: 'no such module' };
  const { problems } = beside({ cni, missing });
  assert.match(problems.join(), /policies do not see packets between pods on the bridge cni0/);
  assert.match(problems.join(), /pods of this node reach each other whatever policies say/);
  assert.match(beside({ missing }).problems.join(), /on a bridge, if the network plugin has one/);
});

test('a Node without pod CIDRs: unknown pods cannot be closed, which is told; nothing else is wrong with it', () => {
  const content = { nodes: [node(1, { podCidrs: [] })] };
  assert.match(beside(content).problems.join(), /^Node n1: has no pod CIDR .* are open$/);
  assert.equal(lines(content).length, 2, 'both families of the bridge');
  for (const flags of [{ 'policy.unknownPods': 'open' }, { 'policy.enabled': false }])
    assert.deepEqual(beside(content, flags).problems, []);
});

test('a Node without a usable address is no matter either', () => {
  assert.deepEqual(beside({ nodes: [node(1, { addresses: [] })], links: [] }).problems, []);
});

test('status shows no pairs that we would carry', () => {
  const off = world({ nodes, config: config({ 'router.enabled': false }) });
  assert.deepEqual(pairStatuses(off), { pairs: [], podMtu: undefined });
  assert.equal(pairStatuses(world({ nodes, config: config({}) })).pairs.length, 1);
});
