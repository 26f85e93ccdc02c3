/** The client suite's questions about watches. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WatchEvent } from '../../src/sources/kube/decode.ts';
import { statusError } from '../../src/sources/kube/errors.ts';
import { record } from '../../src/sources/kube/raw.ts';
import { configMaps, NO_EVENT, nameOf, refusal, type Suite, versionOf } from './client-suite-run.ts';

const isEnd = (event: WatchEvent): boolean =>
  event.type === 'BOOKMARK' &&
  record(record(event.object.metadata).annotations)['k8s.io/initial-events-end'] === 'true';

export function watchTests(s: Suite): void {
  const initial = {
    sendInitialEvents: true,
    resourceVersionMatch: 'NotOlderThan',
    allowWatchBookmarks: true,
  };

  test('WatchList: all objects, then the bookmark that ends them, then what changes', async () => {
    await s.configMap('wl-a');
    await s.configMap('wl-b');
    let wrote: Promise<unknown> | undefined;
    const seen = await s.events(configMaps, { ...initial, ...s.mark, timeoutSeconds: 30 }, (events) => {
      if (events.some(isEnd)) wrote ??= s.configMap('wl-c');
      return events.length > 1 && isEnd(events.at(-2) ?? NO_EVENT);
    });
    await wrote;
    const end = seen.findIndex(isEnd);
    const names = seen.slice(0, end).map((e) => nameOf(e.object));
    assert.ok(names.includes(s.name('wl-a')) && names.includes(s.name('wl-b')), names.join());
    assert.ok(versionOf(seen[end]?.object ?? {}) !== '');
    assert.equal(nameOf(seen[end + 1]?.object ?? {}), s.name('wl-c'));
  });

  test('a watch from a version: added, modified, deleted, in order, each with its version', async () => {
    const { resourceVersion } = await s.client.list(configMaps, s.mark, () => {});
    const ref = await s.configMap('w', { a: '1' });
    await s.client.patch(ref, 'merge', { data: { a: '2' } });
    await s.client.delete(ref);
    const seen = await s.events(configMaps, { ...s.mark, resourceVersion }, (events) => events.length === 3);
    assert.deepEqual(
      seen.map((e) => [e.type, record(e.object.data).a]),
      [
        ['ADDED', '1'],
        ['MODIFIED', '2'],
        ['DELETED', '2'],
      ],
    );
    const versions = seen.map((e) => Number(versionOf(e.object)));
    assert.deepEqual(
      versions.toSorted((a, b) => a - b),
      versions,
    );
    assert.equal(new Set(versions).size, 3);
    const [, changed] = seen;
    const rest = { ...s.mark, resourceVersion: versionOf(changed?.object ?? {}) };
    const resumed = await s.events(configMaps, rest, (events) => events.length === 1);
    assert.equal(resumed[0]?.type, 'DELETED', 'resumes after the version named');
  });

  test('an object that leaves the selection is DELETED for the watcher', async () => {
    const { resourceVersion } = await s.client.list(configMaps, s.mark, () => {});
    const ref = await s.configMap('leaves');
    await s.client.patch(ref, 'merge', { metadata: { labels: { run: 'other' } } });
    const seen = await s.events(configMaps, { ...s.mark, resourceVersion }, (events) => events.length === 2);
    assert.deepEqual(
      seen.map((e) => e.type),
      ['ADDED', 'DELETED'],
    );
  });

  test('the server ends a watch after timeoutSeconds', async () => {
    const { resourceVersion } = await s.client.list(configMaps, s.mark, () => {});
    await s.events(configMaps, { ...s.mark, resourceVersion, timeoutSeconds: 1 }, () => false);
  });

  test('a version from long ago: 410, as an answer or as an event', async () => {
    // Events are the one kind that kube-apiserver keeps no watch cache of, so that its store's compaction shows at once.
    const events = { group: '', version: 'v1', resource: 'events', namespace: 'default' };
    await s.configMap('before');
    await s.server.forget();
    const gone = (async () => {
      const [first] = await s.events(events, { resourceVersion: 1 }, (seen) => seen.length === 1);
      throw statusError(500, (first ?? NO_EVENT).object, undefined, { verb: 'watch', ref: events });
    })();
    const error = await refusal(gone);
    assert.deepEqual([error.status, error.code], [410, 'kube-gone']);
    assert.ok(['Expired', 'Gone'].includes(error.reason), error.reason);
  });
}
