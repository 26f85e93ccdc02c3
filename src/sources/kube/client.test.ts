import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { FakeClock } from '../../../test/support/fake-clock.ts';
import { clientBench, failure as failureOf } from '../../../test/support/kube-client.ts';
import { reply, status } from '../../../test/support/kube-server.ts';
import { FairleadError } from '../../model/errors.ts';
import { ApiError, ConnectionError } from './errors.ts';
import { NODES, PODS } from './resource.ts';

const SECRET = 'very-secret-token';
const { serve, client, folder } = clientBench();
const failure = (request: Promise<unknown>) => failureOf(request, SECRET);

const node = (name: string) => ({ ...NODES, name });

test('each verb: method, path, content type, body', async () => {
  const server = await serve((_, response) =>
    reply(response, 200, { metadata: { resourceVersion: '1' }, items: [] }),
  );
  const c = client({ server: `${server.url}/prefix/` });
  await c.get(node('a/b'));
  await c.list(
    { ...PODS, namespace: 'dev' },
    { limit: 5, continue: undefined, labelSelector: 'a=b,c' },
    () => {},
  );
  await c.create(NODES, { a: 1 });
  await c.update(node('n'), { a: 2 });
  await c.delete(node('n'));
  await c.patch(node('n'), 'json', []);
  await c.patch(node('n'), 'merge', {});
  await c.patch({ ...node('n'), subresource: 'status' }, 'strategic', {});
  await c.patch(
    { group: 'apps', version: 'v1', resource: 'daemonsets', namespace: 'x', name: 'y' },
    'apply',
    {},
    {
      fieldManager: 'fairlead',
      force: true,
    },
  );
  const told = server.asked.map((a) =>
    [a.method, a.path, String(a.query), a.headers['content-type'] ?? '', a.body].join(' ').trim(),
  );
  assert.deepEqual(told, [
    'GET /prefix/api/v1/nodes/a%2Fb',
    'GET /prefix/api/v1/namespaces/dev/pods limit=5&labelSelector=a%3Db%2Cc',
    'POST /prefix/api/v1/nodes  application/json {"a":1}',
    'PUT /prefix/api/v1/nodes/n  application/json {"a":2}',
    'DELETE /prefix/api/v1/nodes/n',
    'PATCH /prefix/api/v1/nodes/n  application/json-patch+json []',
    'PATCH /prefix/api/v1/nodes/n  application/merge-patch+json {}',
    'PATCH /prefix/api/v1/nodes/n/status  application/strategic-merge-patch+json {}',
    'PATCH /prefix/apis/apps/v1/namespaces/x/daemonsets/y fieldManager=fairlead&force=true application/apply-patch+yaml {}',
  ]);
});

