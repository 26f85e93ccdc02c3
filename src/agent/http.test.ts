import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { until } from '../../test/support/until.ts';
import { Client } from '../cli/client.ts';
import { FairleadError } from '../model/errors.ts';
import { answers, claimSocket } from './claim.ts';
import { httpServer, type LineWriter, type Routes } from './http.ts';

let dir = '';
const servers: Server[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fairlead-agent-'));
});
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
  rmSync(dir, { recursive: true, force: true });
});

async function serve(routes: Routes | undefined): Promise<Client> {
  const server = httpServer(() => routes);
  servers.push(server);
  return new Client(await claimSocket(server, dir));
}

describe('the socket', () => {
  it('belongs to its owner alone', async () => {
    await serve({});
    assert.equal(statSync(join(dir, 'agent.sock')).mode & 0o777, 0o600);
  });

  it('is refused to a second agent, which touches nothing', async () => {
    const client = await serve({ 'GET /v1/x': () => ({ json: 1 }) });
    const second = createServer();
    await assert.rejects(claimSocket(second, dir), /another agent is running with the state folder/);
    assert.equal(second.listening, false);
    assert.equal(await client.get('/v1/x'), 1);
  });

  it('goes to exactly one of several that start at once', async () => {
    const many = Array.from({ length: 5 }, (_, i) => ({ server: createServer(), dir: dir, i }));
    const results = await Promise.allSettled(many.map(({ server }) => claimSocket(server, dir)));
    for (const { server } of many) if (server.listening) servers.push(server);
    assert.equal(results.filter((r) => r.status === 'fulfilled').length, 1);
    assert.ok(await answers(join(dir, 'agent.sock')));
  });

  it('that a killed agent left is taken over', async () => {
    const dead = createServer();
    await new Promise<void>((done) => dead.listen(join(dir, 'other'), done));
    const { linkSync } = await import('node:fs');
    linkSync(join(dir, 'other'), join(dir, 'agent.sock'));
    await new Promise((done) => dead.close(done));
    assert.equal(await answers(join(dir, 'agent.sock')), false);
    const client = await serve({ 'GET /v1/x': () => ({ json: 2 }) });
    assert.equal(await client.get('/v1/x'), 2);
  });

  it('is made in the place of a file that is no socket', async () => {
    writeFileSync(join(dir, 'agent.sock'), '');
    const client = await serve({ 'GET /v1/x': () => ({ json: 3 }) });
    assert.equal(await client.get('/v1/x'), 3);
  });

  it('whose path is too long is refused in clear words', async () => {
    await assert.rejects(claimSocket(createServer(), join(dir, 'x'.repeat(120))), /longer than 107 bytes/);
  });

  it("cannot be in the kernel's file systems, by whatever path", async () => {
    symlinkSync('/proc', join(dir, 'link'));
    for (const [place, root] of [
      ['/proc/none/run', '/proc'],
      ['/sys/none', '/sys'],
      [join(dir, 'link/none/run'), '/proc'],
      [`${dir}/../../../../proc/none/run`, '/proc'],
    ] as const)
      await assert.rejects(claimSocket(createServer(), place), {
        code: 'state-dir',
        message: `the state folder ${place} is in ${root}, which is the kernel's`,
      });
    const inside = join(dir, 'new/proc');
    const server = createServer();
    servers.push(server);
    assert.equal(await claimSocket(server, inside), join(inside, 'agent.sock'), 'a name is no file system');
  });
});

describe('the API', () => {
  it('answers with the error, its code and its hint', async () => {
    const client = await serve({
      'GET /v1/bad': () => {
        throw new FairleadError('bad-request', 'no', { hint: 'say yes' });
      },
      'GET /v1/broken': () => {
        throw new Error('oh');
      },
    });
    await assert.rejects(client.get('/v1/bad'), { code: 'bad-request', message: 'no', hint: 'say yes' });
    await assert.rejects(client.get('/v1/broken'), { code: 'internal', message: 'oh' });
    await assert.rejects(client.get('/v1/none'), /there is no GET \/v1\/none/);
  });

  it('says that it is starting while it is', async () => {
    const client = await serve(undefined);
    await assert.rejects(client.get('/v1/status'), { code: 'starting' });
  });

  it('takes JSON and refuses what is none or too large', async () => {
    const client = await serve({ 'POST /v1/echo': async (r) => ({ json: await r.body() }) });
    assert.deepEqual(await client.post('/v1/echo', { a: 1 }), { a: 1 });
    const longest = 'x'.repeat((8 << 20) - 2);
    assert.equal(await client.post('/v1/echo', longest), longest);
    for (const more of [1, 40 << 20])
      await assert.rejects(client.post('/v1/echo', `${longest}${'x'.repeat(more)}`), {
        code: 'too-large',
        message: `the body has ${(8 << 20) + more} bytes; at most ${8 << 20} are read`,
      });
  });

  it('streams, the last state winning while the reader is slow, and stops when the reader leaves', async () => {
    let write: LineWriter = () => {};
    let closed = false;
    const client = await serve({
      'GET /v1/watch': () => ({
        stream: (w) => {
          write = w;
          w({ n: 0 });
          return { close: () => (closed = true) };
        },
      }),
    });
    const lines = client.lines<{ n: number; pad?: string }>('/v1/watch');
    assert.deepEqual((await lines.next()).value, { n: 0 });
    const pad = 'x'.repeat(200_000);
    for (let n = 1; n <= 500; n++) write({ n, pad });
    let count = 0;
    for await (const { n } of lines) {
      count++;
      if (n === 500) break;
    }
    assert.ok(count < 500, `${count} lines came: none was left out`);
    await until('the source is closed', () => closed);
  });

  it('is told apart from no agent', async () => {
    await assert.rejects(new Client(join(dir, 'agent.sock')).get('/v1/status'), { code: 'no-agent' });
  });
});
