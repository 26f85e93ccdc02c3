/** A kind whose CustomResourceDefinition is absent, comes, and goes. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { FakeClock } from '../../../test/support/fake-clock.ts';
import {
  bookmark,
  type Handler,
  line,
  reply,
  scriptedServer,
  status,
} from '../../../test/support/kube-server.ts';
import { RecordingSink } from '../../../test/support/recording-sink.ts';
import { until } from '../../../test/support/until.ts';
import { kubeClient } from './client.ts';
import { clusterNetworkPolicies } from './clusternetworkpolicies.ts';
import type { Log } from './log.ts';
import { followed } from './sources.ts';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function rig(handle: Handler) {
  const server = await scriptedServer(handle);
  const clock = new FakeClock();
  const sink = new RecordingSink();
  const lines: string[] = [];
  const note = (fields: object, message: string) => void lines.push(`${message} ${JSON.stringify(fields)}`);
  const log: Log = { debug: () => {}, info: note, warn: note };
  const client = kubeClient({ server: server.url, timeout: 2000 });
  const source = followed(clusterNetworkPolicies, { client, sink, clock, random: () => 0.5, log });
  cleanups.push(async () => {
    source.close();
    client.close();
    await server.close();
  });
  return {
    server,
    sink,
    lines,
    /** Lets `seconds` go by, slowly enough for what travels over real sockets to arrive. */
    async pass(seconds: number) {
      for (let quarter = 0; quarter < 4 * seconds; quarter++) {
        await clock.advance(250);
        for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
      }
    },
    table: () => [...sink.table('clusterNetworkPolicies').keys()],
    ready: () => sink.isReady('clusterNetworkPolicies'),
  };
}

const policy = (name: string, resourceVersion = '1') => ({
  metadata: { name, uid: name, resourceVersion },
  spec: { tier: 'Admin', priority: 1, subject: { namespaces: {} } },
});
const absent: Handler = (_, response) => reply(response, 404, '404 page not found\n');
const served =
  (...names: string[]): Handler =>
  (asked, response) => {
    if (asked.kind === 'call') return reply(response, 200, { metadata: { resourceVersion: '5' }, items: [] });
    response.writeHead(200);
    response.flushHeaders();
    if (asked.kind === 'watch') return;
    for (const name of names) response.write(line('ADDED', policy(name)));
    response.write(bookmark('10', true));
  };

test('absent: empty and ready at once; asked for every few seconds, then once a minute, by one request, without a word', async () => {
  const r = await rig(absent);
  await until('ready', r.ready);
  assert.deepEqual(r.sink.log, ['not ready', 'replace ', 'ready']);
  assert.equal(r.lines.length, 1, r.lines.join('\n'));
  assert.match(r.lines[0] ?? '', /does not have this kind/);
  const before = r.server.asked.length;
  await r.pass(60);
  const asked = r.server.asked.slice(before);
  assert.ok(asked.length >= 4 && asked.length <= 12, `${asked.length} requests in the first minute`);
  assert.ok(asked.every(({ kind, query }) => kind === 'call' && query.get('limit') === '1'));
  await r.pass(120);
  const later = r.server.asked.length;
  await r.pass(120);
  const rare = r.server.asked.length - later;
  assert.ok(rare >= 1 && rare <= 4, `${rare} requests in two later minutes`);
  assert.deepEqual([r.lines.length, r.sink.log.length], [1, 3], 'nothing was told again');
});

test('it comes: followed within seconds', async () => {
  const r = await rig(absent);
  await until('ready', r.ready);
  r.server.handle = served('a', 'b');
  await r.pass(8);
  await until('the policies', () => r.table().length === 2);
  assert.deepEqual(r.sink.log.slice(3), ['replace a b', 'ready']);
});

test('it goes: the policies stop after a moment of doubt, and one line is told', async () => {
  const r = await rig(served('a'));
  await until('the policy', () => r.table().length === 1);
  await until('a watch', () => r.server.asked.some(({ kind }) => kind === 'watch'));
  r.server.handle = absent;
  const told = r.lines.length;
  // The watch ends when its time is over.
  await r.pass(45);
  assert.deepEqual([r.table(), r.ready()], [['a'], true], 'a server that is just starting says the same');
  await r.pass(30);
  assert.deepEqual([r.table(), r.ready()], [[], true]);
  await r.pass(120);
  const words = r.lines.slice(told).filter((words) => !/stalled|silent/.test(words));
  assert.equal(words.length, 1, words.join('\n'));
  assert.equal(r.sink.log.filter((entry) => entry.startsWith('not ready')).length, 1);
});

test('it is missing for a moment only: nothing happens', async () => {
  const r = await rig(served('a'));
  await until('the policy', () => r.table().length === 1);
  await until('a watch', () => r.server.asked.some(({ kind }) => kind === 'watch'));
  r.server.handle = absent;
  const before = r.server.asked.length;
  for (let i = 0; i < 60 && r.server.asked.length < before + 2; i++) await r.pass(1);
  r.server.handle = served('a');
  await r.pass(20);
  assert.deepEqual([r.table(), r.ready()], [['a'], true]);
  assert.ok(!r.sink.log.includes('replace '), r.sink.log.join());
});

test('it comes and goes again and again', async () => {
  const r = await rig(absent);
  await until('ready', r.ready);
  for (let round = 0; round < 3; round++) {
    r.server.handle = served(`p${round}`);
    await r.pass(15);
    await until('there', () => r.table().includes(`p${round}`));
    r.server.handle = absent;
    await r.pass(75);
    await until('gone', () => r.table().length === 0);
  }
  assert.equal(r.ready(), true);
});

test('403 is no absence: not ready, and the missing permission is named', async () => {
  const r = await rig((_, response) =>
    reply(response, 403, status(403, 'Forbidden', 'clusternetworkpolicies is forbidden')),
  );
  await until('told', () => /apiGroups/.test(r.sink.notReadyReason.get('clusterNetworkPolicies') ?? ''));
  assert.match(
    r.sink.notReadyReason.get('clusterNetworkPolicies') ?? '',
    /apiGroups: \["policy\.networking\.k8s\.io"\], resources: \["clusternetworkpolicies"\], verbs: \["watch"\], in a ClusterRole/,
  );
});