describe('errors say what to do', () => {
  test('403 names the permission', async () => {
    const words = 'pods is forbidden: User "bob" cannot list resource "pods"';
    const server = await serve((_, response) => reply(response, 403, status(403, 'Forbidden', words)));
    const c = client({ server: server.url, token: { text: SECRET } });
    const error = await failure(c.list({ ...PODS, namespace: 'dev' }, {}, () => {}));
    assert.ok(error instanceof ApiError);
    assert.deepEqual([error.code, error.status, error.reason], ['kube-forbidden', 403, 'Forbidden']);
    assert.equal(error.message, `cannot list pods in namespace dev: ${words} (403 Forbidden)`);
    assert.match(
      error.hint ?? '',
      /apiGroups: \[""\], resources: \["pods"\], verbs: \["list"\], in namespace dev/,
    );
    const patch = await failure(c.patch({ ...node('n1'), subresource: 'status' }, 'merge', {}));
    assert.match(patch.hint ?? '', /resources: \["nodes\/status"\], verbs: \["patch"\], in a ClusterRole/);
  });

  test('429 carries Retry-After, from the header or the Status', async () => {
    let header = true;
    const server = await serve((_, response) =>
      reply(
        response,
        429,
        status(429, 'TooManyRequests', 'slow', { retryAfterSeconds: 3 }),
        header ? { 'retry-after': '7' } : {},
      ),
    );
    const c = client({ server: server.url });
    const first = await failure(c.list(NODES, {}, () => {}));
    header = false;
    const second = await failure(c.list(NODES, {}, () => {}));
    assert.ok(first instanceof ApiError && second instanceof ApiError);
    assert.deepEqual([first.retryAfter, second.retryAfter], [7000, 3000]);
  });

  test('an answer that is not from Kubernetes', async () => {
    const server = await serve((_, response) => reply(response, 502, '<html>\n  Bad gateway </html>'));
    const error = await failure(client({ server: server.url }).list(NODES, {}, () => {}));
    assert.equal(error.message, 'cannot list nodes: <html> Bad gateway </html> (502)');
    server.handle = (_, response) => reply(response, 200, 'hello');
    assert.equal(
      (await failure(client({ server: server.url }).list(NODES, {}, () => {}))).code,
      'kube-decode',
    );
  });

  test('nobody there, silence, and an answer cut off', async () => {
    const server = await serve(() => {});
    const quiet = client({ server: server.url, timeout: 50 });
    assert.equal((await failure(quiet.get(node('n')))).code, 'kube-timeout');
    server.handle = (_, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{');
    };
    assert.equal((await failure(quiet.get(node('n')))).code, 'kube-timeout');
    server.handle = (_, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{');
      setImmediate(() => response.socket?.destroy());
    };
    const patient = client({ server: server.url });
    assert.ok((await failure(patient.get(node('n')))) instanceof ConnectionError);
    await server.close();
    const error = await failure(patient.get(node('n')));
    assert.match(error.message, /no connection to the API server 127\.0\.0\.1:\d+: ECONNREFUSED/);
  });

  test('no credentials at all', async () => {
    const server = await serve((_, response) =>
      reply(response, 401, status(401, 'Unauthorized', 'Unauthorized')),
    );
    const error = await failure(client({ server: server.url }).list(NODES, {}, () => {}));
    assert.match(error.hint ?? '', /no credentials are configured/);
  });

  test('an expired token says so', async () => {
    const server = await serve((_, response) =>
      reply(response, 401, status(401, 'Unauthorized', 'Unauthorized')),
    );
    const payload = Buffer.from(JSON.stringify({ exp: Date.UTC(2020, 0, 1) / 1000 })).toString('base64url');
    const error = await failure(
      client({ server: server.url, token: { text: `h.${payload}.s` } }).list(NODES, {}, () => {}),
    );
    assert.equal(error.code, 'kube-unauthorized');
    assert.match(error.hint ?? '', /the token expired on 2020-01-01T00:00:00/);
  });
});

describe('credentials are renewed', () => {
  test('a token file: after a minute, and at once after a 401', async () => {
    const file = join(folder(), 'token');
    const clock = new FakeClock();
    let valid = 'one';
    const server = await serve((asked, response) =>
      asked.headers.authorization === `Bearer ${valid}`
        ? reply(response, 200, {})
        : reply(response, 401, status(401, 'Unauthorized', 'Unauthorized')),
    );
    writeFileSync(file, 'one\n');
    const c = client({ server: server.url, token: { file }, clock });
    await c.get(node('n'));
    writeFileSync(file, 'two');
    await c.get(node('n'));
    assert.equal(server.asked.at(-1)?.headers.authorization, 'Bearer one', 'not read for each request');
    valid = 'two';
    await c.get(node('n'));
    assert.deepEqual(
      server.asked.slice(2).map((a) => a.headers.authorization),
      ['Bearer one', 'Bearer two'],
    );
    writeFileSync(file, 'three');
    valid = 'three';
    await clock.advance(60_000);
    await c.get(node('n'));
    assert.equal(server.asked.length, 5, 'read anew before anybody refused it');
  });

  test('a token file that is not there', async () => {
    const file = join(folder(), 'token');
    const server = await serve((_, response) => reply(response, 200, {}));
    const c = client({ server: server.url, token: { file } });
    const error = await failure(c.get(node('n')));
    assert.match(error.message, new RegExp(`credential file ${file} cannot be read: ENOENT`));
    writeFileSync(file, 'now');
    await c.get(node('n'));
  });

  test('a credential plugin: run once, again before it expires and after a 401; its output never shown', async () => {
    const path = folder();
    const plugin = join(path, 'plugin');
    writeFileSync(
      plugin,
      `#!/bin/sh
echo run >> ${path}/runs
[ -e ${path}/broken ] && { echo ${SECRET}; echo ${SECRET} >&2; exit 3; }
n=$(wc -l < ${path}/runs)
printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s%s%s","expirationTimestamp":"2026-01-01T01:00:00Z"}}' "$1" "$EXTRA" "$n"
`,
    );
    chmodSync(plugin, 0o755);
    const kubeconfig = join(path, 'config');
    const server = await serve((asked, response) =>
      asked.headers.authorization === 'Bearer bad'
        ? reply(response, 401, status(401, 'Unauthorized', 'Unauthorized'))
        : reply(response, 200, {}),
    );
    writeFileSync(
      kubeconfig,
      `
current-context: a
contexts: [{name: a, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "${server.url}"}}]
users:
- name: u
  user:
    exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin, args: [arg-], env: [{name: EXTRA, value: env-}], interactiveMode: Never}
`,
    );
    const clock = new FakeClock(Date.UTC(2026, 0, 1));
    const c = client({ kubeconfig, clock });
    await c.get(node('n'));
    await c.get(node('n'));
    await clock.advance(59 * 60_000 + 45_000);
    await c.get(node('n'));
    assert.deepEqual(
      server.asked.map((a) => a.headers.authorization),
      ['Bearer arg-env-1', 'Bearer arg-env-1', 'Bearer arg-env-2'],
    );
    writeFileSync(join(path, 'broken'), '');
    const error = await failure(c.get(node('n')));
    assert.match(error.message, /the credential plugin ".*plugin" failed \(exit status 3\)/);
  });

  test('a kubeconfig that is mended while we run', async () => {
    const kubeconfig = join(folder(), 'config');
    const server = await serve((_, response) => reply(response, 200, {}));
    const c = client({ kubeconfig });
    assert.match((await failure(c.get(node('n')))).message, /kubeconfig .* cannot be read: ENOENT/);
    writeFileSync(
      kubeconfig,
      JSON.stringify({
        'current-context': 'a',
        contexts: [{ name: 'a', context: { cluster: 'c' } }],
        clusters: [{ name: 'c', cluster: { server: server.url } }],
      }),
    );
    await c.get(node('n'));
  });
});

test('an idle connection that the server closed costs one more try, not an error', async () => {
  const server = await serve((_, response) => reply(response, 200, {}));
  const c = client({ server: server.url });
  await c.get(node('n'));
  let resets = 0;
  server.handle = (_, response) => {
    if (resets++ === 0) response.socket?.resetAndDestroy();
    else reply(response, 200, {});
  };
  await c.get(node('n'));
  assert.equal(resets, 2);
});

describe('watch', () => {
  test('hands over bytes as they come and ends with the server', async () => {
    const server = await serve((_, response) => {
      response.write('a');
      setImmediate(() => response.end('b'));
    });
    let seen = '';
    const c = client({ server: server.url });
    await c.watch(NODES, { resourceVersion: '1' }, (chunk) => (seen += chunk), new AbortController().signal);
    assert.equal(seen, 'ab');
    assert.equal(server.asked[0]?.query.get('watch'), 'true');
  });

  test('rejects with the reason of the abort', async () => {
    const server = await serve((_, response) => response.flushHeaders());
    const abort = new AbortController();
    const watching = client({ server: server.url }).watch(NODES, {}, () => {}, abort.signal);
    setImmediate(() => abort.abort('enough'));
    await assert.rejects(watching, (reason) => reason === 'enough');
  });

  test('a consumer that throws ends it with that error', async () => {
    const server = await serve((_, response) => response.write('x'));
    const stop = new FairleadError('stop', 'stop');
    const watching = client({ server: server.url }).watch(
      NODES,
      {},
      () => {
        throw stop;
      },
      new AbortController().signal,
    );
    await assert.rejects(watching, stop);
  });
});
