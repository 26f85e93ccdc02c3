/** Watches, for `server-suite.ts`. */
import assert from 'node:assert/strict';
import { type Cases, configMap, done, names, pod } from './server-suite-case.ts';

export const watchCases: Cases = {
  'a watch from a list tells what came after it'({ api, path }) {
    return done(async () => {
      await api.post(`${path}/secrets`, { metadata: { name: 'before' } });
      const { body } = await api.get(`${path}/secrets`);
      const watch = await api.watch(
        `${path}/secrets?watch=true&resourceVersion=${body.metadata.resourceVersion}`,
      );
      await api.post(`${path}/secrets`, { metadata: { name: 'x' } });
      await api.patch('merge', `${path}/secrets/x`, { metadata: { labels: { a: 'b' } } });
      const { body: last } = await api.get(`${path}/secrets/x`);
      await api.delete(`${path}/secrets/x`);
      assert.deepEqual(await watch.names(2), ['ADDED x', 'MODIFIED x']);
      const gone = await watch.next();
      assert.equal(gone.type, 'DELETED');
      assert.equal(gone.object.metadata.uid, last.metadata.uid);
      assert.ok(Number(gone.object.metadata.resourceVersion) > Number(last.metadata.resourceVersion));
      assert.equal(gone.object.kind, 'Secret');
      watch.close();
    });
  },
  'a watch resumes where another ended, and ends after timeoutSeconds'({ api, path }) {
    return done(async () => {
      const first = await api.post(`${path}/secrets`, { metadata: { name: 'a' } });
      await api.post(`${path}/secrets`, { metadata: { name: 'b' } });
      const version = first.body.metadata.resourceVersion;
      const watch = await api.watch(`${path}/secrets?watch=1&resourceVersion=${version}&timeoutSeconds=1`);
      assert.deepEqual(await watch.names(2), ['ADDED b']);
    });
  },
  'resourceVersion 0 begins with what is there'({ api, path }) {
    return done(async () => {
      await api.post(`${path}/secrets`, { metadata: { name: 'a' } });
      const listed = await api.get(`${path}/secrets`);
      assert.deepEqual(names(listed.body), ['a']);
      const watch = await api.watch(`${path}/secrets?watch=1&resourceVersion=0`);
      assert.deepEqual(await watch.names(1), ['ADDED a']);
      watch.close();
    });
  },
  'a selector turns changes into ADDED and DELETED'({ api, path }) {
    return done(async () => {
      const { body } = await api.get(`${path}/configmaps`);
      const from = `watch=true&resourceVersion=${body.metadata.resourceVersion}`;
      const watch = await api.watch(`${path}/configmaps?${from}&labelSelector=on%3Dyes`);
      await api.post(`${path}/configmaps`, configMap('s', { on: 'no' }));
      await api.patch('merge', `${path}/configmaps/s`, { metadata: { labels: { on: 'yes' } } });
      await api.patch('merge', `${path}/configmaps/s`, { data: { more: '1' } });
      const off = await api.patch('merge', `${path}/configmaps/s`, { metadata: { labels: { on: 'no' } } });
      assert.deepEqual(await watch.names(2), ['ADDED s', 'MODIFIED s']);
      const gone = await watch.next();
      assert.equal(gone.type, 'DELETED');
      assert.equal(gone.object.metadata.labels.on, 'yes', 'the object as it last matched');
      assert.equal(gone.object.metadata.resourceVersion, off.body.metadata.resourceVersion);
      watch.close();
    });
  },
  'field selectors in watches'({ api, path }) {
    return done(async () => {
      const { body } = await api.get(`${path}/pods`);
      const from = `watch=true&resourceVersion=${body.metadata.resourceVersion}`;
      const watch = await api.watch(`${path}/pods?${from}&fieldSelector=spec.nodeName%3Dn1`);
      await api.post(`${path}/pods`, pod('other', { nodeName: 'n2' }));
      await api.post(`${path}/pods`, pod('mine', { nodeName: 'n1' }));
      assert.deepEqual(await watch.names(1), ['ADDED mine']);
      watch.close();
    });
  },
  'a watch list: everything, then a bookmark that says so, then changes'(c) {
    return watchList(c);
  },
  'sendInitialEvents needs resourceVersionMatch'({ api, path }) {
    return done(async () => {
      const { status, body } = await api.get(`${path}/pods?watch=1&sendInitialEvents=true&timeoutSeconds=1`);
      assert.equal(status, 422);
      assert.equal(body.details.causes[0].field, 'resourceVersionMatch');
    });
  },
  'after compaction: lists and tokens 410, with a token to go on'(c) {
    return compaction(c);
  },
};

const watchList: Cases[string] = async ({ api, path }) => {
  await api.post(`${path}/secrets`, { metadata: { name: 'a' } });
  await api.post(`${path}/secrets`, { metadata: { name: 'b' } });
  const query = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
  const watch = await api.watch(`${path}/secrets?${query}`);
  const first = await watch.next();
  const second = await watch.next();
  assert.deepEqual([first, second].map((e) => `${e.type} ${e.object.metadata.name}`).sort(), [
    'ADDED a',
    'ADDED b',
  ]);
  const mark = await watch.next();
  assert.equal(mark.type, 'BOOKMARK');
  assert.equal(mark.object.metadata.annotations['k8s.io/initial-events-end'], 'true');
  assert.ok(Number(mark.object.metadata.resourceVersion) > 0);
  await api.post(`${path}/secrets`, { metadata: { name: 'c' } });
  assert.deepEqual(await watch.names(1), ['ADDED c']);
  watch.close();
  return undefined;
};

const compaction: Cases[string] = async ({ api, path, namespace }) => {
  if (!api.canCompact) return 'this run cannot compact the history of the server';
  // Events are the one kind that the real server keeps no cache of, so that its store's compaction shows at once.
  const events = `${path}/events`;
  const involvedObject = { kind: 'Namespace', name: namespace, namespace };
  for (const name of ['a', 'b', 'c']) await api.post(events, { metadata: { name }, involvedObject });
  const { status, body: later } = await api.post(events, { metadata: { name: 'd' }, involvedObject });
  assert.equal(status, 201);
  // Tokens have one form.
  const token = Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: 1, start: 'a\u0000' })).toString(
    'base64url',
  );
  await api.compact(Number(later.metadata.resourceVersion));
  const exact = await api.get(`${events}?resourceVersion=1&resourceVersionMatch=Exact`);
  assert.equal(exact.status, 410);
  assert.equal(exact.body.reason, 'Expired');
  const second = await api.get(`${events}?limit=1&continue=${token}`);
  assert.equal(second.status, 410);
  assert.equal(second.body.reason, 'Expired');
  assert.match(second.body.message, /^The provided continue parameter is too old/);
  const rest = await api.get(`${events}?continue=${second.body.metadata.continue}`);
  assert.equal(rest.status, 200);
  assert.deepEqual(names(rest.body), ['b', 'c', 'd']);
  return undefined;
};
