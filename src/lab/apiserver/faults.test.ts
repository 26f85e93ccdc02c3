import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { RawApi } from '../../../test/conformance/raw-api.ts';
import type { Clock } from '../../model/clock.ts';
import { type ApiServer, startApiServer } from './server.ts';

/** Real time for requests, but bookmarks come when the test says so. */
const timers = new Set<() => void>();
const clock: Clock = {
  wall: Date.now,
  monotonic: () => performance.now(),
  after(_ms, callback) {
    timers.add(callback);
    return { cancel: () => timers.delete(callback) };
  },
};
const ring = (): void => {
  for (const timer of [...timers]) {
    timers.delete(timer);
    timer();
  }
};

describe('faults', () => {
  let server: ApiServer;
  let api: RawApi;
  before(async () => {
    server = await startApiServer({ clock, random: () => 0.5 });
    api = new RawApi(server);
  });
  after(() => server.close());

  test('away: refused, then back at the same address', async () => {
    const watch = await api.watch('/api/v1/nodes?watch=1&resourceVersion=1');
    const fault = await server.faults.away();
    assert.equal(await watch.next(), undefined, 'the watch was cut');
    await assert.rejects(api.get('/api/v1/nodes'), /ECONNREFUSED/);
    await fault.lift();
    assert.equal((await api.get('/api/v1/nodes')).status, 200);
    assert.ok(fault.hits > 0);
  });

  test('stalled watches: nothing comes, no bookmark either, until it is lifted', async () => {
    const query = 'watch=1&resourceVersion=1&allowWatchBookmarks=true&timeoutSeconds=600';
    const watch = await api.watch(`/api/v1/configmaps?${query}`);
    const fault = server.faults.stalled('watches');
    await api.post('/api/v1/namespaces/default/configmaps', { metadata: { name: 'quiet' } });
    const next = watch.next();
    const silent = Symbol('silent');
    assert.equal(
      (await api.get('/api/v1/namespaces/default/configmaps/quiet')).status,
      200,
      'requests are answered',
    );
    assert.equal(await Promise.race([next, new Promise((resolve) => setImmediate(resolve, silent))]), silent);
    await fault.lift();
    assert.equal((await next).object.metadata.name, 'quiet');
    assert.ok(fault.hits > 0);
    watch.close();
  });

  test('a stalled watch does not end when its time is up, but once it is lifted', async () => {
    const version = server.store.revision;
    const watch = await api.watch(`/api/v1/configmaps?watch=1&resourceVersion=${version}&timeoutSeconds=5`);
    const fault = server.faults.stalled('watches');
    await api.post('/api/v1/namespaces/default/configmaps', { metadata: { name: 'late' } });
    const next = watch.next();
    ring();
    const silent = Symbol('silent');
    assert.equal((await api.get('/api/v1/namespaces/default/configmaps/late')).status, 200);
    assert.equal(await Promise.race([next, new Promise((resolve) => setImmediate(resolve, silent))]), silent);
    await fault.lift();
    assert.equal((await next).object.metadata.name, 'late', 'what came meanwhile is told before the end');
    assert.equal(await watch.next(), undefined, 'the end');
  });

  test('stalled altogether: requests wait', async () => {
    const fault = server.faults.stalled();
    const answer = api.get('/api/v1/nodes');
    while (fault.hits === 0) await new Promise((resolve) => setImmediate(resolve));
    await fault.lift();
    assert.equal((await answer).status, 200);
  });

  test('gone410: running watches end with an error, old versions are too old', async () => {
    const watch = await api.watch('/api/v1/nodes?watch=1&resourceVersion=1');
    const fault = server.faults.gone410();
    const event = await watch.next();
    assert.deepEqual([event.type, event.object.code, event.object.reason], ['ERROR', 410, 'Expired']);
    const again = await api.watch('/api/v1/nodes?watch=1&resourceVersion=1');
    assert.equal((await again.next()).object.code, 410);
    const list = await api.get('/api/v1/nodes?resourceVersion=1&resourceVersionMatch=Exact');
    assert.equal(list.status, 410);
    assert.equal(fault.hits, 1);
  });

  test('errors by rate, refusals by verb and resource, 429 a number of times', async () => {
    const some = server.faults.error500(0.6, { verb: 'list' });
    assert.equal((await api.get('/api/v1/nodes')).status, 500);
    await some.lift();
    const denied = server.faults.denied(403, { verb: 'list', resource: 'pods' });
    const refused = await api.get('/api/v1/pods');
    assert.match(refused.body.message, /cannot list resource "pods"/);
    assert.equal((await api.get('/api/v1/nodes')).status, 200);
    const watchList =
      'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
    assert.equal((await api.get(`/api/v1/pods?${watchList}`)).status, 403, 'a watch that begins with a list');
    assert.equal(denied.hits, 2);
    const watch = await api.watch(`/api/v1/pods?watch=1&resourceVersion=${server.store.revision}`);
    watch.close();
    assert.equal(denied.hits, 2, 'a watch that goes on from a version is none');
    await denied.lift();
    const busy = server.faults.busy(7, { times: 1 });
    const answer = await api.get('/api/v1/nodes');
    assert.deepEqual([answer.status, answer.headers['retry-after']], [429, '7']);
    assert.equal((await api.get('/api/v1/nodes')).status, 200);
    assert.equal(busy.hits, 1);
    const cut = server.faults.reset(1, { times: 1 });
    await assert.rejects(api.get('/api/v1/nodes'), /ECONNRESET|socket hang up/);
    assert.ok(cut.hits >= 1);
  });

  test('a fault that nothing met is told', () => {
    server.faults.denied(401, { resource: 'nothing' });
    assert.deepEqual(server.faults.unused(), ['denied 401']);
  });

  test('bookmarks carry the revision of now', async () => {
    const watch = await api.watch(
      `/api/v1/nodes?watch=1&resourceVersion=${server.store.revision}&allowWatchBookmarks=true`,
    );
    await api.post('/api/v1/namespaces/default/configmaps', { metadata: { name: 'other' } });
    ring();
    const mark = await watch.next();
    assert.deepEqual(
      [mark.type, mark.object.metadata.resourceVersion],
      ['BOOKMARK', String(server.store.revision)],
    );
    watch.close();
  });

  test('a wrong token is 401, health needs none', async () => {
    const guarded = await startApiServer({ token: 'right' });
    const wrong = await new RawApi({ url: guarded.url, token: 'wrong' }).get('/api/v1/nodes');
    assert.deepEqual([wrong.status, wrong.body.reason], [401, 'Unauthorized']);
    assert.equal((await new RawApi({ url: guarded.url }).get('/readyz')).body, 'ok');
    await guarded.close();
  });
});
