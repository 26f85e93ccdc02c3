/** An agent that is there and says nothing must not hold anybody up for ever. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { Client } from './client.ts';
import { holderOf } from './holder.ts';

const HEADERS = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n';
const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;

let dir = '';
let path = '';
let server: Server | undefined;
const sockets: Socket[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fairlead-client-'));
  path = join(dir, 'agent.sock');
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server?.close();
  rmSync(dir, { recursive: true });
});

/** Accepts, says `words` to the first bytes, and nothing more. */
function says(words: string): Promise<void> {
  server = createServer((socket) => {
    sockets.push(socket);
    socket.once('error', () => undefined);
    socket.once('data', () => socket.write(words));
  });
  return new Promise((resolve) => server?.listen(path, resolve));
}

test('silence ends with a message that names the process and what to do', async () => {
  await says('');
  const client = new Client(path, 100);
  const wanted = {
    code: 'no-answer',
    message: new RegExp(
      `^the agent \\(pid ${process.pid}, .+\\) holds ${path} and does not answer for 0\\.1 s$`,
    ),
    hint: /its log/,
  };
  await assert.rejects(client.get('/v1/status'), wanted);
  await assert.rejects(client.post('/v1/plan', {}), wanted);
  await assert.rejects(client.lines('/v1/watch').next(), wanted);
});

test('half an answer is none', async () => {
  await says(HEADERS + chunk('{"half":'));
  const client = new Client(path, 100);
  await assert.rejects(client.get('/v1/status'), { code: 'no-answer' });
  await assert.rejects(client.lines('/v1/watch').next(), { code: 'no-answer' });
});

test('a stream may be silent after its first line, for as long as it lives', async () => {
  await says(HEADERS + chunk('{"n":1}\n'));
  const lines = new Client(path, 500).lines('/v1/watch');
  assert.deepEqual(await lines.next(), { value: { n: 1 }, done: false });
  const next = lines.next();
  const patient = new Promise((resolve) => setTimeout(resolve, 1_000, 'silent'));
  assert.equal(await Promise.race([next.catch(() => 'failed'), patient]), 'silent');
  for (const socket of sockets.splice(0)) socket.destroy();
  assert.deepEqual(await next, { value: undefined, done: true }, 'the agent went away');
});

test('nobody holds a socket that is not there', () => assert.equal(holderOf(path), undefined));

test('the command says so, and ends with exit code 4', async () => {
  await says('');
  const main = join(import.meta.dirname, 'main.ts');
  const child = spawn(process.execPath, [main, 'drift', '--socket', path]);
  let words = '';
  child.stderr.on('data', (data: Buffer) => {
    words += data.toString();
  });
  const code = await new Promise((resolve) => child.once('exit', resolve));
  assert.match(words, /^fairlead: the agent .*does not answer for 5 s \(/);
  assert.equal(code, 4);
});
