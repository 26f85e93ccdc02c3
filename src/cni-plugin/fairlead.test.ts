import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { globSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { fc, runs } from '../../test/support/property.ts';

const dir = mkdtempSync(join(tmpdir(), 'fairlead-plugin-'));
const socket = join(dir, 'agent.sock');
/** Milliseconds that a plugin waits where the shipped one waits 5 to 45 s. One of them for those whose wait must end. */
const [PATIENCE, HASTE] = [30_000, 400];
const [patient, hasty] = [build(PATIENCE), build(HASTE)];
after(() => rmSync(dir, { recursive: true, force: true }));

const RESULT = { cniVersion: '1.0.0', ips: [{ address: '10.244.1.7/24' }] };
const CONF = {
  cniVersion: '1.0.0',
  name: 'fairlead',
  type: 'fairlead',
  prevResult: { socket: '/wrong/depth', ...RESULT },
  socket,
};

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly ms: number;
}

let open: Server | undefined;
const sockets = new Set<Socket>();
afterEach(() => {
  for (const one of sockets) one.destroy();
  open?.close();
  open = undefined;
});

test('VERSION needs nothing', async () => {
  const { code, out } = await plugin('VERSION', { conf: '' });
  assert.deepEqual([code, JSON.parse(out).supportedVersions.includes('1.0.0')], [0, true]);
});

test('ADD hands over the variables and the configuration as they are, and the answer back', async () => {
  let seen: { url: URL; method: string | undefined; body: string } | undefined;
  await agent(async (request, response) => {
    const url = new URL(request.url ?? '', 'http://agent');
    seen = { url, method: request.method, body: await bodyOf(request) };
    response.end(JSON.stringify(RESULT));
  });
  const args = 'IgnoreUnknown=1;K8S_POD_NAMESPACE=a;K8S_POD_NAME=b&c=d %/ü"';
  const { code, out } = await plugin('ADD', { env: { CNI_ARGS: args } });
  assert.deepEqual([code, out], [0, JSON.stringify(RESULT)]);
  assert.equal(seen?.method, 'POST');
  assert.equal(seen?.url.pathname, '/v1/cni');
  assert.deepEqual(Object.fromEntries(seen?.url.searchParams ?? []), {
    command: 'ADD',
    containerId: 'c0ffee',
    netns: '/run/netns/x',
    ifname: 'eth0',
    args,
  });
  assert.deepEqual(JSON.parse(seen?.body ?? ''), CONF);
});

test("the agent's error object is the plugin's, and any other refusal is told in one", async () => {
  const error = { cniVersion: '1.0.0', code: 11, msg: 'not yet', details: '' };
  await agent((_, response) => send(response, 422, JSON.stringify(error)));
  assert.deepEqual(errorOf(await plugin('ADD')), error);
  open?.close();
  await agent((_, response) => send(response, 404, '{"error":{"code":"not-found"}}'));
  const refused = errorOf(await plugin('ADD'));
  assert.equal(refused.code, 100);
  assert.match(refused.details, /not-found/);
});

test('ADD waits for an agent that is away, starting, or dies while it works', async () => {
  const asked: number[] = [];
  const started = plugin('ADD');
  await agent((_, response) => {
    asked.push(asked.length);
    if (asked.length === 1) send(response, 503, '{}');
    else if (asked.length === 2) response.destroy();
    else if (asked.length === 3) {
      response.writeHead(200, { 'content-length': 100 });
      response.write('half');
      response.destroy();
    } else response.end(JSON.stringify(RESULT));
  });
  const { code, out } = await started;
  assert.deepEqual([code, out, asked.length], [0, JSON.stringify(RESULT), 4]);
});

test('an agent that stays away: code 11 with what to do; STATUS says 50', async () => {
  const { code, msg, details } = errorOf(await plugin('ADD', { program: hasty }));
  assert.equal(code, 11);
  assert.match(`${msg}; ${details}`, /did not answer; nobody listens on .*agent\.sock.*kubectl get pods/);
  assert.equal(errorOf(await plugin('STATUS', { program: hasty })).code, 50);
  assert.equal(errorOf(await plugin('CHECK', { program: hasty })).code, 11);
});

