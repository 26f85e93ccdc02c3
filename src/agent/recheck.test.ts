/** Which addresses are judged again after which rows, and whom the judge condemns. */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { CONFIG, emptyStore, eth0, node } from '../../test/support/plan-worlds.ts';
import type { Pod } from '../model/cluster/pod.ts';
import { EVERYTHING } from '../model/cluster/selector.ts';
import { ip } from '../model/net/ip.ts';
import type { WorldStore } from '../model/world-store.ts';
import { isPolicyRow } from '../plan/policy/render/names.ts';
import { Recheck } from './recheck.ts';

const A = ip('10.244.1.11');
const B = ip('10.244.2.12');
const UNKNOWN = ip('10.244.1.99');

let store: WorldStore;
let recheck: Recheck;
let touches: string[];

const pod = (name: string, on: number, address: string, changes: Partial<Pod> = {}): Pod => ({
  key: `x/${name}`,
  namespace: 'x',
  name,
  uid: name,
  node: `n${on}`,
  ips: [ip(address)],
  hostNetwork: false,
  phase: 'Running',
  labels: {},
  ports: [],
  ...changes,
});
const policy = (changes: Partial<typeof CONFIG.policy>) =>
  store.put('config', 'config', { ...CONFIG, policy: { ...CONFIG.policy, ...changes } });
/** `x/closed` selects all pods of x and allows nothing in this direction. */
const close = (direction: 'ingress' | 'egress', audit = false) =>
  store.put('networkPolicies', 'x/closed', {
    key: 'x/closed',
    namespace: 'x',
    name: 'closed',
    uid: 'closed',
    pods: EVERYTHING,
    [direction]: [],
    audit,
    problems: [],
  });

beforeEach(() => {
  store = emptyStore();
  touches = [];
  policy({});
  for (const i of [1, 2]) store.put('nodes', `n${i}`, node(i));
  store.put('links', 'eth0', eth0(node(1)));
  store.put('namespaces', 'x', { name: 'x', uid: 'x', labels: {}, audit: false });
  store.put('pods', 'x/a', pod('a', 1, A));
  store.put('peers', 'x/b', pod('b', 2, B));
  recheck = new Recheck({ world: store.world, reads: ['pods', 'peers'], isPolicyRow });
  recheck.tell((what) => touches.push(typeof what === 'string' ? what : [...what].join(' ')));
});

const applied = (...keys: string[]) => {
  touches = [];
  const done = { target: 'nft', action: 'add', why: '', latency: 0 } as const;
  recheck.decided(
    'nft',
    keys.map((key) => ({ ...done, key })),
  );
  return touches.filter((touch) => touch !== '');
};

test('elements touch their address, whatever else is in their key', () => {
  assert.deepEqual(applied(`element policy-ingress-pods-v4 ${A}`), [A]);
  assert.deepEqual(applied('element peers/x/app_is_web-v6 fd00::5'), ['fd00::5']);
  assert.deepEqual(
    applied(`element ports/http/TCP_here-v4 ${A} . tcp . 80`, `element peers/x/_all_-v4 ${B}`),
    [`${A} ${B}`],
  );
});

test('chains and prefixes touch all pods', () => {
  assert.deepEqual(applied('chain policy/x/closed/ingress'), ['pods']);
  assert.deepEqual(applied(`element peers/x/_all_-v4 ${B}`, 'chain ingress-of/x/closed'), ['pods']);
  assert.deepEqual(applied('element blocks/192.0.2.0/24_and_198.51.100.0/24-v4 192.0.2.0/24'), ['pods']);
  recheck.torn('nft');
  assert.equal(touches.at(-1), 'pods');
});

test('what is not of policies, not of nft, or not done touches nothing', () => {
  assert.deepEqual(applied('chain masquerade', 'element node-v4 10.0.0.1', 'set peers/x/_all_-v4'), []);
  const key = 'chain policy/x/closed/ingress';
  const decision = { target: 'nft', action: 'add', why: '', latency: 0, key } as const;
  recheck.decided('nft', [{ ...decision, error: 'no space' }]);
  recheck.decided('route', [decision]);
  recheck.torn('route');
  assert.deepEqual(touches.join(''), '');
});

test('settings that change what ends make everything be judged again; until sources are ready nothing is', () => {
  store.notReady('peers', 'away');
  recheck.planned();
  assert.deepEqual([recheck.ready, touches], [false, []]);
  store.ready('peers');
  recheck.planned();
  recheck.planned();
  assert.deepEqual([recheck.ready, touches], [true, ['everything']]);
  policy({ established: 'keep' });
  recheck.planned();
  assert.deepEqual(touches, ['everything', 'everything']);
  policy({ enabled: false });
  assert.equal(recheck.ready, false);
});

const ask = (from: string, to: string) =>
  recheck.denies({ protocol: 6, from: ip(from), to: ip(to), port: 80 });

test('only ends at our own pods are judged', () => {
  assert.equal(ask(B, A), undefined);
  close('ingress');
  assert.equal(ask(B, A)?.silence, true);
  assert.match(ask(B, A)?.why ?? '', /x\/closed/);
  assert.equal(ask(A, B), undefined, 'what comes in at b is for the node of b');
  assert.equal(ask('10.0.0.1', A), undefined, "our node's own traffic");
  close('egress');
  assert.equal(ask(A, B)?.silence, true);
  assert.equal(ask(B, A), undefined);
});

test('audit mode and the setting keep end nothing; what was ended before stays denied', () => {
  close('ingress', true);
  assert.equal(ask(B, A), undefined);
  close('ingress');
  assert.equal(ask(B, A)?.spared, false);
  policy({ established: 'keep' });
  assert.equal(ask(B, A)?.spared, true);
});

test('addresses of no pod: connections go, and nobody is silenced, whatever the setting', () => {
  policy({ established: 'keep' });
  assert.equal(ask(B, UNKNOWN)?.silence, false);
  policy({ unknownPods: 'open' });
  assert.equal(ask(B, UNKNOWN), undefined);
});

test('a pod that was ours is gone until its address is given anew', () => {
  recheck.planned();
  assert.deepEqual([recheck.isGone(A), recheck.isGone(B)], [false, false]);
  store.put('pods', 'x/a', pod('a', 1, A, { phase: 'Succeeded' }));
  assert.equal(recheck.isGone(A), true);
  assert.deepEqual([...recheck.pods()], [A], 'what is gone is looked at, too');
  store.remove('pods', 'x/a');
  assert.equal(recheck.isGone(A), true);
  store.put('pods', 'x/c', pod('c', 1, A));
  assert.equal(recheck.isGone(A), false);
  store.remove('pods', 'x/c');
  store.put('peers', 'x/c', pod('c', 2, A));
  assert.equal(recheck.isGone(A), false, 'it moved');
});
