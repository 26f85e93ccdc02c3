/**
 * What our Kubernetes client, sources and targets rely on, asked of any API server. Run against the lab's and the real one:
 * a difference between the two is a bug of ours.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '../../src/agent/clock.ts';
import { FACTS_ANNOTATION } from '../../src/model/cluster/node.ts';
import { annotationKey, conditionKey, type NodeStatusBody } from '../../src/model/rows/node-status.ts';
import { type KubeClient, type KubeClientOptions, kubeClient } from '../../src/sources/kube/client.ts';
import { decodeEvent, type WatchEvent } from '../../src/sources/kube/decode.ts';
import { ApiError, statusError } from '../../src/sources/kube/errors.ts';
import { LineSplitter } from '../../src/sources/kube/lines.ts';
import { podsOn } from '../../src/sources/kube/pods.ts';
import { array, type Raw, record, text } from '../../src/sources/kube/raw.ts';
import { NAMESPACES, NODES, type ObjectRef, PODS } from '../../src/sources/kube/resource.ts';
import { ALL_KINDS, startKubeSources } from '../../src/sources/kube/sources.ts';
import { EventRecorder } from '../../src/targets/kube/event-recorder.ts';
import { Lease } from '../../src/targets/kube/lease.ts';
import { nodeStatusTarget } from '../../src/targets/kube/node-status.ts';
import { RecordingSink } from '../support/recording-sink.ts';
import { until } from '../support/until.ts';

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

/** Everything below, against the server that `start` gives. Leaves nothing behind on it but events. */
export function clientSuite(name: string, start: () => Promise<ServerUnderTest>): void {
  describe(`client against ${name}`, () => {
    const s = new Suite(start);
    before(() => s.open());
    after(() => s.close());
    readTests(s);
    watchTests(s);
    writeTests(s);
    sourceTests(s);
    targetTests(s);
  });
}

const quiet = { debug() {}, info() {}, warn() {} };
const configMaps = { group: '', version: 'v1', resource: 'configmaps' };

