import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../../test/support/fake-clock.ts';
import { ApiError } from '../../sources/kube/errors.ts';
import { type Raw, record } from '../../sources/kube/raw.ts';
import type { ObjectRef } from '../../sources/kube/resource.ts';
import { EventRecorder, type Occurrence } from './event-recorder.ts';

const occurrence = (message: string): Occurrence => ({
  regarding: { apiVersion: 'v1', kind: 'Node', name: 'n1', uid: 'u' },
  type: 'Warning',
  reason: 'NotOnLink',
  message,
});

function rig() {
  const clock = new FakeClock();
  const created: Raw[] = [];
  const patched: { name: string | undefined; body: Raw }[] = [];
  const state = { broken: false, complaints: 0 };
  const check = (): void => {
    if (state.broken) throw new Error('no server');
  };
  const client = {
    create: async (ref: ObjectRef, body: unknown): Promise<Raw> => {
      check();
      assert.equal(ref.namespace, 'default');
      created.push(record(body));
      return record(body);
    },
    patch: async (ref: ObjectRef, _: string, body: unknown): Promise<Raw> => {
      check();
      patched.push({ name: ref.name, body: record(body) });
      return {};
    },
  };
  const log = { debug: () => void state.complaints++ };
  return { clock, created, patched, state, recorder: new EventRecorder({ client, host: 'n1', clock, log }) };
}

test('the same again counts up the event that is there', async () => {
  const { created, patched, recorder } = rig();
  recorder.record(occurrence('a'));
  recorder.record(occurrence('a'));
  await recorder.settled();
  recorder.record(occurrence('a'));
  recorder.record(occurrence('b'));
  await recorder.settled();
  assert.deepEqual(
    created.map((e) => [e.message, e.count]),
    [
      ['a', 2],
      ['b', 1],
    ],
  );
  assert.deepEqual(
    patched.map((p) => [p.name, p.body.count]),
    [[record(created[0]?.metadata).name, 3]],
  );
  assert.notEqual(record(created[0]?.metadata).name, record(created[1]?.metadata).name);
});

test('at most twenty at once, then one each ten seconds; what was dropped is in the next count', async () => {
  const { clock, created, patched, recorder } = rig();
  recorder.record(occurrence('first'));
  await recorder.settled();
  for (let i = 0; i < 500; i++) recorder.record(occurrence(`m${i}`));
  for (let i = 0; i < 9; i++) recorder.record(occurrence('first'));
  await recorder.settled();
  assert.equal(created.length, 20);
  assert.equal(patched.length, 0);
  await clock.advance(10_000);
  recorder.record(occurrence('m499'));
  recorder.record(occurrence('m499'));
  await recorder.settled();
  assert.equal(created.length, 21);
  assert.equal(created[20]?.count, 2 + 1);
});

test('a server that is away never matters; an event that expired is made anew', async () => {
  const { created, recorder, state } = rig();
  recorder.record(occurrence('a'));
  await recorder.settled();
  state.broken = true;
  recorder.record(occurrence('a'));
  await recorder.settled();
  assert.equal(state.complaints, 1);
  state.broken = false;
  recorder.record(occurrence('a'));
  await recorder.settled();
  assert.deepEqual(
    created.map((e) => e.count),
    [1, 3],
  );
});

test('what several agents tell in the same words is one event, of whoever comes first', async () => {
  const there = new Map<string, Raw>();
  const agent = (host: string) => {
    const client = {
      create: async (_: ObjectRef, body: unknown): Promise<Raw> => {
        const { name } = record(record(body).metadata);
        if (there.has(String(name)))
          throw new ApiError({ status: 409, reason: 'AlreadyExists', retryAfter: undefined }, 'it is there');
        there.set(String(name), record(body));
        return record(body);
      },
      patch: async (): Promise<Raw> => assert.fail('others count nothing up'),
    };
    const log = { debug: (...words: unknown[]) => assert.fail(JSON.stringify(words)) };
    return new EventRecorder({ client, host, clock: new FakeClock(), log });
  };
  const [first, second] = [agent('n1'), agent('n2')];
  const regarding = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    namespace: 'x',
    name: 'w'.repeat(253),
    uid: 'u',
  };
  const told = { ...occurrence('bad field'), regarding, once: true };
  for (const recorder of [first, second]) recorder.record(told);
  await Promise.all([first.settled(), second.settled()]);
  const [[name, event] = assert.fail('nothing was told')] = there;
  assert.equal(there.size, 1);
  assert.ok(name.length <= 253);
  assert.deepEqual(record(event.source).host, 'n1');
  there.clear();
  second.record(told);
  await second.settled();
  assert.equal(there.size, 1, 'it has expired, and is told anew');
  second.record({ ...told, message: 'another field' });
  await second.settled();
  assert.equal(there.size, 2);
});
