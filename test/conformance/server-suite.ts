/**
 * What an API server does, asked in bare HTTP of the lab's and of the real one: both must pass every case as it is written.
 * A difference is a bug of the lab's server.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { RawApi, type RawServer } from './raw-api.ts';
import { listCases } from './server-suite-lists.ts';
import { objectCases } from './server-suite-objects.ts';
import { patchCases } from './server-suite-patch.ts';
import { watchCases } from './server-suite-watch.ts';

/** Every case against the server that `start` gives. */
export function serverSuite(
  name: string,
  start: () => Promise<RawServer & { close(): Promise<void> | void }>,
): void {
  describe(`API server suite against ${name}`, () => {
    let server: Awaited<ReturnType<typeof start>> | undefined;
    const run = `s${Date.now().toString(36)}`;
    let number = 0;
    before(async () => {
      server = await start();
    });
    after(() => server?.close());
    for (const [title, body] of Object.entries({
      ...objectCases,
      ...listCases,
      ...patchCases,
      ...watchCases,
    })) {
      test(title, async (t) => {
        assert.ok(server);
        const api = new RawApi(server);
        const namespace = `${run}-${number++}`;
        assert.equal((await api.post('/api/v1/namespaces', { metadata: { name: namespace } })).status, 201);
        const path = `/api/v1/namespaces/${namespace}`;
        await api.post(`${path}/serviceaccounts`, { metadata: { name: 'default' } });
        const skipped = await body({ api, namespace, path, run: namespace });
        if (skipped !== undefined) t.skip(skipped);
        await api.delete(`/api/v1/namespaces/${namespace}`);
      });
    }
  });
}
