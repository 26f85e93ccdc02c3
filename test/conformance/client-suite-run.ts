/** One run of the client suite: the server that is asked, a client, and objects of this run's own. */
import assert from 'node:assert/strict';
import { type KubeClient, type KubeClientOptions, kubeClient } from '../../src/sources/kube/client.ts';
import { decodeEvent, type WatchEvent } from '../../src/sources/kube/decode.ts';
import { ApiError } from '../../src/sources/kube/errors.ts';
import { LineSplitter } from '../../src/sources/kube/lines.ts';
import { type Raw, record, text } from '../../src/sources/kube/raw.ts';
import { NODES, type ObjectRef } from '../../src/sources/kube/resource.ts';

export interface ServerUnderTest {
  /** How to reach it as one who may do everything. */
  readonly options: KubeClientOptions;
  /** With a token that it does not know. */
  readonly stranger: KubeClientOptions;
  /** As one who may do nothing; absent = the server has no authorization. */
  readonly powerless?: KubeClientOptions;
  /** Makes the server forget what happened so far, as a compaction of etcd does. */
  forget(): Promise<void>;
  close(): Promise<void> | void;
}

export const quiet = { debug() {}, info() {}, warn() {} };
export const configMaps = { group: '', version: 'v1', resource: 'configmaps' };

/** The server, a client, and objects that carry this run's mark so that runs do not meet. */
export class Suite {
  readonly #start: () => Promise<ServerUnderTest>;
  readonly run = `suite-${Date.now().toString(36)}`;
  readonly mark = { labelSelector: `run=${this.run}` };
  #server: ServerUnderTest | undefined;
  #client: KubeClient | undefined;
  readonly #made: ObjectRef[] = [];

  constructor(start: () => Promise<ServerUnderTest>) {
    this.#start = start;
  }

  get server(): ServerUnderTest {
    return this.#server ?? assert.fail('not started');
  }

  get client(): KubeClient {
    return this.#client ?? assert.fail('not started');
  }

  async open(): Promise<void> {
    this.#server = await this.#start();
    this.#client = kubeClient(this.#server.options);
  }

  async close(): Promise<void> {
    for (const ref of this.#made.reverse()) {
      await this.client.delete(ref, { gracePeriodSeconds: 0 }).catch(() => {});
    }
    this.#client?.close();
    await this.#server?.close();
  }

  name(part: string): string {
    return `${this.run}-${part}`;
  }

  async make(
    ref: ObjectRef,
    apiVersion: string,
    kind: string,
    part: string,
    body: object = {},
  ): Promise<ObjectRef> {
    const name = this.name(part);
    const metadata = { name, labels: { run: this.run } };
    await this.client.create(ref, { apiVersion, kind, metadata, ...body });
    const made = { ...ref, name };
    this.#made.push(made);
    return made;
  }

  node(part: string, body: object = {}): Promise<ObjectRef> {
    return this.make(NODES, 'v1', 'Node', part, body);
  }

  configMap(part: string, data: object = {}): Promise<ObjectRef> {
    return this.make({ ...configMaps, namespace: 'default' }, 'v1', 'ConfigMap', part, { data });
  }

  /** Watches until `enough` events are there, or the server ends it. */
  async events(
    ref: ObjectRef,
    query: Record<string, string | number | boolean>,
    enough: (seen: WatchEvent[]) => boolean,
  ) {
    const seen: WatchEvent[] = [];
    const abort = new AbortController();
    const splitter = new LineSplitter((line) => {
      seen.push(decodeEvent(line));
      if (enough(seen)) abort.abort('enough');
    });
    const timer = setTimeout(() => abort.abort(new Error(`too few events: ${JSON.stringify(seen)}`)), 60_000);
    try {
      await this.client.watch(ref, query, (chunk) => splitter.push(chunk), abort.signal);
    } catch (reason) {
      if (reason !== 'enough') throw reason;
    } finally {
      clearTimeout(timer);
    }
    return seen;
  }
}

export const versionOf = (object: Raw): string => text(record(object.metadata).resourceVersion);
export const nameOf = (object: Raw): string => text(record(object.metadata).name);
export const NO_EVENT: WatchEvent = { type: 'ERROR', object: {} };
/** The error with which the server refuses; the test fails when it does not. */
export async function refusal(request: Promise<unknown>): Promise<ApiError> {
  try {
    await request;
  } catch (error) {
    assert.ok(error instanceof ApiError, String(error));
    return error;
  }
  return assert.fail('it should have been refused');
}