test('DEL and GC succeed whatever the agent does, and do not wait for one that is away', async () => {
  for (const command of ['DEL', 'GC']) {
    const gone = await plugin(command);
    assert.deepEqual([gone.code, gone.out], [0, '']);
    assert.ok(gone.ms < PATIENCE, `${gone.ms} ms`);
    assert.equal((await plugin(command, { conf: '{' })).code, 0, 'a broken configuration');
    await agent((_, response) => send(response, 422, '{"code":11}'));
    assert.deepEqual([(await plugin(command)).code, ''], [0, '']);
    open?.close();
    await raw(() => {});
    const silent = await plugin(command, { program: hasty });
    assert.equal(silent.code, 0);
    assert.ok(silent.ms >= HASTE, `${silent.ms} ms`);
    open?.close();
  }
});

test('an agent that takes the request and never answers: code 11 in the end', async () => {
  await raw(() => {});
  const outcome = await plugin('ADD', { program: hasty });
  assert.match(errorOf(outcome).details, /no answer in time/);
});

test('without a socket nobody is asked: ADD gives back the result before it', async () => {
  const { socket: _, ...conf } = { ...CONF, prevResult: { ...RESULT, odd: ['}', '"\\\\', { deep: {} }] } };
  const { code, out } = await plugin('ADD', { conf: JSON.stringify(conf) });
  assert.deepEqual([code, out], [0, JSON.stringify(conf.prevResult)]);
  for (const command of ['CHECK', 'DEL', 'GC', 'STATUS']) {
    const { code, out } = await plugin(command, { conf: JSON.stringify(conf) });
    assert.deepEqual([command, code, out], [command, 0, '']);
  }
  for (const bad of [
    { ...conf, prevResult: undefined },
    { ...conf, prevResult: [] },
  ])
    assert.equal(errorOf(await plugin('ADD', { conf: JSON.stringify(bad) })).code, 7);
  assert.equal(errorOf(await plugin('ADD', { conf: '{"prevResult":{"a":[1}' })).code, 6);
});

test('what is no CNI call is refused in words', async () => {
  assert.equal(errorOf(await plugin(undefined)).code, 4);
  assert.equal(errorOf(await plugin('UPDATE')).code, 4);
  assert.equal(errorOf(await plugin('ADD', { conf: '' })).code, 6);
  assert.equal(errorOf(await plugin('ADD', { conf: '[]' })).code, 6);
  assert.equal(errorOf(await plugin('ADD', { conf: 'x'.repeat((1 << 20) + 200_000) })).code, 5);
  assert.equal(errorOf(await plugin('ADD', { env: { CNI_ARGS: 'ü'.repeat(10_000) } })).code, 4);
  assert.equal(errorOf(await plugin('ADD', { conf: '{"cniVersion":"1.0.0"}\0{}' })).code, 5);
});

test('the largest configuration and the largest answer pass', async () => {
  const pad = 'p'.repeat((1 << 20) - JSON.stringify({ ...CONF, pad: '' }).length);
  await agent(async (request, response) => void response.end(await bodyOf(request)));
  const conf = JSON.stringify({ pad, ...CONF });
  assert.equal(conf.length, 1 << 20);
  const { code, out } = await plugin('ADD', { conf });
  assert.deepEqual([code, out.length, out === conf], [0, conf.length, true]);
});

test('no answer whatever makes it crash, hang or print no JSON', async () => {
  const good = `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}`;
  const answers = [
    ...Array.from(good, (_, i) => good.slice(0, i)),
    'HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{}',
    'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}',
    'HTTP/1.1 99999999999 OK\r\nContent-Length: 2\r\n\r\n{}',
    'HTTP/1.1 200 OK\r\n\r\n{}',
    `HTTP/1.1 200 OK\r\n${'X-Fill: y\r\n'.repeat(200_000)}`,
    `HTTP/1.1 500 No\r\nContent-Length: 1000000\r\n\r\n${'\0"\\'.repeat(400_000)}`,
    `HTTP/1.1 500 No\r\nContent-Length: ${1 << 20}\r\n\r\n${'y'.repeat(3 << 20)}`,
    `HTTP/1.1 500 No\r\nContent-Length: ${3 << 20}\r\n\r\n${'y'.repeat(3 << 20)}`,
    '\0'.repeat(100),
  ];
  await raw((peer, i) => void peer.end(answers[i % answers.length] ?? ''));
  // Whoever gets half an answer asks again, and gets another one of them.
  for (let i = 0; i < answers.length; i += 8) {
    const outcomes = await Promise.all(
      answers.slice(i, i + 8).map(() => plugin('CHECK', { program: hasty })),
    );
    for (const outcome of outcomes) assert.equal(errorOf(outcome).cniVersion, '1.0.0');
  }
});

