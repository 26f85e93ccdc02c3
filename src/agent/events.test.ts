import assert from 'node:assert/strict';
import { it } from 'node:test';
import { ProblemEvents } from './events.ts';

it('tells a problem once, and again only after it was away for long', () => {
  const told: string[] = [];
  let now = 0;
  const events = new ProblemEvents(
    { record: ({ reason, message }) => void told.push(`${reason} ${message}`) },
    { monotonic: () => now },
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
