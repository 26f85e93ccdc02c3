/** Patch kinds and server-side apply, for `server-suite.ts`. */
import assert from 'node:assert/strict';
import { type Cases, configMap, done } from './server-suite-case.ts';

const condition = (type: string, status: string): object => ({ type, status });

export const patchCases: Cases = {
  'JSON patch: add, replace, remove, test, move, copy; a failed step fails all'({ api, path }) {
    return done(async () => {
      await api.post(`${path}/configmaps`, {
        metadata: { name: 'j', labels: { 'a/b': '1' } },
        data: { x: '1', y: '2' },
      });
      const good = await api.patch('json', `${path}/configmaps/j`, [
        { op: 'test', path: '/data/x', value: '1' },
        { op: 'replace', path: '/data/x', value: '9' },
        { op: 'move', from: '/data/y', path: '/data/z' },
        { op: 'copy', from: '/data/z', path: '/data/w' },
        { op: 'remove', path: '/metadata/labels/a~1b' },
      ]);
      assert.equal(good.status, 200);
      assert.deepEqual(good.body.data, { x: '9', z: '2', w: '2' });
      assert.equal(good.body.metadata.labels, undefined);
      const failed = await api.patch('json', `${path}/configmaps/j`, [
        { op: 'replace', path: '/data/x', value: '5' },
        { op: 'test', path: '/data/z', value: 'no' },
      ]);
      assert.equal(failed.status, 422);
      assert.equal((await api.get(`${path}/configmaps/j`)).body.data.x, '9');
      assert.equal((await api.patch('json', `${path}/configmaps/j`, { op: 'remove' })).status, 400);
    });
  },
  'merge patch: null removes, objects merge, lists are replaced'({ api, path }) {
    return done(async () => {
      await api.post(`${path}/configmaps`, {
        metadata: { name: 'm', finalizers: ['x/a'] },
        data: { x: '1', y: '2' },
      });
      const { body } = await api.patch('merge', `${path}/configmaps/m`, {
        metadata: { finalizers: ['x/b'] },
        data: { x: null, z: '3' },
      });
      assert.deepEqual(body.data, { y: '2', z: '3' });
      assert.deepEqual(body.metadata.finalizers, ['x/b']);
      const stale = await api.patch('merge', `${path}/configmaps/m`, {
        metadata: { resourceVersion: '1' },
        data: { q: '1' },
      });
      assert.equal(stale.status, 409);
      assert.equal((await api.patch('merge', `${path}/configmaps/m`, [])).status, 400);
      assert.equal((await api.patch('merge', `${path}/configmaps/none`, {})).status, 404);
      await api.patch('merge', `${path}/configmaps/m`, { metadata: { finalizers: null } });
    });
  },
  'strategic merge patch: conditions by type, addresses by type, $patch delete and replace'({ api, run }) {
    return done(async () => {
      const name = `${run}-strategic`;
      await api.post('/api/v1/nodes', { metadata: { name } });
      const status = `/api/v1/nodes/${name}/status`;
      const types = (body: { status: { conditions: { type: string; status: string }[] } }): string[] =>
        body.status.conditions.map((c) => `${c.type}=${c.status}`);
      const conditions = [condition('Ready', 'True'), condition('NetworkUnavailable', 'True')];
      await api.patch('strategic', status, {
        status: { conditions, addresses: [{ type: 'InternalIP', address: '10.0.0.1' }] },
      });
      const one = await api.patch('strategic', status, {
        status: { conditions: [condition('NetworkUnavailable', 'False')] },
      });
      assert.deepEqual(types(one.body), ['Ready=True', 'NetworkUnavailable=False']);
      assert.equal(one.body.status.addresses.length, 1);
      const gone = await api.patch('strategic', status, {
        status: { conditions: [{ type: 'Ready', $patch: 'delete' }] },
      });
      assert.deepEqual(types(gone.body), ['NetworkUnavailable=False']);
      const replaced = await api.patch('strategic', status, {
        status: { conditions: [condition('A', 'True'), { $patch: 'replace' }] },
      });
      assert.deepEqual(types(replaced.body), ['A=True']);
      const taints = { spec: { taints: [{ key: 'k', effect: 'NoSchedule' }] } };
      const node = await api.patch('strategic', `/api/v1/nodes/${name}`, taints);
      assert.deepEqual(
        node.body.spec.taints,
        [{ key: 'k', effect: 'NoSchedule' }],
        'taints are replaced as a whole',
      );
      await api.delete(`/api/v1/nodes/${name}`);
    });
  },
  'strategic merge patch: containers by name, ports by number'({ api, namespace }) {
    return done(async () => {
      const sets = `/apis/apps/v1/namespaces/${namespace}/daemonsets`;
      const labels = { app: 'x' };
      const container = (name: string, more: object = {}): object => ({ name, image: 'i:1', ...more });
      const template = (containers: object[]): object => ({ metadata: { labels }, spec: { containers } });
      const ports = [{ containerPort: 80 }, { containerPort: 81 }];
      await api.post(sets, {
        metadata: { name: 'ds' },
        spec: {
          selector: { matchLabels: labels },
          template: template([container('a', { ports }), container('b')]),
        },
      });
      const { body } = await api.patch('strategic', `${sets}/ds`, {
        spec: {
          template: {
            spec: { containers: [{ name: 'a', image: 'i:2', ports: [{ containerPort: 81, name: 'web' }] }] },
          },
        },
      });
      const found = body.spec.template.spec.containers;
      assert.deepEqual(
        found.map((c: { name: string; image: string }) => `${c.name} ${c.image}`),
        ['a i:2', 'b i:1'],
      );
      const numbers = found[0].ports.map(
        (p: { containerPort: number; name?: string }) => `${p.containerPort} ${p.name ?? ''}`,
      );
      assert.deepEqual(numbers.sort(), ['80 ', '81 web']);
    });
  },
  'apply: creates, owns, gives up fields, refuses conflicts, takes with force'({ api, path }) {
    return done(async () => {
      const at = (manager: string, more = ''): string =>
        `${path}/configmaps/ssa?fieldManager=${manager}${more}`;
      const config = (data: object, labels?: object): object => ({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'ssa', ...(labels ? { labels } : {}) },
        data,
      });
      const made = await api.patch('apply', at('m1'), config({ a: '1', b: '1' }));
      assert.equal(made.status, 201);
      const [owner] = made.body.metadata.managedFields;
      assert.deepEqual([owner.manager, owner.operation], ['m1', 'Apply']);
      assert.deepEqual(owner.fieldsV1, { 'f:data': { 'f:a': {}, 'f:b': {} } });
      const shared = await api.patch('apply', at('m2'), config({ b: '1', c: '2' }));
      assert.equal(shared.status, 200, 'the same value is no conflict');
      const refused = await api.patch('apply', at('m2'), config({ b: '2', c: '2' }));
      assert.equal(refused.status, 409);
      assert.equal(refused.body.message, 'Apply failed with 1 conflict: conflict with "m1": .data.b');
      assert.deepEqual(refused.body.details.causes, [
        { reason: 'FieldManagerConflict', message: 'conflict with "m1"', field: '.data.b' },
      ]);
      const forced = await api.patch('apply', at('m2', '&force=true'), config({ b: '2', c: '2' }));
      assert.deepEqual(forced.body.data, { a: '1', b: '2', c: '2' });
      const less = await api.patch('apply', at('m2'), config({ c: '2' }));
      assert.deepEqual(less.body.data, { a: '1', c: '2' }, 'what it no longer names goes');
      const same = await api.patch('apply', at('m2'), config({ c: '2' }));
      assert.equal(same.body.metadata.resourceVersion, less.body.metadata.resourceVersion);
      const nobody = await api.patch('apply', `${path}/configmaps/ssa`, config({}));
      assert.equal(nobody.status, 422);
    });
  },
  'an empty entry of managedFields makes every manager forgotten'({ api, path }) {
    return done(async () => {
      const config = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'reset' }, data: { a: '1' } };
      const url = `${path}/configmaps/reset`;
      await api.patch('apply', `${url}?fieldManager=m1`, config);
      const { body } = await api.patch('merge', `${url}?fieldManager=editor`, {
        metadata: { managedFields: [{}] },
        data: { b: '1' },
      });
      assert.deepEqual([body.data, body.metadata.managedFields], [{ a: '1', b: '1' }, undefined]);
    });
  },
  'an update after an apply takes the fields that it changes'({ api, path }) {
    return done(async () => {
      const config = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'taken' }, data: { a: '1' } };
      const url = `${path}/configmaps/taken`;
      await api.patch('apply', `${url}?fieldManager=m1`, config);
      await api.patch('merge', `${url}?fieldManager=editor`, { data: { a: '2' } });
      const refused = await api.patch('apply', `${url}?fieldManager=m1`, config);
      assert.equal(refused.status, 409);
      assert.equal(
        refused.body.message,
        'Apply failed with 1 conflict: conflict with "editor" using v1: .data.a',
      );
    });
  },
  'apply: list items by their keys'({ api, path }) {
    return done(async () => {
      const service = (name: string, port: number): object => ({
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'svc' },
        spec: { clusterIP: 'None', ports: [{ name, port, protocol: 'TCP' }] },
      });
      const url = `${path}/services/svc`;
      await api.patch('apply', `${url}?fieldManager=m1`, service('one', 81));
      const both = await api.patch('apply', `${url}?fieldManager=m2`, service('two', 82));
      assert.deepEqual(both.body.spec.ports.map((p: { port: number }) => p.port).sort(), [81, 82]);
      await api.post(`${path}/configmaps`, configMap('unrelated'));
    });
  },
};
