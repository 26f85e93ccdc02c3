import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'node:test';
import { FairleadError } from '../../src/model/errors.ts';
import { type KubeClient, type KubeClientOptions, kubeClient } from '../../src/sources/kube/client.ts';
import { type Handler, type ScriptedServer, scriptedServer } from './kube-server.ts';

/** Servers, clients and folders of a test, which go with it. */
export function clientBench() {
  const closers: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
  });
  return {
    /** Runs when the test is over. */
    later(close: () => unknown): void {
      closers.push(close);
    },
    async serve(handle: Handler, tls?: Parameters<typeof scriptedServer>[1]): Promise<ScriptedServer> {
      const server = await scriptedServer(handle, tls);
      closers.push(() => server.close());
      return server;
    },
    client(options: KubeClientOptions): KubeClient {
      const made = kubeClient({ timeout: 2000, ...options });
      closers.push(() => made.close());
      return made;
    },
    folder(): string {
      const path = mkdtempSync(join(tmpdir(), 'fairlead-kube-'));
      closers.push(() => rmSync(path, { recursive: true, force: true }));
      return path;
    },
  };
}

/** What a request throws; its words never hold the secret. */
export async function failure(request: Promise<unknown>, secret?: string): Promise<FairleadError> {
  try {
    await request;
  } catch (error) {
    assert.ok(error instanceof FairleadError, `typed: ${error}`);
    if (secret !== undefined)
      assert.ok(!`${error.stack} ${error.hint}`.includes(secret), 'no secret in the words');
    return error;
  }
  return assert.fail('it should have failed');
}
