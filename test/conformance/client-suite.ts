/**
 * What our Kubernetes client, sources and targets rely on, asked of any API server. Run against the lab's and the real one:
 * a difference between the two is a bug of ours.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { kubeClient } from '../../src/sources/kube/client.ts';
import { array, record, text } from '../../src/sources/kube/raw.ts';
import { NODES } from '../../src/sources/kube/resource.ts';
import { configMaps, nameOf, refusal, type ServerUnderTest, Suite, versionOf } from './client-suite-run.ts';
import { sourceTests, targetTests } from './client-suite-targets.ts';
import { watchTests } from './client-suite-watch.ts';

/** Everything below, against the server that `start` gives. Leaves nothing behind on it but events. */
export function clientSuite(name: string, start: () => Promise<ServerUnderTest>): void {
  describe(`client against ${name}`, () => {
    const s = new Suite(start);
    before(() => s.open());
    after(() => s.close());
    readTests(s);
    watchTests(s);
    writeTests(s);
    sourceTests(s);
    targetTests(s);
  });
}

function readTests(s: Suite): void {
  test('a list in pages: every object once, one version for all pages', async () => {
    for (let i = 0; i < 7; i++) await s.configMap(`page-${i}`);
    const seen: string[] = [];
    const versions = new Set<string>();
    let next: string | undefined;
    let pages = 0;
    do {
      const query = { ...s.mark, limit: 3, continue: next };
      const page = await s.client.list(configMaps, query, (item) => seen.push(nameOf(item)));
      versions.add(page.resourceVersion);
      next = page.next || undefined;
      pages++;
    } while (next);
    assert.deepEqual(
      seen.sort(),
      [0, 1, 2, 3, 4, 5, 6].map((i) => s.name(`page-${i}`)),
    );
    assert.equal(pages, 3);
    assert.equal(versions.size, 1);
  });

  test('a continue token that is none', async () => {
    const error = await refusal(s.client.list(configMaps, { limit: 1, continue: 'nonsense' }, () => {}));
    assert.equal(error.status, 400);
  });

  test('an object that is not there: 404', async () => {
    const error = await refusal(s.client.get({ ...NODES, name: 'nobody' }));
    assert.deepEqual([error.code, error.reason], ['kube-not-found', 'NotFound']);
  });

  test('a token that the server does not know: 401', async () => {
    const client = kubeClient(s.server.stranger);
    assert.equal((await refusal(client.get({ ...NODES, name: 'x' }))).status, 401);
    client.close();
  });

  test('what we may not do: 403, naming the permission', async (t) => {
    if (!s.server.powerless) return t.diagnostic('this server allows everything to whom it knows');
    const client = kubeClient(s.server.powerless);
    const forbidden = await refusal(client.list(NODES, {}, () => {}));
    assert.equal(forbidden.status, 403);
    assert.match(forbidden.hint ?? '', /resources: \["nodes"\], verbs: \["list"\]/);
    client.close();
  });
}

function writeTests(s: Suite): void {
  test('conflicts: an old version, a name that is taken', async () => {
    const ref = await s.configMap('conflict', { a: '1' });
    const old = await s.client.get(ref);
    await s.client.update(ref, { ...old, data: { a: '2' } });
    const stale = await refusal(s.client.update(ref, { ...old, data: { a: '3' } }));
    assert.deepEqual([stale.status, stale.reason], [409, 'Conflict']);
    const taken = await refusal(s.configMap('conflict'));
    assert.deepEqual([taken.status, taken.reason], [409, 'AlreadyExists']);
  });

  test('an update that changes nothing keeps the version', async () => {
    const ref = await s.configMap('same', { a: '1' });
    const old = await s.client.get(ref);
    assert.equal(versionOf(await s.client.update(ref, old)), versionOf(old));
  });

  test('patches: JSON, merge, strategic, apply', async () => {
    const ref = await s.configMap('patch', { a: '1', b: '1' });
    await s.client.patch(ref, 'json', [
      { op: 'test', path: '/data/a', value: '1' },
      { op: 'replace', path: '/data/a', value: '2' },
    ]);
    await s.client.patch(ref, 'merge', { data: { b: null, c: '3' } });
    await s.client.patch(ref, 'strategic', { data: { d: '4' } });
    assert.deepEqual((await s.client.get(ref)).data, { a: '2', c: '3', d: '4' });
    const failed = await refusal(s.client.patch(ref, 'json', [{ op: 'test', path: '/data/a', value: 'no' }]));
    assert.equal(failed.status, 422);

    const applied = { ...ref, name: s.name('applied') };
    const body = (data: object) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: applied.name, labels: { run: s.run } },
      data,
    });
    const mine = { fieldManager: 'mine' };
    await s.client.patch(applied, 'apply', body({ x: '1', y: '1' }), mine);
    await s.client.patch(applied, 'apply', body({ x: '1' }), mine);
    assert.deepEqual((await s.client.get(applied)).data, { x: '1' }, 'what is no longer applied goes');
    const other = await refusal(
      s.client.patch(applied, 'apply', body({ x: '2' }), { fieldManager: 'other' }),
    );
    assert.equal(other.status, 409);
    await s.client.patch(applied, 'apply', body({ x: '2' }), { fieldManager: 'other', force: true });
    await s.client.delete(applied);
  });

  test('the status subresource changes the status only, the object the rest only', async () => {
    const ref = await s.node('status');
    const condition = { type: 'Ready', status: 'True', reason: 'Suite', message: '' };
    const status = { ...ref, subresource: 'status' };
    await s.client.patch(status, 'merge', {
      spec: { unschedulable: true },
      status: { conditions: [condition] },
    });
    await s.client.patch(ref, 'merge', { metadata: { labels: { seen: 'yes' } }, status: { conditions: [] } });
    const found = await s.client.get(ref);
    assert.equal(record(found.spec).unschedulable, undefined);
    assert.equal(record(record(found.metadata).labels).seen, 'yes');
    assert.equal(record(array(record(found.status).conditions)[0]).reason, 'Suite');
  });

  test('deleted is gone, with a finalizer only once that is', async () => {
    const ref = await s.configMap('finalizer');
    await s.client.patch(ref, 'merge', { metadata: { finalizers: ['example.com/wait'] } });
    await s.client.delete(ref);
    assert.notEqual(text(record((await s.client.get(ref)).metadata).deletionTimestamp), '');
    await s.client.patch(ref, 'merge', { metadata: { finalizers: null } });
    assert.equal((await refusal(s.client.get(ref))).status, 404);
  });
}