/** The server, a client, and objects that carry this run's mark so that runs do not meet. */
class Suite {
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
    const timer = setTimeout(() => abort.abort(new Error(`too few events: ${JSON.stringify(seen)}`)), 15_000);
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

const versionOf = (object: Raw): string => text(record(object.metadata).resourceVersion);
const nameOf = (object: Raw): string => text(record(object.metadata).name);
const NO_EVENT: WatchEvent = { type: 'ERROR', object: {} };
const isEnd = (event: WatchEvent): boolean =>
  event.type === 'BOOKMARK' &&
  record(record(event.object.metadata).annotations)['k8s.io/initial-events-end'] === 'true';

async function refusal(request: Promise<unknown>): Promise<ApiError> {
  try {
    await request;
  } catch (error) {
    assert.ok(error instanceof ApiError, String(error));
    return error;
  }
  return assert.fail('it should have been refused');
}

function readTests(s: Suite): void {
  test('a list in pages: every object once, one version for all pages', async () => {
    for (let i = 0; i < 7; i++) await s.configMap(`page-${i}`);
    const seen: string[] = [];
    const versions = new Set<string>();
    let next: string | undefined;
    let pages = 0;
    do {
      const query = { ...s.mark, limit: 3, continue: next };
      const page = await s.client.list(configMaps, query, (item) => seen.push(nameOf(item)));
      versions.add(page.resourceVersion);
      next = page.next || undefined;
      pages++;
    } while (next);
    assert.deepEqual(
      seen.sort(),
      [0, 1, 2, 3, 4, 5, 6].map((i) => s.name(`page-${i}`)),
    );
    assert.equal(pages, 3);
    assert.equal(versions.size, 1);
  });

  test('a continue token that is none', async () => {
    const error = await refusal(s.client.list(configMaps, { limit: 1, continue: 'nonsense' }, () => {}));
    assert.equal(error.status, 400);
  });

  test('an object that is not there: 404', async () => {
    const error = await refusal(s.client.get({ ...NODES, name: 'nobody' }));
    assert.deepEqual([error.code, error.reason], ['kube-not-found', 'NotFound']);
  });

  test('a token that the server does not know: 401', async () => {
    const client = kubeClient(s.server.stranger);
    assert.equal((await refusal(client.get({ ...NODES, name: 'x' }))).status, 401);
    client.close();
  });

  test('what we may not do: 403, naming the permission', async (t) => {
    if (!s.server.powerless) return t.diagnostic('this server allows everything to whom it knows');
    const client = kubeClient(s.server.powerless);
    const forbidden = await refusal(client.list(NODES, {}, () => {}));
    assert.equal(forbidden.status, 403);
    assert.match(forbidden.hint ?? '', /resources: \["nodes"\], verbs: \["list"\]/);
    client.close();
  });
}

function watchTests(s: Suite): void {
  const initial = {
    sendInitialEvents: true,
    resourceVersionMatch: 'NotOlderThan',
    allowWatchBookmarks: true,
  };

  test('WatchList: all objects, then the bookmark that ends them, then what changes', async () => {
    await s.configMap('wl-a');
    await s.configMap('wl-b');
    let wrote: Promise<unknown> | undefined;
    const seen = await s.events(configMaps, { ...initial, ...s.mark, timeoutSeconds: 30 }, (events) => {
      if (events.some(isEnd)) wrote ??= s.configMap('wl-c');
      return events.length > 1 && isEnd(events.at(-2) ?? NO_EVENT);
    });
    await wrote;
    const end = seen.findIndex(isEnd);
    const names = seen.slice(0, end).map((e) => nameOf(e.object));
    assert.ok(names.includes(s.name('wl-a')) && names.includes(s.name('wl-b')), names.join());
    assert.ok(versionOf(seen[end]?.object ?? {}) !== '');
    assert.equal(nameOf(seen[end + 1]?.object ?? {}), s.name('wl-c'));
  });

  test('a watch from a version: added, modified, deleted, in order, each with its version', async () => {
    const { resourceVersion } = await s.client.list(configMaps, s.mark, () => {});
    const ref = await s.configMap('w', { a: '1' });
    await s.client.patch(ref, 'merge', { data: { a: '2' } });
    await s.client.delete(ref);
    const seen = await s.events(configMaps, { ...s.mark, resourceVersion }, (events) => events.length === 3);
    assert.deepEqual(
      seen.map((e) => [e.type, record(e.object.data).a]),
      [
        ['ADDED', '1'],
        ['MODIFIED', '2'],
        ['DELETED', '2'],
      ],
    );
    const versions = seen.map((e) => Number(versionOf(e.object)));
    assert.deepEqual(
      versions.toSorted((a, b) => a - b),
      versions,
    );
    assert.equal(new Set(versions).size, 3);
    const [, changed] = seen;
    const rest = { ...s.mark, resourceVersion: versionOf(changed?.object ?? {}) };
    const resumed = await s.events(configMaps, rest, (events) => events.length === 1);
    assert.equal(resumed[0]?.type, 'DELETED', 'resumes after the version named');
  });

  test('an object that leaves the selection is DELETED for the watcher', async () => {
    const { resourceVersion } = await s.client.list(configMaps, s.mark, () => {});
    const ref = await s.configMap('leaves');
    await s.client.patch(ref, 'merge', { metadata: { labels: { run: 'other' } } });
    const seen = await s.events(configMaps, { ...s.mark, resourceVersion }, (events) => events.length === 2);
    assert.deepEqual(
      seen.map((e) => e.type),
      ['ADDED', 'DELETED'],
    );
  });

  test('the server ends a watch after timeoutSeconds', async () => {
    const { resourceVersion } = await s.client.list(configMaps, s.mark, () => {});
    const began = performance.now();
    await s.events(configMaps, { ...s.mark, resourceVersion, timeoutSeconds: 1 }, () => false);
    assert.ok(performance.now() - began < 5000);
  });

  test('a version from long ago: 410, as an answer or as an event', async () => {
    // Events are the one kind that kube-apiserver keeps no watch cache of, so that its store's compaction shows at once.
    const events = { group: '', version: 'v1', resource: 'events', namespace: 'default' };
    await s.configMap('before');
    await s.server.forget();
    const gone = (async () => {
      const [first] = await s.events(events, { resourceVersion: 1 }, (seen) => seen.length === 1);
      throw statusError(500, (first ?? NO_EVENT).object, undefined, { verb: 'watch', ref: events });
    })();
    const error = await refusal(gone);
    assert.deepEqual([error.status, error.code], [410, 'kube-gone']);
    assert.ok(['Expired', 'Gone'].includes(error.reason), error.reason);
  });
}

function writeTests(s: Suite): void {
  test('conflicts: an old version, a name that is taken', async () => {
    const ref = await s.configMap('conflict', { a: '1' });
    const old = await s.client.get(ref);
    await s.client.update(ref, { ...old, data: { a: '2' } });
    const stale = await refusal(s.client.update(ref, { ...old, data: { a: '3' } }));
    assert.deepEqual([stale.status, stale.reason], [409, 'Conflict']);
    const taken = await refusal(s.configMap('conflict'));
    assert.deepEqual([taken.status, taken.reason], [409, 'AlreadyExists']);
  });

  test('an update that changes nothing keeps the version', async () => {
    const ref = await s.configMap('same', { a: '1' });
    const old = await s.client.get(ref);
    assert.equal(versionOf(await s.client.update(ref, old)), versionOf(old));
  });

  test('patches: JSON, merge, strategic, apply', async () => {
    const ref = await s.configMap('patch', { a: '1', b: '1' });
    await s.client.patch(ref, 'json', [
      { op: 'test', path: '/data/a', value: '1' },
      { op: 'replace', path: '/data/a', value: '2' },
    ]);
    await s.client.patch(ref, 'merge', { data: { b: null, c: '3' } });
    await s.client.patch(ref, 'strategic', { data: { d: '4' } });
    assert.deepEqual((await s.client.get(ref)).data, { a: '2', c: '3', d: '4' });
    const failed = await refusal(s.client.patch(ref, 'json', [{ op: 'test', path: '/data/a', value: 'no' }]));
    assert.equal(failed.status, 422);

    const applied = { ...ref, name: s.name('applied') };
    const body = (data: object) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: applied.name, labels: { run: s.run } },
      data,
    });
    const mine = { fieldManager: 'mine' };
    await s.client.patch(applied, 'apply', body({ x: '1', y: '1' }), mine);
    await s.client.patch(applied, 'apply', body({ x: '1' }), mine);
    assert.deepEqual((await s.client.get(applied)).data, { x: '1' }, 'what is no longer applied goes');
    const other = await refusal(
      s.client.patch(applied, 'apply', body({ x: '2' }), { fieldManager: 'other' }),
    );
    assert.equal(other.status, 409);
    await s.client.patch(applied, 'apply', body({ x: '2' }), { fieldManager: 'other', force: true });
    await s.client.delete(applied);
  });

  test('the status subresource changes the status only, the object the rest only', async () => {
    const ref = await s.node('status');
    const condition = { type: 'Ready', status: 'True', reason: 'Suite', message: '' };
    const status = { ...ref, subresource: 'status' };
    await s.client.patch(status, 'merge', {
      spec: { unschedulable: true },
      status: { conditions: [condition] },
    });
    await s.client.patch(ref, 'merge', { metadata: { labels: { seen: 'yes' } }, status: { conditions: [] } });
    const found = await s.client.get(ref);
    assert.equal(record(found.spec).unschedulable, undefined);
    assert.equal(record(record(found.metadata).labels).seen, 'yes');
    assert.equal(record(array(record(found.status).conditions)[0]).reason, 'Suite');
  });

  test('deleted is gone, with a finalizer only once that is', async () => {
    const ref = await s.configMap('finalizer');
    await s.client.patch(ref, 'merge', { metadata: { finalizers: ['example.com/wait'] } });
    await s.client.delete(ref);
    assert.notEqual(text(record((await s.client.get(ref)).metadata).deletionTimestamp), '');
    await s.client.patch(ref, 'merge', { metadata: { finalizers: null } });
    assert.equal((await refusal(s.client.get(ref))).status, 404);
  });
}

