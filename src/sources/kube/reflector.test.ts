import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { afterEach, test } from 'node:test';
import { FakeClock } from '../../../test/support/fake-clock.ts';
import {
  type Asked,
  bookmark,
  type Handler,
  line,
  rawNode,
  reply,
  type ScriptedServer,
  scriptedServer,
  status,
} from '../../../test/support/kube-server.ts';
import { RecordingSink } from '../../../test/support/recording-sink.ts';
import { until } from '../../../test/support/until.ts';
import { Deadline } from '../../lab/deadline.ts';
import { type KubeClient, kubeClient } from './client.ts';
import type { Log } from './log.ts';
import { nodes } from './nodes.ts';
import { Reflector } from './reflector.ts';

interface Rig {
  readonly server: ScriptedServer;
  readonly sink: RecordingSink;
  readonly clock: FakeClock;
  readonly warnings: string[];
  /** Number of requests of one kind so far. */
  count(kind: Asked['kind']): number;
  /** Moves time a little, again and again, until something is true: for waits whose length is random. */
  pass(what: string, condition: () => boolean, step?: number): Promise<void>;
}

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

/** A server whose Nodes the test plays, and a reflector on it. Watches without an answer of the test's stay open and silent. */
async function rig(handle: Handler): Promise<Rig> {
  const server = await scriptedServer(handle);
  const clock = new FakeClock(Date.UTC(2026, 0, 2));
  const sink = new RecordingSink();
  const warnings: string[] = [];
  const log: Log = {
    debug: () => {},
    info: () => {},
    warn: (fields, message) => warnings.push(`${message} ${JSON.stringify(fields)}`),
  };
  const client: KubeClient = kubeClient({ server: server.url, timeout: 2000 });
  const reflector = new Reflector({ kind: nodes, client, sink, clock, random: () => 0.5, log });
  reflector.start();
  cleanups.push(async () => {
    await reflector.close();
    client.close();
    await server.close();
  });
  return {
    server,
    sink,
    clock,
    warnings,
    count: (kind) => server.asked.filter((a) => a.kind === kind).length,
    async pass(what, condition, step = 250) {
      const deadline = new Deadline(10_000);
      while (!condition()) {
        assert.ok(!deadline.passed, `not within 10 s: ${what}`);
        await clock.advance(step);
        // Time passes slowly enough for what travels over real sockets to arrive.
        for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
}

/** Answers a WatchList with these nodes at version `version`. */
function initial(response: ServerResponse, version: string, ...names: string[]): void {
  response.writeHead(200);
  for (const name of names) response.write(line('ADDED', rawNode(name, '1')));
  response.write(bookmark(version, true));
}

/** Answers a watch: writes what is given and leaves it open. */
function stream(response: ServerResponse, ...lines: string[]): ServerResponse {
  response.writeHead(200);
  response.flushHeaders();
  for (const text of lines) response.write(text);
  return response;
}

test('WatchList, then a watch from its version: added, changed, deleted, bookmarked', async () => {
  const r = await rig((asked, response) => {
    if (asked.kind === 'watch-list') return initial(response, '10', 'n1', 'n2');
    stream(
      response,
      line('ADDED', rawNode('n3', '11')),
      line('MODIFIED', rawNode('n1', '12', '10.9.0.0/24')),
      line('DELETED', rawNode('n2', '13')),
      bookmark('20'),
    );
    response.end();
  });
  assert.equal(r.sink.isReady('nodes'), false);
  await until('a second watch', () => r.count('watch') === 1 && r.sink.log.length >= 6);
  assert.deepEqual(r.sink.log, ['not ready', 'replace n1 n2', 'ready', 'put n3', 'put n1', 'remove n2']);
  assert.deepEqual([...(r.sink.table('nodes').get('n1')?.podCidrs ?? [])], ['10.9.0.0/24']);
  const [list, watch] = r.server.asked;
  assert.equal(list?.query.get('resourceVersionMatch'), 'NotOlderThan');
  assert.equal(list?.query.get('allowWatchBookmarks'), 'true');
  assert.equal(watch?.query.get('resourceVersion'), '10');
  await r.pass('watching on', () => r.count('watch') === 2);
  assert.equal(r.server.asked.at(-1)?.query.get('resourceVersion'), '20', 'from the bookmark on');
});

test('a heartbeat that changes nothing we use is not passed on', async () => {
  const beat = {
    ...rawNode('n1', '11'),
    status: { ...rawNode('n1', '11').status, conditions: [{ type: 'Ready' }] },
  };
  const r = await rig((asked, response) => {
    if (asked.kind === 'watch-list') return initial(response, '10', 'n1');
    stream(response, line('MODIFIED', beat), line('ADDED', rawNode('n2', '12')));
  });
  await until('the event after it', () => r.sink.table('nodes').has('n2'));
  assert.deepEqual(r.sink.log.slice(3), ['put n2']);
});

for (const [name, code, reason] of [
  ['refused as invalid (feature off)', 422, 'Invalid'],
  ['refused as a bad request (old server)', 400, 'BadRequest'],
  ['refused inside the stream (old etcd)', 200, 'InternalError'],
] as const) {
  test(`WatchList ${name}: pages of 500`, async () => {
    const r = await rig((asked, response) => {
      if (asked.kind === 'watch-list')
        return code === 200
          ? void stream(response, line('ERROR', status(500, reason, 'RequestWatchProgress is disabled')))
          : reply(response, code, status(code, reason, 'sendInitialEvents is forbidden'));
      if (asked.kind === 'watch') return void stream(response);
      const second = asked.query.get('continue') === 'more';
      reply(response, 200, {
        metadata: { resourceVersion: '77', ...(second ? {} : { continue: 'more' }) },
        items: [rawNode(second ? 'n2' : 'n1', '1')],
      });
    });
    await until('watching', () => r.count('watch') === 1);
    assert.deepEqual(r.sink.log, ['not ready', 'replace n1 n2', 'ready']);
    assert.equal(r.server.asked[1]?.query.get('limit'), '500');
    assert.equal(r.server.asked.at(-1)?.query.get('resourceVersion'), '77');
  });
}

test('a stream that ends without its last bookmark: pages', async () => {
  const r = await rig((asked, response) => {
    if (asked.kind === 'watch-list') {
      response.end(line('ADDED', rawNode('ghost', '1')));
    } else if (asked.kind === 'call') {
      reply(response, 200, { metadata: { resourceVersion: '5' }, items: [rawNode('n1', '1')] });
    } else stream(response);
  });
  await until('watching', () => r.count('watch') === 1);
  assert.deepEqual([...r.sink.table('nodes').keys()], ['n1']);
});

for (const inside of [true, false]) {
  test(`410 ${inside ? 'as an event in the watch' : 'as the answer'}: a new list finds missed deletes, the old objects stay meanwhile`, async () => {
    let lists = 0;
    let held: ServerResponse | undefined;
    const gone = status(410, 'Expired', 'too old resource version: 10 (99)');
    const r = await rig((asked, response) => {
      if (asked.kind === 'watch-list') {
        if (++lists === 1) return initial(response, '10', 'n1', 'n2');
        held = stream(response);
      } else if (lists === 1) {
        if (inside) stream(response, line('ERROR', gone)).end();
        else reply(response, 410, gone);
      } else stream(response);
    });
    await r.pass('a second list', () => held !== undefined);
    assert.deepEqual([...r.sink.table('nodes').keys()], ['n1', 'n2']);
    assert.equal(r.sink.isReady('nodes'), true);
    held?.write(line('ADDED', rawNode('n1', '90')) + bookmark('99', true));
    await until('replaced', () => r.sink.table('nodes').size === 1);
    assert.equal(r.count('watch-list'), 2);
  });
}

test('429 on the list: stays away as long as it is asked to', async () => {
  let lists = 0;
  const r = await rig((asked, response) => {
    if (asked.kind === 'watch') return void stream(response);
    if (++lists === 1)
      return reply(response, 429, status(429, 'TooManyRequests', 'slow down'), { 'retry-after': '20' });
    initial(response, '10', 'n1');
  });
  await until('the wait', () => r.warnings.length === 1);
  await r.clock.advance(19_900);
  assert.equal(lists, 1);
  assert.match(r.sink.notReadyReason.get('nodes') ?? '', /429 TooManyRequests/);
  await r.pass('ready', () => r.sink.isReady('nodes'));
});

test('a watch that falls silent is noticed and listed anew within 60 s', async () => {
  let lists = 0;
  const r = await rig((asked, response) => {
    if (asked.kind === 'watch-list') return initial(response, String(++lists * 10), 'n1', `list${lists}`);
    stream(response, line('ADDED', rawNode('n9', '11')));
  });
  await until('watching', () => r.sink.table('nodes').has('n9'));
  const began = r.clock.monotonic();
  await r.pass('listed anew', () => r.sink.table('nodes').has('list2'), 500);
  assert.ok(r.clock.monotonic() - began <= 60_000, `${r.clock.monotonic() - began} ms`);
  assert.ok(
    r.warnings.some((w) => w.includes('silent')),
    r.warnings.join(),
  );
  assert.ok(!r.sink.log.slice(1).includes('not ready'), 'its objects stay in use meanwhile');
});

test('a reset connection and a 500: watches on from the last version, without a list', async () => {
  let watches = 0;
  const r = await rig((asked, response) => {
    if (asked.kind === 'watch-list') return initial(response, '10', 'n1');
    watches++;
    if (watches === 1) {
      stream(response, line('ADDED', rawNode('n2', '11')));
      setImmediate(() => response.socket?.resetAndDestroy());
    } else if (watches === 2) reply(response, 500, status(500, 'InternalError', 'etcd has no leader'));
    else stream(response, line('ADDED', rawNode('n3', '12')));
  });
  await r.pass('the event after both', () => r.sink.table('nodes').has('n3'));
  assert.equal(r.count('watch-list'), 1);
  assert.equal(r.server.asked.at(-1)?.query.get('resourceVersion'), '11');
  assert.equal(r.sink.isReady('nodes'), true);
});

test('half a line, then the end: that event is taken from the next watch', async () => {
  let watches = 0;
  const whole = line('ADDED', rawNode('n2', '11'));
  const r = await rig((asked, response) => {
    if (asked.kind === 'watch-list') return initial(response, '10', 'n1');
    stream(response, ++watches === 1 ? whole.slice(0, 40) : whole);
    if (watches === 1) response.end();
  });
  await r.pass('the event', () => r.sink.table('nodes').has('n2'));
  assert.equal(r.server.asked.at(-1)?.query.get('resourceVersion'), '10');
});

test('a line that is not JSON: an error in the log, and on from the last version', async () => {
  let watches = 0;
  const r = await rig((asked, response) => {
    if (asked.kind === 'watch-list') return initial(response, '10', 'n1');
    stream(response, ++watches === 1 ? '<html>\n' : line('ADDED', rawNode('n2', '11')));
  });
  await r.pass('the event', () => r.sink.table('nodes').has('n2'));
  assert.match(r.warnings.join(), /not JSON/);
});

test('away for long: not ready, with the words and since when; ready again after a new list', async () => {
  let down = false;
  const r = await rig((asked, response) => {
    if (down) return reply(response, 503, status(503, 'ServiceUnavailable', 'shutting down'));
    if (asked.kind === 'watch-list') return initial(response, '10', 'n1');
    stream(response);
    down = true;
    setImmediate(() => response.socket?.destroy());
  });
  await until('ready', () => r.sink.isReady('nodes'));
  await r.pass('no longer trusted', () => !r.sink.isReady('nodes'));
  assert.ok(r.clock.monotonic() > 90_000);
  assert.match(
    r.sink.notReadyReason.get('nodes') ?? '',
    /since 2026-01-02T00:00:\S+: .*503 ServiceUnavailable/,
  );
  assert.equal(r.sink.table('nodes').size, 1, 'its objects are still there');
  down = false;
  await r.pass('ready again', () => r.sink.isReady('nodes'));
});

test('waits grow and are bounded', async () => {
  const at: number[] = [];
  const r = await rig((_, response) => {
    at.push(r.clock.monotonic());
    reply(response, 503, status(503, 'ServiceUnavailable', 'no'));
  });
  await r.pass('twelve tries', () => at.length >= 12, 10);
  const waits = at.slice(1).map((t, i) => t - (at[i] ?? 0));
  assert.ok((waits[0] ?? 0) < 600 && (waits.at(-1) ?? 0) >= 4000, waits.join());
  assert.ok(Math.max(...waits) <= 8500, waits.join());
});

test('a sink that fails does not end the watch, and a new list mends what it missed', async () => {
  let ended = false;
  const r = await rig((asked, response) => {
    if (asked.kind === 'watch-list') return initial(response, '10', 'n1', ...(ended ? ['n2', 'n3'] : []));
    if (ended) return void stream(response);
    stream(response, line('ADDED', rawNode('n2', '11')), line('ADDED', rawNode('n3', '12'))).end();
    ended = true;
  });
  r.sink.beforePut = (key) => {
    if (key === 'n2') throw new Error('no room');
  };
  await r.pass('mended', () => r.sink.table('nodes').has('n2'));
  assert.match(r.warnings.join(), /no room/);
});

test('an object without a name is left out', async () => {
  const r = await rig((asked, response) => {
    if (asked.kind === 'watch-list') return initial(response, '10', 'n1');
    stream(response, line('ADDED', { metadata: {} }), line('ADDED', rawNode('n2', '2')));
  });
  await until('the next', () => r.sink.table('nodes').has('n2'));
  assert.deepEqual([...r.sink.table('nodes').keys()], ['n1', 'n2']);
  assert.equal(r.warnings.length, 1);
});

test('the wall clock may jump', async () => {
  let watches = 0;
  const r = await rig((asked, response) => {
    if (asked.kind === 'watch-list') return initial(response, '10', 'n1');
    stream(response, ++watches === 2 ? line('ADDED', rawNode('n2', '11')) : bookmark('10')).end();
  });
  r.clock.jump(-5 * 365 * 86_400_000);
  await r.pass('the event', () => r.sink.table('nodes').has('n2'));
  r.clock.jump(50 * 365 * 86_400_000);
  await r.pass('one more watch', () => r.count('watch') >= 4);
  assert.equal(r.count('watch-list'), 1);
  assert.equal(r.sink.isReady('nodes'), true);
});
