import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../../test/support/fake-clock.ts';
import { ApiError } from '../../sources/kube/errors.ts';
import { type Raw, record } from '../../sources/kube/raw.ts';
import { Lease } from './lease.ts';

function refused(status: number): ApiError {
  return new ApiError({ status, reason: '', retryAfter: undefined }, String(status));
}

/** One lease object with optimistic locking. */
class Store {
  object: Raw | undefined;
  version = 0;
  beforeWrite: () => void = () => {};

  get = async (): Promise<Raw> => {
    if (!this.object) throw refused(404);
    return this.object;
  };
  create = async (_: unknown, body: unknown): Promise<Raw> => {
    this.beforeWrite();
    if (this.object) throw refused(409);
    return this.#put(record(body));
  };
  update = async (_: unknown, body: unknown): Promise<Raw> => {
    this.beforeWrite();
    if (record(record(body).metadata).resourceVersion !== String(this.version)) throw refused(409);
    return this.#put(record(body));
  };
  #put(body: Raw): Raw {
    this.object = {
      ...body,
      metadata: { ...record(body.metadata), resourceVersion: String(++this.version) },
    };
    return this.object;
  }
}

function rig() {
  const store = new Store();
  const clock = new FakeClock();
  const lease = (holder: string) =>
    new Lease({ client: store, namespace: 'kube-system', name: 'l', holder, seconds: 15, clock });
  return { store, clock, a: lease('a'), b: lease('b') };
}

test('one holds it, keeps it by renewing, and gives it up', async () => {
  const { store, clock, a, b } = rig();
  assert.deepEqual(await a.acquire(), { held: true, holder: 'a' });
  for (let i = 0; i < 10; i++) {
    assert.deepEqual(await b.acquire(), { held: false, holder: 'a' });
    await clock.advance(5000);
    assert.equal((await a.acquire()).held, true);
  }
  await b.release();
  assert.equal(record(store.object?.spec).holderIdentity, 'a', "not another's to give up");
  await a.release();
  assert.deepEqual(await b.acquire(), { held: true, holder: 'b' });
  assert.equal(record(store.object?.spec).leaseTransitions, 1);
});

test('one that is not renewed runs out, by our own time since we saw it', async () => {
  const { clock, a, b } = rig();
  await a.acquire();
  clock.jump(365 * 86_400_000);
  assert.equal((await b.acquire()).held, false, 'a clock that jumped proves nothing');
  await clock.advance(14_999);
  assert.equal((await b.acquire()).held, false);
  await clock.advance(1);
  assert.deepEqual(await b.acquire(), { held: true, holder: 'b' });
  assert.deepEqual(await a.acquire(), { held: false, holder: 'b' });
});

test('of two that take it at once one is refused', async () => {
  const { store, a, b } = rig();
  let raced = false;
  store.beforeWrite = () => {
    if (raced) return;
    raced = true;
    store.object = { metadata: { resourceVersion: String(++store.version) }, spec: { holderIdentity: 'b' } };
  };
  assert.deepEqual(await a.acquire(), { held: false, holder: 'b' });
  assert.equal((await b.acquire()).held, true);
});