function sourceTests(s: Suite): void {
  test('nodes, pods and namespaces fill the World and follow it', async () => {
    const ns = await s.make(NAMESPACES, 'v1', 'Namespace', 'ns');
    const namespace = ns.name ?? '';
    // The real server wants the account that its controller-manager would make.
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace } };
    const accounts = { group: '', version: 'v1', resource: 'serviceaccounts', namespace };
    await s.client.create(accounts, account).catch(() => {});
    const podCIDRs = ['10.77.1.0/24', 'fd00:77:1::/64'];
    const node = await s.node('world', { spec: { podCIDR: podCIDRs[0], podCIDRs } });
    const pod = await s.make({ ...PODS, namespace }, 'v1', 'Pod', 'pod', {
      spec: {
        nodeName: node.name,
        automountServiceAccountToken: false,
        containers: [{ name: 'c', image: 'example/none' }],
      },
    });
    const sink = new RecordingSink();
    const shared = { client: s.client, sink, clock: systemClock, random: Math.random, log: quiet };
    const kinds = ALL_KINDS.map((kind) => (kind.source === 'pods' ? podsOn(node.name ?? '') : kind));
    const sources = startKubeSources({ ...shared, kinds });
    try {
      await until('all ready', () =>
        (['nodes', 'pods', 'namespaces'] as const).every((t) => sink.isReady(t)),
      );
      assert.deepEqual(sink.table('nodes').get(node.name ?? '')?.podCidrs, podCIDRs);
      assert.ok(sink.table('namespaces').has(namespace));
      assert.deepEqual(
        [...sink.table('pods').keys()],
        [`${namespace}/${pod.name}`],
        'those of one node only',
      );
      const podIPs = [{ ip: '10.77.1.5' }, { ip: 'fd00:77:1::5' }];
      const status = { phase: 'Running', podIP: podIPs[0]?.ip, podIPs };
      await s.client.patch({ ...pod, subresource: 'status' }, 'merge', { status });
      await until(
        'its addresses',
        () => sink.table('pods').get(`${namespace}/${pod.name}`)?.ips.length === 2,
      );
      await s.client.delete(pod, { gracePeriodSeconds: 0 });
      await s.client.delete(node);
      await until('gone', () => sink.table('pods').size === 0 && !sink.table('nodes').has(node.name ?? ''));
    } finally {
      sources.close();
    }
  });
}

