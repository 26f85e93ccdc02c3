/** The client suite's questions about what our sources and targets need of a server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/agent/clock.ts';
import { FACTS_ANNOTATION } from '../../src/model/cluster/node.ts';
import { annotationKey, conditionKey, type NodeStatusBody } from '../../src/model/rows/node-status.ts';
import { podsOn } from '../../src/sources/kube/pods.ts';
import { array, type Raw, record } from '../../src/sources/kube/raw.ts';
import { NAMESPACES, PODS } from '../../src/sources/kube/resource.ts';
import { ALL_KINDS, startKubeSources } from '../../src/sources/kube/sources.ts';
import { EventRecorder } from '../../src/targets/kube/event-recorder.ts';
import { Lease } from '../../src/targets/kube/lease.ts';
import { nodeStatusTarget } from '../../src/targets/kube/node-status.ts';
import { seeded } from '../support/fake-clock.ts';
import { RecordingSink } from '../support/recording-sink.ts';
import { until } from '../support/until.ts';
import { nameOf, quiet, type Suite } from './client-suite-run.ts';

export function sourceTests(s: Suite): void {
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
    const shared = { client: s.client, sink, clock: systemClock, random: seeded(1), log: quiet };
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

export function targetTests(s: Suite): void {
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
