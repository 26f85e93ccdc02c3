import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../test/support/fake-clock.ts';
import { CONFIG } from '../../test/support/plan-worlds.ts';
import type { Config } from '../model/cluster/config.ts';
import type { ClusterNetworkPolicy, NetworkPolicy } from '../model/cluster/policy.ts';
import { EVERYTHING } from '../model/cluster/selector.ts';
import { WorldStore } from '../model/world-store.ts';
import { FollowPeers } from './follow-peers.ts';

const policy: NetworkPolicy = {
  key: 'x/p',
  namespace: 'x',
  name: 'p',
  uid: 'u',
  pods: EVERYTHING,
  ingress: [],
  audit: false,
  problems: [],
};
const cluster = { name: 'c' } as ClusterNetworkPolicy;
const config = (change: Partial<Config['policy']>): Config => ({
  ...CONFIG,
  policy: { ...CONFIG.policy, ...change },
});

function rig() {
  const clock = new FakeClock();
  const store = new WorldStore(clock);
  const peers = new FollowPeers(store, store.world, clock);
  const log: string[] = [];
  const follow = () => {
    // When it begins the first policy must not be in the World yet, or it would be planned without peers.
    const policies =
      store.world.networkPolicies.objects.size + store.world.clusterNetworkPolicies.objects.size;
    log.push(`begin with ${policies}`);
    store.notReady('peers', 'the first list is not complete yet');
    return { close: () => void log.push('end') };
  };
  const listed = () => {
    store.put('peers', 'x/a', { key: 'x/a' } as never);
    store.ready('peers');
  };
  const { world } = store;
  const state = () => `${world.peers.ready ? 'ready' : 'not ready'} ${world.peers.objects.size}`;
  peers.put('config', 'config', CONFIG);
  peers.ready('config');
  const empty = () => {
    for (const source of ['networkPolicies', 'clusterNetworkPolicies'] as const) {
      peers.replace(source, new Map());
      peers.ready(source);
    }
  };
  return { clock, peers, log, follow, listed, state, empty };
}

test('no policy: ready and empty, once both kinds are listed; nobody is asked', () => {
  const { peers, follow, state, log } = rig();
  peers.start(follow);
  peers.replace('networkPolicies', new Map());
  peers.ready('networkPolicies');
  assert.equal(state(), 'not ready 0', 'the other kind may still come');
  peers.ready('clusterNetworkPolicies');
  assert.equal(state(), 'ready 0');
  assert.deepEqual(log, []);
});

for (const [what, come, go] of [
  [
    'NetworkPolicy',
    (p: FollowPeers) => p.put('networkPolicies', 'x/p', policy),
    (p: FollowPeers) => p.remove('networkPolicies', 'x/p'),
  ],
  [
    'ClusterNetworkPolicy',
    (p: FollowPeers) => p.put('clusterNetworkPolicies', 'c', cluster),
    (p: FollowPeers) => p.remove('clusterNetworkPolicies', 'c'),
  ],
  [
    'list of policies',
    (p: FollowPeers) => p.replace('networkPolicies', new Map([['x/p', policy]])),
    (p: FollowPeers) => p.replace('networkPolicies', new Map()),
  ],
  [
    'default deny',
    (p: FollowPeers) => p.put('config', 'config', config({ defaultDeny: 'both' })),
    (p: FollowPeers) => p.put('config', 'config', CONFIG),
  ],
] as const) {
  test(`a ${what} comes: not ready from before it is there until listed; it goes: empty a minute later`, async () => {
    const { clock, peers, follow, listed, state, empty, log } = rig();
    peers.start(follow);
    empty();
    come(peers);
    assert.deepEqual([state(), log], ['not ready 0', ['begin with 0']]);
    listed();
    assert.equal(state(), 'ready 1');
    go(peers);
    await clock.advance(59_000);
    assert.deepEqual([state(), log.length], ['ready 1', 1]);
    await clock.advance(2_000);
    assert.deepEqual([state(), log], ['ready 0', ['begin with 0', 'end']]);
    come(peers);
    assert.deepEqual([state(), log.at(-1)], ['not ready 0', 'begin with 0']);
  });
}

test('the last policy goes and another one comes within the minute: followed on', async () => {
  const { clock, peers, follow, listed, state, empty, log } = rig();
  peers.start(follow);
  empty();
  for (let i = 0; i < 5; i++) {
    peers.put('networkPolicies', 'x/p', policy);
    if (i === 0) listed();
    await clock.advance(1000);
    peers.remove('networkPolicies', 'x/p');
    await clock.advance(50_000);
  }
  assert.deepEqual([state(), log], ['ready 1', ['begin with 0']]);
  await clock.advance(60_000);
  assert.equal(state(), 'ready 0');
  assert.equal(clock.pending, 0);
});

test('one of two kinds of policies goes: followed on', async () => {
  const { clock, peers, follow, listed, state, empty } = rig();
  peers.start(follow);
  empty();
  peers.put('networkPolicies', 'x/p', policy);
  peers.put('clusterNetworkPolicies', 'c', cluster);
  listed();
  peers.replace('networkPolicies', new Map());
  await clock.advance(200_000);
  assert.equal(state(), 'ready 1');
});

test('policy is switched off: nobody is asked; on again: followed', async () => {
  const { clock, peers, follow, listed, state, empty, log } = rig();
  peers.put('config', 'config', config({ enabled: false, defaultDeny: 'both' }));
  peers.start(follow);
  empty();
  peers.put('networkPolicies', 'x/p', policy);
  assert.deepEqual([state(), log], ['ready 0', []]);
  peers.put('config', 'config', CONFIG);
  assert.deepEqual([state(), log], ['not ready 0', ['begin with 1']]);
  listed();
  peers.put('config', 'config', config({ enabled: false }));
  await clock.advance(61_000);
  assert.deepEqual([state(), log.at(-1)], ['ready 0', 'end']);
});

test('default deny from the start: followed as soon as there is somebody to ask', () => {
  const { peers, follow, log } = rig();
  peers.put('config', 'config', config({ defaultDeny: 'ingress' }));
  assert.deepEqual(log, []);
  peers.start(follow);
  assert.deepEqual(log, ['begin with 0']);
});

test('a list of policies that comes while they are followed changes nothing', () => {
  const { peers, follow, listed, state, log } = rig();
  peers.start(follow);
  peers.replace('networkPolicies', new Map([['x/p', policy]]));
  listed();
  peers.replace('networkPolicies', new Map([['x/p', policy]]));
  peers.replace('clusterNetworkPolicies', new Map());
  assert.deepEqual([state(), log], ['ready 1', ['begin with 0']]);
});

test('what does not concern it passes on as it is', () => {
  const { peers, follow, state, log } = rig();
  peers.start(follow);
  peers.put('namespaces', 'x', { name: 'x', uid: 'u', labels: {}, audit: false });
  peers.notReady('networkPolicies', 'away');
  assert.deepEqual([state(), log], ['not ready 0', []]);
});
