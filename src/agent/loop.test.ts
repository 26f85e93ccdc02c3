import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock, seeded, settle } from '../../test/support/fake-clock.ts';
import { CONFIG, eth0, node } from '../../test/support/plan-worlds.ts';
import type { SourceName } from '../model/world.ts';
import { WorldStore } from '../model/world-store.ts';
import { egressPlanner } from '../plan/egress/planner.ts';
import { nodePlanner } from '../plan/node/planner.ts';
import type { Planner } from '../plan/planner.ts';
import { transportsPlanner } from '../plan/transports/planner.ts';
import { dump } from '../targets/fake/dump.ts';
import { FakeMachine } from '../targets/fake/machine.ts';
import { fakeTargets } from '../targets/fake/targets.ts';
import { Loop, type LoopHooks } from './loop.ts';

const SOURCES: readonly SourceName[] = ['config', 'kernel', 'links', 'ports', 'cni', 'nodes'];

function rig(options: { hooks?: LoopHooks; planners?: readonly Planner[]; nodes?: number } = {}) {
  const clock = new FakeClock();
  const store = new WorldStore(clock);
  const machine = new FakeMachine({ eth0: { up: true, addresses: eth0(node(1)).addresses } });
  store.put('config', 'config', { ...CONFIG, transport: 'layer2' });
  store.put('kernel', 'kernel', { release: '6.1', missing: {} });
  store.put('links', 'eth0', eth0(node(1)));
  for (let i = 1; i <= (options.nodes ?? 2); i++) store.put('nodes', `n${i}`, node(i));
  const lines: string[] = [];
  const { planners = [transportsPlanner, egressPlanner, nodePlanner] as readonly Planner[] } = options;
  const hooks: LoopHooks = { log: (_level, message) => lines.push(message), ...options.hooks };
  const make = () =>
    new Loop({ store, planners, targets: fakeTargets(machine), clock, random: seeded(1), hooks });
  const ready = (...sources: readonly SourceName[]) => {
    for (const source of sources.length > 0 ? sources : SOURCES) store.ready(source);
  };
  const routes = () => [...machine.things('route').keys()].sort();
  return { clock, store, machine, lines, make, ready, routes };
}

test('waits for the sources, converges, and says so at each step', async () => {
  const { clock, make, ready, routes } = rig();
  const loop = make();
  let converged = false;
  void loop.converged.then(() => (converged = true));
  loop.start();
  await clock.advance(1000);
  assert.equal(loop.status().state, 'waiting');
  assert.deepEqual(
    loop.status().sources.map((s) => [s.name, s.ready, s.reason]),
    ['config', 'kernel', 'links', 'ports', 'cni', 'nodes'].map((name) => [name, false, 'not started']),
  );
  ready();
  await clock.advance(50);
  assert.equal(loop.status().state, 'ready');
  assert.equal(converged, true);
  assert.deepEqual(routes(), ['10.244.2.0/24', 'fd00:244:2::/64']);
  assert.ok(loop.rows('route').every((row) => row.state === 'done'));
  loop.close();
  assert.equal(clock.pending, 0);
});

test('a change on an idle machine is in the kernel without a timer; a burst is one turn and a pause', async () => {
  let plans = 0;
  const { clock, store, make, ready, routes } = rig({ hooks: { planned: () => plans++ } });
  const loop = make();
  loop.start();
  ready();
  await clock.advance(100);
  plans = 0;
  store.put('nodes', 'n9', node(9));
  await clock.advance(0);
  assert.ok(routes().includes('10.244.9.0/24'));
  assert.equal(plans, 1);
  for (let i = 10; i < 110; i++) {
    store.put('nodes', `n${i}`, node(i));
    await clock.advance(0);
  }
  assert.equal(plans, 1, 'held back');
  await clock.advance(5);
  assert.equal(plans, 2);
  assert.equal(routes().length, 2 * 102);
  loop.close();
});

