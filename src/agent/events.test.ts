import assert from 'node:assert/strict';
import { it } from 'node:test';
import { cnp, netpol, policyStore } from '../../test/support/policy-worlds.ts';
import { ProblemEvents, policyReference } from './events.ts';

it('tells a problem once, and again only after it was away for long', () => {
  const told: string[] = [];
  let now = 0;
  const events = new ProblemEvents(
    { record: ({ reason, message }) => void told.push(`${reason} ${message}`) },
    { monotonic: () => now },
    () => undefined,
    1_000,
  );
  const problem = { object: 'Node n3', message: 'has no InternalIP', hint: 'add one' };
  events.update([problem]);
  events.update([problem]);
  assert.deepEqual(told, ['NodeProblem Node n3: has no InternalIP (add one)']);
  events.update([]);
  now = 500;
  events.update([problem]);
  assert.equal(told.length, 1, 'it flickered');
  events.update([]);
  now = 2_000;
  events.update([]);
  events.update([problem, { object: 'setting transport', message: 'x' }]);
  assert.deepEqual(told.slice(1), [
    'NodeProblem Node n3: has no InternalIP (add one)',
    'SettingProblem setting transport: x',
  ]);
});

it('what every node finds wrong with a policy is told about the policy, in words that do not depend on the node', () => {
  const store = policyStore({ netpols: [netpol('x/web', '', {})], cnps: [cnp('first', 'Admin', 1, {})] });
  const told: unknown[] = [];
  const recorder = { record: (event: object) => void told.push(event) };
  const events = new ProblemEvents(recorder, { monotonic: () => 0 }, (object) =>
    policyReference(store.world, object),
  );
  const of = (object: string, message: string) => ({ object, message, everywhere: 'bad field' });
  events.update([of('NetworkPolicy x/web', 'bad field'), of('ClusterNetworkPolicy first', 'bad field')]);
  events.update([of('NetworkPolicy x/web', 'bad field (it selects no pod of this node)')]);
  events.update([of('NetworkPolicy x/gone', 'bad field')]);
  assert.deepEqual(
    told.map((event) =>
      JSON.parse(
        JSON.stringify(event, ['message', 'once', 'regarding', 'apiVersion', 'kind', 'namespace', 'name']),
      ),
    ),
    [
      {
        message: 'NetworkPolicy x/web: bad field',
        once: true,
        regarding: { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', namespace: 'x', name: 'web' },
      },
      {
        message: 'ClusterNetworkPolicy first: bad field',
        once: true,
        regarding: {
          apiVersion: 'policy.networking.k8s.io/v1alpha2',
          kind: 'ClusterNetworkPolicy',
          name: 'first',
        },
      },
      { message: 'NetworkPolicy x/gone: bad field' },
    ],
  );
});
