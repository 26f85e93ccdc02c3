import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { FakeClock, seeded } from '../../test/support/fake-clock.ts';
import { CONFIG, link, node, PREDECESSOR } from '../../test/support/plan-worlds.ts';
import { namespace, pod } from '../../test/support/policy-worlds.ts';
import type { Problem } from '../model/problem.ts';
import { WorldStore } from '../model/world-store.ts';
import { lostRulesPlanner } from '../plan/policy/lost-rules.ts';
import { policyPlanner } from '../plan/policy/planner.ts';
import { FakeMachine } from '../targets/fake/machine.ts';
import { fakeTargets } from '../targets/fake/targets.ts';
import { Loop } from './loop.ts';
import { GUARDED_FILE, LostRulesWatch } from './lost-rules.ts';

/** Where what is of no known pod goes. */
const CLOSED = 'chain policy-unknown-ingress';
const POD = 'element policy-ingress-pods-v4 10.244.1.2';

/** One machine and its state folder, agents that come and go. */
function rig(t: TestContext) {
  const dir = mkdtempSync(join(tmpdir(), 'fairlead-lost-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = join(dir, GUARDED_FILE);
  const machine = new FakeMachine();
  const clock = new FakeClock();
  const rules = () => [...machine.things('nft')].map(([key]) => key);

  /** An agent that starts; `told`: what the API server has is known to it. */
  function start(boot = 'boot-1', policy: Partial<typeof CONFIG.policy> = {}) {
    const store = new WorldStore(clock);
    const problems: Problem[][] = [];
    store.put('config', 'config', { ...CONFIG, policy: { ...CONFIG.policy, ...policy } });
    store.put('kernel', 'kernel', { release: '6.1', missing: {} });
    for (const source of ['config', 'kernel', 'cni', 'links', 'births'] as const) store.ready(source);
    const tell = (all: readonly Problem[]) => void problems.push([...all]);
    const watch = new LostRulesWatch({ sink: store, world: store.world, file, boot, tell });
    watch.load();
    const planners = [policyPlanner, lostRulesPlanner];
    const loop = new Loop({ store, planners, targets: fakeTargets(machine), clock, random: seeded(7) });
    loop.onChange(() => watch.review(loop.found('nft')));
    loop.start();
    const told = () => {
      store.put('nodes', 'n1', node(1));
      store.put('namespaces', 'x', namespace('x'));
      store.put('pods', 'x/web', pod('x/web', 'app=web', '10.244.1.2'));
      for (const source of policyPlanner.reads) store.ready(source);
    };
    const settle = () => clock.advance(1_000);
    const words = () => loop.status().problems.map(({ message }) => message.split(',')[0]);
    return { store, loop, told, problems, words, settle };
  }
  const flush = () => {
    for (const key of rules()) machine.take('nft', key);
  };
  return { file, machine, rules, start, flush };
}

test('rules that are gone when an agent starts that is told nothing: closed, until it is told', async (t) => {
  const { start, flush, rules } = rig(t);
  const before = start();
  before.told();
  await before.settle();
  assert.ok(rules().includes(POD), rules().join('\n'));
  before.loop.close();
  flush();
  const after = start();
  await after.settle();
  assert.ok(rules().includes(CLOSED));
  assert.ok(!rules().includes(POD));
  assert.deepEqual(after.words(), ['the rules of policies are gone']);
  flush();
  await after.settle();
  assert.ok(rules().includes(CLOSED), 'and once more');
  after.told();
  await after.settle();
  assert.ok(rules().includes(POD));
  assert.deepEqual(after.words(), []);
  flush();
  after.store.notReady('pods', 'away');
  await after.settle();
  assert.ok(rules().includes(POD), 'what it was told is put back, and not closed');
  assert.deepEqual(after.words(), []);
});

test('rules that are still there are not touched', async (t) => {
  const { start, machine, rules } = rig(t);
  const before = start();
  before.told();
  await before.settle();
  before.loop.close();
  // Of another version, which wants them differently.
  machine.take('nft', CLOSED);
  const kept = rules();
  const after = start();
  await after.settle();
  assert.deepEqual(rules(), kept);
  assert.deepEqual(after.words(), []);
});

test('what is closed is the bridge that pods are on, also when a predecessor’s is learnt of later', async (t) => {
  const { start, flush, machine } = rig(t);
  const before = start();
  before.told();
  await before.settle();
  before.loop.close();
  flush();
  const after = start();
  await after.settle();
  const closes = (bridge: string) =>
    JSON.stringify(machine.things('nft').get('chain policy-egress')).includes(
      Buffer.from(bridge).toString('hex'),
    );
  assert.ok(closes('fairlead0'));
  after.store.put('cni', PREDECESSOR.path, PREDECESSOR);
  await after.settle();
  assert.ok(closes('kube-bridge') && !closes('fairlead0'));
  after.store.put('links', 'kube-bridge', link('kube-bridge', ['10.244.1.1/24'], { kind: 'bridge' }));
  after.store.remove('cni', PREDECESSOR.path);
  await after.settle();
  assert.ok(closes('kube-bridge') && closes('fairlead0'), 'pods of before, whose file is gone');
});

test('a first start, one after a reboot, one without policies, one where unknown pods are open: nothing is closed', async (t) => {
  const { start, flush, rules, file } = rig(t);
  const first = start();
  await first.settle();
  assert.deepEqual(rules(), []);
  first.told();
  await first.settle();
  first.loop.close();
  flush();
  for (const [boot, policy] of [
    ['boot-2', {}],
    ['boot-1', { enabled: false }],
    ['boot-1', { unknownPods: 'open' }],
  ] as const) {
    const agent = start(boot, policy);
    await agent.settle();
    assert.deepEqual(rules(), [], JSON.stringify([boot, policy]));
    agent.loop.close();
  }
  for (const text of [
    '',
    '{}',
    '{"boot":"boot-1","podCidrs":["x"],"addresses":[]}',
    '{"boot":"boot-1","podCidrs":[],"addresses":["x"]}',
    readFileSync(file, 'utf8').slice(0, -5),
  ]) {
    writeFileSync(file, text);
    const agent = start();
    await agent.settle();
    assert.deepEqual(rules(), [], text);
    agent.loop.close();
  }
});

test('policies that are switched off are forgotten', async (t) => {
  const { start, file } = rig(t);
  const agent = start();
  agent.told();
  await agent.settle();
  assert.ok(existsSync(file));
  agent.store.put('config', 'config', { ...CONFIG, policy: { ...CONFIG.policy, enabled: false } });
  await agent.settle();
  assert.ok(!existsSync(file));
});

test('a state folder that cannot be written is told', async (t) => {
  const { start, file } = rig(t);
  rmSync(join(file, '..'), { recursive: true });
  const agent = start();
  agent.told();
  await agent.settle();
  assert.match(agent.problems.at(-1)?.[0]?.message ?? '', /cannot be written/);
});