test('the log has a line a decision, and one line for many', async () => {
  const { clock, store, lines, machine, make, ready } = rig({ nodes: 30 });
  const loop = make();
  loop.start();
  ready();
  await clock.advance(100);
  assert.ok(
    lines.some((line) => /^route: 58 added, the first for: Node n2 /.test(line)),
    lines.join('\n'),
  );
  lines.length = 0;
  machine.faults.arm({ kind: 'refuse', target: 'route', key: 'fd00:244:31::/64' });
  store.put('nodes', 'n31', node(31));
  store.remove('nodes', 'n2');
  await clock.advance(20);
  const routes = lines.filter((line) => line.includes('route '));
  assert.equal(routes.length, 4, lines.join('\n'));
  assert.match(routes[0] ?? '', /^added route 10\.244\.31\.0\/24: Node n31 /);
  assert.match(routes[1] ?? '', /^could not add route fd00:244:31::\/64: EBUSY: refused \(Node n31 /);
  assert.match(routes[2] ?? '', /^removed route 10\.244\.2\.0\/24: Node n2 /);
  assert.deepEqual(machine.faults.unconsumed(), []);
  loop.close();
});

test('planned tells what would be done, also under another configuration and before anything runs', async () => {
  const { clock, machine, make, ready } = rig();
  machine.put('route', '10.9.0.0/24', { dst: '10.9.0.0/24', table: 254, nextHops: [] });
  const loop = make();
  ready();
  const first = await loop.planned();
  assert.deepEqual(
    first.filter((change) => change.target === 'route').map((change) => [change.action, change.key]),
    [
      ['add', '10.244.2.0/24'],
      ['add', 'fd00:244:2::/64'],
      ['remove', '10.9.0.0/24'],
    ],
  );
  assert.equal(machine.writes, 0);
  loop.start();
  await clock.advance(100);
  assert.deepEqual(await loop.planned(), []);
  const { writes } = machine;
  const switched = await loop.planned({ ...CONFIG, transport: 'vxlan' });
  const stages = switched.filter((change) => change.action !== 'remove').map((change) => change.stage);
  assert.deepEqual(
    stages,
    stages.toSorted((a, b) => a - b),
  );
  assert.ok(switched.some((change) => change.action === 'add' && change.target === 'link'));
  assert.ok(switched.some((change) => change.action === 'change' && change.target === 'route'));
  assert.equal(machine.writes, writes, 'nothing was done');
  loop.close();
});

test('planned lists no removals while a source is away', async () => {
  const { machine, make, ready } = rig();
  machine.put('route', '10.9.0.0/24', { dst: '10.9.0.0/24', table: 254, nextHops: [] });
  const loop = make();
  ready('config', 'kernel', 'links', 'ports', 'cni');
  assert.deepEqual(await loop.planned(), []);
});

test('cleanup leaves the machine as it was, strangers included, and works without any source', async () => {
  const { clock, machine, make, ready } = rig();
  machine.put('route', '192.0.2.0/24', { dst: '192.0.2.0/24', table: 254, nextHops: [] }, false);
  machine.put('sysctl', 'net/ipv4/ip_forward', { path: 'net/ipv4/ip_forward', value: '0' }, false);
  const before = dump(machine);
  const agent = make();
  agent.start();
  ready();
  await clock.advance(100);
  assert.notEqual(dump(machine), before);
  agent.close();
  const cleaner = make();
  const result = cleaner.cleanup();
  await clock.advance(100);
  const { removed, left } = await result;
  assert.ok(removed > 5);
  assert.deepEqual(left, []);
  assert.equal(dump(machine), before);
});

test('cleanup says what it could not remove', async () => {
  const { clock, machine, make, ready } = rig();
  const loop = make();
  loop.start();
  ready();
  await clock.advance(100);
  machine.faults.arm({ kind: 'refuse', target: 'route', key: '10.244.2.0/24', times: 1000 });
  const result = loop.cleanup(5000);
  await clock.advance(6000);
  const { left } = await result;
  assert.deepEqual(
    left.map((row) => [row.key, row.state, row.message]),
    [['10.244.2.0/24', 'failed', 'EBUSY: refused']],
  );
});

test('degraded while a row fails or a source is away, with the reason', async () => {
  const { clock, store, machine, make, ready } = rig();
  const loop = make();
  loop.start();
  ready();
  await clock.advance(100);
  machine.faults.arm({ kind: 'refuse', target: 'route', times: 3 });
  store.put('nodes', 'n3', node(3));
  await clock.advance(10);
  assert.equal(loop.status().state, 'degraded');
  await clock.advance(1000);
  assert.equal(loop.status().state, 'ready');
  store.notReady('nodes', 'API server: connection refused');
  await clock.advance(10);
  assert.equal(loop.status().state, 'degraded');
  assert.equal(loop.hasConverged, true);
  loop.close();
});

test('listeners hear of changes once a tick, and the loop is seen to move', async () => {
  const { clock, make, ready } = rig();
  const loop = make();
  let calls = 0;
  const listener = loop.onChange(() => calls++);
  loop.start();
  ready();
  await clock.advance(100);
  assert.ok(calls > 0);
  listener.close();
  calls = 0;
  await clock.advance(5000);
  assert.equal(calls, 0);
  assert.ok(clock.monotonic() - loop.lastTurn <= 1000);
  loop.close();
});

test('who looks on hears of a change when all of it is in the kernel, and once', async () => {
  const { clock, store, make, ready, routes } = rig();
  const loop = make();
  loop.start();
  ready();
  await clock.advance(100);
  const seen: boolean[] = [];
  loop.onChange(() => seen.push(routes().includes('10.244.9.0/24')));
  store.put('nodes', 'n9', node(9));
  await settle();
  await settle();
  assert.deepEqual(seen, [true]);
  loop.close();
});
