/** Policies that cannot be programmed, from World to packets: that one is closed, named, and opens again; no other is touched. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock, seeded } from '../../test/support/fake-clock.ts';
import { ALL, cnp, DENY, from, netpol, own, pod, policyStore } from '../../test/support/policy-worlds.ts';
import { ip } from '../model/net/ip.ts';
import type { Row } from '../model/rows/row.ts';
import { tableView, walkPacket } from '../plan/nft/walk/packets.ts';
import { policyPlanner } from '../plan/policy/planner.ts';
import { FakeMachine } from '../targets/fake/machine.ts';
import { fakeTargets } from '../targets/fake/targets.ts';
import { Loop } from './loop.ts';
import { refusedPolicies } from './refused-policies.ts';

const ADDRESSES = { web: '10.244.1.2', db: '10.244.1.3', free: '10.244.1.4', client: '10.244.2.9' } as const;
type Name = keyof typeof ADDRESSES;

/** Clients may reach web and db by a policy each; nobody selects `free`. */
function rig() {
  const clock = new FakeClock();
  const store = policyStore({
    pods: [
      pod('x/web', 'app=web', ADDRESSES.web),
      pod('x/db', 'app=db', ADDRESSES.db),
      pod('x/free', 'app=free', ADDRESSES.free),
    ],
    peers: [pod('x/client', 'app=client', ADDRESSES.client, { node: 'n2' })],
    netpols: ['web', 'db'].map((app) =>
      netpol(`x/to-${app}`, `app=${app}`, { ingress: [from(own('app=client'))] }),
    ),
  });
  for (const source of policyPlanner.reads) store.ready(source);
  const machine = new FakeMachine();
  const log: string[] = [];
  const loop = new Loop({
    store,
    planners: [policyPlanner],
    targets: fakeTargets(machine),
    clock,
    random: seeded(7),
    hooks: { log: (_level, message) => log.push(message) },
  });
  const passes = (to: Name, sender: Name = 'client'): boolean => {
    const rows = [...machine.things('nft')].map(
      ([key, { body }]) => ({ target: 'nft', key, body, why: '' }) as Row,
    );
    const packet = {
      hook: 'forward',
      from: ip(ADDRESSES[sender]),
      to: ip(ADDRESSES[to]),
      protocol: 'tcp',
    } as const;
    return walkPacket(tableView(rows), { ...packet, dport: 80 }).verdict === 'accepted';
  };
  const open = () => (['web', 'db', 'free'] as const).filter((name) => passes(name)).join(' ');
  const problems = () => refusedPolicies(loop.failed('nft')).map(({ object }) => object);
  return { clock, store, machine, loop, log, open, passes, problems };
}

const WEB = 'chain policy/x/to-web/ingress';

test('a policy that is refused from the start: its pods are closed, all others right; told by name; opens when it is taken', async () => {
  const { clock, machine, loop, log, open, problems } = rig();
  machine.faults.arm({ kind: 'refuse', target: 'nft', key: WEB, times: 4 });
  loop.start();
  await clock.advance(1);
  assert.equal(open(), 'db free');
  await clock.advance(150);
  assert.deepEqual(problems(), ['NetworkPolicy x/to-web']);
  assert.ok(
    log.some((line) => line === `could not add nft ${WEB}: EBUSY: refused (NetworkPolicy x/to-web)`),
    log.join('\n'),
  );
  const { state, targets } = loop.status();
  assert.deepEqual([state, targets.find(({ name }) => name === 'nft')?.failed], ['degraded', 1]);
  await clock.advance(2_000);
  assert.deepEqual([open(), problems(), loop.status().state], ['web db free', [], 'ready']);
  assert.deepEqual(machine.faults.unconsumed(), []);
  assert.deepEqual(loop.drift(), []);
});

test('an open pod that a refused policy comes to select is closed at once, also by a second one that needs the first', async () => {
  const { clock, store, machine, loop, open, passes } = rig();
  loop.start();
  await clock.advance(10);
  assert.equal(open(), 'web db free');
  machine.faults.arm({ kind: 'refuse', target: 'nft', key: 'chain policy/x/late/ingress', times: 9 });
  store.put('networkPolicies', 'x/late', netpol('x/late', 'app=free', { ingress: [ALL] }));
  await clock.advance(1);
  assert.equal(open(), 'web db');
  // While the first has failed and waits for its next try.
  store.put('networkPolicies', 'x/more', netpol('x/more', 'app=free', { ingress: [from(own('app=web'))] }));
  await clock.advance(1);
  assert.deepEqual([open(), passes('free', 'web')], ['web db', true]);
  store.remove('networkPolicies', 'x/late');
  store.remove('networkPolicies', 'x/more');
  await clock.advance(100);
  assert.equal(open(), 'web db free');
  // Its removal meets what is left of the fault.
  await clock.advance(60_000);
  assert.deepEqual(machine.faults.unconsumed(), []);
  assert.equal(loop.status().state, 'ready');
});

test('rules that become stricter and are refused: the old, more open ones do not stay', async () => {
  const { clock, store, machine, loop, open } = rig();
  loop.start();
  await clock.advance(10);
  machine.faults.arm({ kind: 'refuse', target: 'nft', key: WEB, times: 3 });
  store.put(
    'networkPolicies',
    'x/to-web',
    netpol('x/to-web', 'app=web', { ingress: [from(own('app=boss'))] }),
  );
  await clock.advance(1);
  assert.equal(open(), 'db free');
  await clock.advance(2_000);
  assert.deepEqual(machine.faults.unconsumed(), []);
  assert.deepEqual([open(), loop.status().state], ['db free', 'ready']);
});

test('a ClusterNetworkPolicy that is refused: whom it selects is closed that way, until it is taken or gone', async () => {
  const { clock, store, machine, loop, open, problems } = rig();
  loop.start();
  await clock.advance(10);
  machine.faults.arm({ kind: 'refuse', target: 'nft', key: 'chain ingress-admin/guard', times: 3 });
  const subject = { namespaces: own('').pods, pods: netpol('x/f', 'app=free').pods };
  store.put(
    'clusterNetworkPolicies',
    'guard',
    cnp('guard', 'Admin', 1, { subject, ingress: [{ ...DENY, action: 'Pass' }] }),
  );
  await clock.advance(1);
  assert.equal(open(), 'web db');
  await clock.advance(120);
  assert.deepEqual(problems(), ['ClusterNetworkPolicies guard: the admin tier']);
  await clock.advance(2_000);
  assert.deepEqual([open(), problems()], ['web db free', []]);
});