test('no configuration whatever makes it crash or hang', async () => {
  const good = JSON.stringify({
    ...CONF,
    long: 'l'.repeat(300),
    socket: '/absent',
    note: 'a\\u0041\\n\\"é\\ud83d',
  });
  const { socket: _, ...alone } = JSON.parse(good);
  const edits = fc.array(
    fc.tuple(
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.constantFrom('"', '\\', '{', '}', '\\u', ':', 'x', ''),
    ),
    { maxLength: 4 },
  );
  const mutated = fc.tuple(fc.constantFrom(good, JSON.stringify(alone)), edits).map(([text, all]) =>
    all.reduce((now, [share, by]) => {
      const at = Math.floor(share * now.length);
      return now.slice(0, at) + by + now.slice(at + 1);
    }, text),
  );
  await fc.assert(
    fc.asyncProperty(fc.oneof(mutated, fc.string({ maxLength: 300 })), async (conf) => {
      assert.equal((await plugin('DEL', { conf, program: hasty })).code, 0);
      const { code, out } = await plugin('ADD', { conf, program: hasty });
      if (code !== 0) assert.ok(JSON.parse(out).code);
    }),
    { numRuns: runs(60) },
  );
});

/** With the sanitizers where the compiler has them: a byte read beyond a buffer fails the test. */
function build(patience: number): string {
  const program = join(dir, `fairlead-${patience}`);
  const flags = ['-Wall', '-Wextra', '-Werror', `-DPATIENCE=${patience}`, '-o', program];
  const sources = globSync('*.c', { cwd: import.meta.dirname }).map((name) =>
    join(import.meta.dirname, name),
  );
  try {
    const sanitizers = ['-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
    execFileSync('cc', [...sanitizers, ...flags, ...sources], { stdio: 'ignore' });
  } catch {
    execFileSync('cc', [...flags, ...sources], { stdio: 'inherit' });
  }
  return program;
}

interface Call {
  readonly conf?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly program?: string;
}

function plugin(
  command: string | undefined,
  { conf = JSON.stringify(CONF), env = {}, program = patient }: Call = {},
): Promise<Outcome> {
  const began = performance.now();
  const added = command === 'ADD';
  const cni = { CNI_CONTAINERID: 'c0ffee', CNI_NETNS: '/run/netns/x', CNI_IFNAME: 'eth0', CNI_ARGS: 'A=b' };
  const child = spawn(program, [], {
    env: { ...cni, ...(command === undefined ? {} : { CNI_COMMAND: command }), ...env },
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(conf);
  return new Promise((resolve) => {
    let out = '';
    let err = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
    child.once('close', (code, signal) => {
      assert.equal(signal, null);
      // There is no such namespace here; test/kernel/announce.test.ts has one.
      const told =
        'fairlead: neighbours of c0ffee were not told its MAC address: No such file or directory\n';
      assert.equal(err, added && code === 0 ? told : '');
      resolve({ code, out, ms: performance.now() - began });
    });
  });
}

function errorOf({ code, out }: Outcome): {
  code: number;
  msg: string;
  details: string;
  cniVersion: string;
} {
  assert.equal(code, 1, out);
  return JSON.parse(out);
}

function listen(server: Server): Promise<void> {
  open = server;
  server.on('connection', (peer: Socket) => {
    sockets.add(peer);
    peer.once('close', () => sockets.delete(peer));
    peer.on('error', () => undefined);
  });
  rmSync(socket, { force: true });
  return new Promise((resolve) => server.listen(socket, resolve));
}

const agent = (answer: (request: IncomingMessage, response: ServerResponse) => unknown): Promise<void> =>
  listen(createHttp((request, response) => void answer(request, response)) as unknown as Server);

/** `answer` is told how many came before. */
function raw(answer: (peer: Socket, count: number) => void): Promise<void> {
  let count = 0;
  return listen(
    createServer((peer) => {
      peer.once('data', () => answer(peer, count++));
      peer.resume();
    }),
  );
}

const send = (response: ServerResponse, status: number, text: string) =>
  response.writeHead(status, { 'content-length': Buffer.byteLength(text) }).end(text);

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
