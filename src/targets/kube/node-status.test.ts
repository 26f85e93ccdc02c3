import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FACTS_ANNOTATION, type Node } from '../../model/cluster/node.ts';
import type { FairleadError } from '../../model/errors.ts';
import { annotationKey, conditionKey, type NodeStatusBody } from '../../model/rows/node-status.ts';
import type { Change } from '../../reconcile/target.ts';
import { ApiError, ConnectionError } from '../../sources/kube/errors.ts';
import { array, type Raw, record } from '../../sources/kube/raw.ts';
import type { ObjectRef } from '../../sources/kube/resource.ts';
import { nodeStatusTarget } from './node-status.ts';

const ANNOTATION = annotationKey(FACTS_ANNOTATION);
const CONDITION = conditionKey('NetworkUnavailable');

const annotation = (value: string, node = 'n1'): NodeStatusBody => ({
  node,
  item: { kind: 'annotation', name: FACTS_ANNOTATION, value },
});
const condition = (status: 'True' | 'False', message = 'all is well'): NodeStatusBody => ({
  node: 'n1',
  item: { kind: 'condition', type: 'NetworkUnavailable', status, reason: 'FairleadReady', message },
});

/** One Node in memory that understands the two patches, as an API server would. */
class OneNode {
  annotations: Record<string, string> = { 'example.com/other': 'stays' };
  conditions: Raw[] = [{ type: 'Ready', status: 'True', reason: 'KubeletReady' }];
  readonly asked: string[] = [];
  fail: FairleadError | undefined;

  get = async (ref: ObjectRef): Promise<Raw> => {
    this.#called('get', ref);
    return {
      metadata: { name: 'n1', annotations: this.annotations },
      status: { conditions: this.conditions },
    };
  };

  patch = async (ref: ObjectRef, kind: string, body: unknown): Promise<Raw> => {
    this.#called(`${kind} ${ref.subresource ?? 'object'}`, ref);
    if (kind === 'merge') {
      for (const [name, value] of Object.entries(record(record(record(body).metadata).annotations))) {
        if (value === null) delete this.annotations[name];
        else this.annotations[name] = String(value);
      }
    }
    for (const given of array(record(record(body).status).conditions).map(record)) {
      const before = this.conditions.find((c) => c.type === given.type) ?? {};
      this.conditions = this.conditions.filter((c) => c.type !== given.type);
      if (given.$patch !== 'delete') this.conditions.push({ ...before, ...given });
    }
    return {};
  };

  #called(what: string, ref: ObjectRef): void {
    this.asked.push(what);
    assert.equal(ref.name, 'n1');
    if (this.fail) throw this.fail;
  }
}

function rig() {
  const node = new OneNode();
  let wall = Date.UTC(2026, 0, 1);
  const target = nodeStatusTarget({ client: node, nodeName: 'n1', clock: { wall: () => wall } });
  const apply = async (key: string, wanted: NodeStatusBody | undefined, found?: NodeStatusBody) => {
    const change: Change<NodeStatusBody> = { key, wanted, found };
    const [outcome] = await target.apply([change]);
    assert.ok(outcome);
    return outcome;
  };
  const later = (): void => {
    wall += 3_600_000;
  };
  const ours = () => node.conditions.find((c) => c.type === 'NetworkUnavailable');
  return { node, target, apply, later, ours };
}

describe('laws', () => {
  for (const [key, first, second] of [
    [ANNOTATION, annotation('{"a":1}'), annotation('{"a":2}')],
    [CONDITION, condition('True'), condition('False')],
  ] as const) {
    test(`${key}: round trip, change, removal, and foreign things survive`, async () => {
      const { node, target, apply } = rig();
      assert.equal((await target.observe()).size, 0);
      for (const wanted of [first, second]) {
        assert.deepEqual(await apply(key, wanted), { ok: true });
        const found = (await target.observe()).get(key);
        assert.ok(found && target.same(wanted, found), JSON.stringify(found));
      }
      assert.deepEqual(await apply(key, undefined, second), { ok: true });
      assert.equal((await target.observe()).size, 0);
      assert.equal(node.annotations['example.com/other'], 'stays');
      assert.ok(node.conditions.some((c) => c.type === 'Ready'));
    });
  }
});

describe('condition', () => {
  test('its transition time moves with the status only', async () => {
    const { apply, later, ours } = rig();
    await apply(CONDITION, condition('True'));
    assert.equal(ours()?.lastTransitionTime, '2026-01-01T00:00:00Z');
    later();
    await apply(CONDITION, condition('True', 'other words'));
    assert.equal(ours()?.lastTransitionTime, '2026-01-01T00:00:00Z');
    assert.equal(ours()?.lastHeartbeatTime, '2026-01-01T01:00:00Z');
    await apply(CONDITION, condition('False'));
    assert.equal(ours()?.lastTransitionTime, '2026-01-01T01:00:00Z');
  });

  test("another's words are not ours: overwritten when wanted, never removed", async () => {
    const { node, target, apply, ours } = rig();
    const foreign = {
      type: 'NetworkUnavailable',
      status: 'True',
      reason: 'NoRouteCreated',
      message: 'cloud',
    };
    node.conditions.push(foreign);
    assert.equal((await target.observe()).size, 0);
    await apply(CONDITION, undefined, condition('False'));
    assert.equal(ours(), foreign);
    await apply(CONDITION, condition('False'));
    assert.equal(ours()?.reason, 'FairleadReady');
  });
});

test('no Node of that name: an error that says so, from observe and from apply', async () => {
  const { node, target, apply } = rig();
  node.fail = new ApiError(
    { status: 404, reason: 'NotFound', retryAfter: undefined },
    'nodes "n1" not found',
  );
  await assert.rejects(target.observe(), { code: 'no-node', message: /Node "n1" does not exist/ });
  const outcome = await apply(ANNOTATION, annotation('x'));
  assert.ok(!outcome.ok && outcome.error.message.includes('does not exist'));
});

test('refused: the outcome carries it; cut off: thrown, since nobody knows how far it came', async () => {
  const { node, apply } = rig();
  node.fail = new ApiError({ status: 403, reason: 'Forbidden', retryAfter: undefined }, 'no');
  assert.equal((await apply(ANNOTATION, annotation('x'))).ok, false);
  node.fail = new ConnectionError('kube-connection', 'reset');
  await assert.rejects(apply(ANNOTATION, annotation('x')), ConnectionError);
});

test("another node's row is refused", async () => {
  const { node, apply } = rig();
  const outcome = await apply(ANNOTATION, annotation('x', 'n2'));
  assert.ok(!outcome.ok && /Node "n2" is not ours/.test(outcome.error.message));
  assert.deepEqual(node.asked, []);
});

test('drift is heard through the nodes source, only about what is ours', () => {
  const { target } = rig();
  const heard: string[][] = [];
  const closer = target.watch?.((keys) => heard.push([...keys]));
  const shown = (change: Partial<Node>): Node => ({
    ...{ name: 'n1', uid: 'u', created: '', addresses: [], externalAddresses: [], podCidrs: [], labels: {} },
    ...{ facts: undefined, networkUnavailable: undefined, problems: [] },
    ...change,
  });
  target.nodeChanged(shown({}));
  target.nodeChanged(shown({ labels: { new: 'label' } }));
  target.nodeChanged(shown({ networkUnavailable: { status: 'True', reason: 'x', message: '' } }));
  closer?.close();
  target.nodeChanged(undefined);
  assert.deepEqual(heard, [[ANNOTATION, CONDITION], [CONDITION]]);
});