function targetTests(s: Suite): void {
  test('node-status: round trip, change, removal; other conditions and annotations stay', async () => {
    const ref = await s.node('target');
    const node = ref.name ?? '';
    const ready = { type: 'Ready', status: 'True', reason: 'Suite', message: '' };
    await s.client.patch({ ...ref, subresource: 'status' }, 'merge', { status: { conditions: [ready] } });
    await s.client.patch(ref, 'merge', { metadata: { annotations: { 'example.com/other': 'x' } } });
    const target = nodeStatusTarget({ client: s.client, nodeName: node });
    const annotation = (value: string): NodeStatusBody => ({
      node,
      item: { kind: 'annotation', name: FACTS_ANNOTATION, value },
    });
    const condition = (status: 'True' | 'False'): NodeStatusBody => ({
      node,
      item: {
        kind: 'condition',
        type: 'NetworkUnavailable',
        status,
        reason: 'FairleadSuite',
        message: 'words',
      },
    });
    const rows = [
      [annotationKey(FACTS_ANNOTATION), annotation('{"a":1}'), annotation('{"a":2}')],
      [conditionKey('NetworkUnavailable'), condition('True'), condition('False')],
    ] as const;
    for (const pick of [1, 2] as const) {
      const batch = rows.map((row) => ({ key: row[0], wanted: row[pick], found: undefined }));
      assert.deepEqual(await target.apply(batch), [{ ok: true }, { ok: true }]);
      const found = await target.observe();
      for (const row of rows) assert.deepEqual(found.get(row[0]), row[pick]);
    }
    const removals = rows.map((row) => ({ key: row[0], wanted: undefined, found: row[2] }));
    assert.deepEqual(await target.apply(removals), [{ ok: true }, { ok: true }]);
    assert.equal((await target.observe()).size, 0);
    const left = await s.client.get(ref);
    assert.equal(record(record(left.metadata).annotations)['example.com/other'], 'x');
    assert.deepEqual(
      array(record(left.status).conditions).map((c) => record(c).type),
      ['Ready'],
    );
  });

  test('node-status of a Node that is not there', async () => {
    const target = nodeStatusTarget({ client: s.client, nodeName: s.name('nobody') });
    await assert.rejects(target.observe(), { code: 'no-node' });
  });

  test('events: told, counted', async () => {
    const recorder = new EventRecorder({ client: s.client, host: 'n1', clock: systemClock, log: quiet });
    const regarding = { apiVersion: 'v1', kind: 'Node', name: s.name('about'), uid: s.name('about') };
    const occurrence = { regarding, type: 'Warning', reason: 'Suite', message: 'something' } as const;
    recorder.record(occurrence);
    await recorder.settled();
    recorder.record(occurrence);
    await recorder.settled();
    const events: Raw[] = [];
    const ref = { group: '', version: 'v1', resource: 'events', namespace: 'default' };
    await s.client.list(ref, {}, (item) => {
      if (record(item.involvedObject).name === regarding.name) events.push(item);
    });
    assert.deepEqual(
      events.map((e) => [e.reason, e.message, e.count]),
      [['Suite', 'something', 2]],
    );
    for (const event of events) await s.client.delete({ ...ref, name: nameOf(event) });
  });

  test('leases: one holds it', async () => {
    const shared = {
      client: s.client,
      namespace: 'default',
      name: s.name('lease'),
      seconds: 15,
      clock: systemClock,
    };
    const a = new Lease({ ...shared, holder: 'a' });
    const b = new Lease({ ...shared, holder: 'b' });
    assert.equal((await a.acquire()).held, true);
    assert.deepEqual(await b.acquire(), { held: false, holder: 'a' });
    assert.equal((await a.acquire()).held, true);
    await a.release();
    assert.equal((await b.acquire()).held, true);
    await s.client.delete({
      group: 'coordination.k8s.io',
      version: 'v1',
      resource: 'leases',
      namespace: 'default',
      name: shared.name,
    });
  });
}
