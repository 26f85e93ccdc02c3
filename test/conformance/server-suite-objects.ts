/** Cases of the API server suite: objects by themselves. */
import assert from 'node:assert/strict';
import { type Cases, configMap, done, names, pod } from './server-suite-case.ts';

export const objectCases: Cases = {
  'create gives uid, creationTimestamp, resourceVersion; the name is then taken'({ api, path }) {
    return done(async () => {
      const made = await api.post(`${path}/configmaps`, configMap('x'));
      assert.equal(made.status, 201);
      assert.match(made.body.metadata.uid, /^[0-9a-f-]{36}$/);
      assert.match(made.body.metadata.creationTimestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      assert.match(made.body.metadata.resourceVersion, /^\d+$/);
      const again = await api.post(`${path}/configmaps`, configMap('x'));
      assert.equal(again.status, 409);
      assert.equal(again.body.reason, 'AlreadyExists');
      assert.deepEqual(again.body.details, { name: 'x', kind: 'configmaps' });
      assert.equal(again.body.message, 'configmaps "x" already exists');
    });
  },
  'generateName adds five letters'({ api, path }) {
    return done(async () => {
      const made = await api.post(`${path}/configmaps`, { metadata: { generateName: 'g-' } });
      assert.match(made.body.metadata.name, /^g-[a-z0-9]{5}$/);
    });
  },
  'what is not there is 404 with details'({ api, path }) {
    return done(async () => {
      const { status, body } = await api.get(`${path}/pods/none`);
      assert.equal(status, 404);
      assert.deepEqual(
        [body.kind, body.reason, body.message],
        ['Status', 'NotFound', 'pods "none" not found'],
      );
      const slice = await api.get('/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/none');
      assert.deepEqual(slice.body.details, {
        name: 'none',
        group: 'discovery.k8s.io',
        kind: 'endpointslices',
      });
      assert.equal((await api.get(`${path}/nosuch`)).status, 404);
      assert.equal(
        (await api.post('/api/v1/namespaces/nowhere-at-all/configmaps', configMap('x'))).status,
        404,
      );
    });
  },
  'names and labels are validated, with causes'({ api }) {
    return done(async () => {
      const bad = { metadata: { name: 'Bad_Name', labels: { 'bad key!': 'v', x: 'bad value!' } } };
      const { status, body } = await api.post('/api/v1/nodes', bad);
      assert.equal(status, 422);
      assert.equal(body.reason, 'Invalid');
      assert.deepEqual(
        body.details.causes.map((c: { field: string; reason: string }) => [c.field, c.reason]),
        [
          ['metadata.name', 'FieldValueInvalid'],
          ['metadata.labels', 'FieldValueInvalid'],
          ['metadata.labels', 'FieldValueInvalid'],
        ],
      );
      const nameless = await api.post('/api/v1/nodes', { metadata: {} });
      assert.equal(
        nameless.body.details.causes[0].message,
        'Required value: name or generateName is required',
      );
    });
  },
  'a pod without containers, or with a bad policy, is invalid'({ api, path }) {
    return done(async () => {
      const empty = await api.post(`${path}/pods`, { metadata: { name: 'p' }, spec: {} });
      assert.equal(empty.body.message, 'Pod "p" is invalid: spec.containers: Required value');
      const policy = await api.post(`${path}/pods`, pod('p', { restartPolicy: 'X' }));
      assert.equal(policy.body.details.causes[0].reason, 'FieldValueNotSupported');
      assert.equal(policy.body.details.causes[0].field, 'spec.restartPolicy');
    });
  },
  'wrong types and wrong kinds are 400'({ api }) {
    return done(async () => {
      const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'a' }, spec: { unschedulable: 'x' } };
      const wrong = await api.post('/api/v1/nodes', node);
      assert.equal(wrong.status, 400);
      assert.match(
        wrong.body.message,
        /cannot unmarshal string into Go struct field NodeSpec.spec.unschedulable of type bool/,
      );
      const kind = await api.post('/api/v1/nodes', { ...node, kind: 'Pod' });
      assert.match(kind.body.message, /^Pod in version "v1" cannot be handled as a Node/);
    });
  },
  'fieldValidation: strict refuses, warn warns, ignore drops'({ api, path }) {
    return done(async () => {
      const body = '{"metadata":{"name":"v"},"data":{},"foo":1,"immutable":true,"immutable":true}';
      const strict = await api.ask('POST', `${path}/configmaps?fieldValidation=Strict`, body);
      assert.equal(strict.status, 400);
      assert.match(strict.body.message, /strict decoding error: .*unknown field "foo"/);
      assert.match(strict.body.message, /duplicate field "immutable"/);
      const warn = await api.ask(
        'POST',
        `${path}/configmaps?fieldValidation=Warn`,
        '{"metadata":{"name":"v"},"foo":1}',
      );
      assert.equal(warn.status, 201);
      assert.match(String(warn.headers.warning), /299 - "unknown field \\"foo\\""/);
      assert.equal(warn.body.foo, undefined);
    });
  },
  'dry run stores nothing'({ api, path }) {
    return done(async () => {
      const dry = await api.post(`${path}/configmaps?dryRun=All`, configMap('d'));
      assert.equal(dry.status, 201);
      assert.equal(dry.body.metadata.resourceVersion, undefined);
      assert.equal((await api.get(`${path}/configmaps/d`)).status, 404);
      const bad = await api.post(`${path}/configmaps?dryRun=Some`, configMap('d'));
      assert.equal(bad.status, 422);
      assert.equal(bad.body.details.causes[0].reason, 'FieldValueNotSupported');
    });
  },
  'an update with an old resourceVersion is a conflict, without one it is not'({ api, path }) {
    return done(async () => {
      const first = await api.post(`${path}/configmaps`, configMap('u'));
      const second = await api.put(`${path}/configmaps/u`, { ...first.body, data: { a: '2' } });
      assert.equal(second.status, 200);
      const stale = await api.put(`${path}/configmaps/u`, { ...first.body, data: { a: '3' } });
      assert.equal(stale.status, 409);
      assert.equal(stale.body.reason, 'Conflict');
      assert.match(
        stale.body.message,
        /^Operation cannot be fulfilled on configmaps "u": the object has been modified/,
      );
      const blind = await api.put(`${path}/configmaps/u`, configMap('u', { l: '1' }));
      assert.equal(blind.status, 200);
      const same = await api.put(`${path}/configmaps/u`, configMap('u', { l: '1' }));
      assert.equal(
        same.body.metadata.resourceVersion,
        blind.body.metadata.resourceVersion,
        'nothing changed: no new version',
      );
      const renamed = await api.put(`${path}/configmaps/u`, configMap('other'));
      assert.equal(renamed.status, 400);
      assert.equal((await api.put(`${path}/configmaps/none`, configMap('none'))).status, 404);
    });
  },
  'status and spec do not write each other'({ api, run }) {
    return done(async () => {
      const name = `${run}-node`;
      await api.post('/api/v1/nodes', { metadata: { name }, spec: { taints: [] } });
      const node = `/api/v1/nodes/${name}`;
      const status = { conditions: [{ type: 'Ready', status: 'True' }] };
      const both = { spec: { unschedulable: true }, status };
      const one = await api.patch('merge', `${node}/status`, both);
      assert.equal(one.body.spec.unschedulable, undefined);
      assert.equal(one.body.status.conditions[0].type, 'Ready');
      const two = await api.patch('merge', node, {
        spec: { unschedulable: true },
        status: { conditions: [] },
      });
      assert.equal(two.body.spec.unschedulable, true);
      assert.equal(two.body.status.conditions.length, 1);
      await api.delete(node);
    });
  },
  'generation counts changes of the spec only'({ api, namespace }) {
    return done(async () => {
      const policies = `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies`;
      const made = await api.post(policies, {
        metadata: { name: 'g' },
        spec: { podSelector: {}, egress: [{}] },
      });
      assert.equal(made.body.metadata.generation, 1);
      assert.deepEqual(made.body.spec.policyTypes, ['Ingress', 'Egress']);
      const labelled = await api.patch('merge', `${policies}/g`, { metadata: { labels: { a: 'b' } } });
      assert.equal(labelled.body.metadata.generation, 1);
      const changed = await api.patch('merge', `${policies}/g`, { spec: { policyTypes: ['Egress'] } });
      assert.equal(changed.body.metadata.generation, 2);
    });
  },
  'finalizers hold a deletion'({ api, path }) {
    return done(async () => {
      await api.post(`${path}/configmaps`, { metadata: { name: 'f', finalizers: ['example.com/hold'] } });
      const asked = await api.delete(`${path}/configmaps/f`);
      assert.equal(asked.status, 200);
      assert.equal(asked.body.kind, 'ConfigMap');
      assert.ok(asked.body.metadata.deletionTimestamp);
      assert.equal((await api.get(`${path}/configmaps/f`)).status, 200);
      const freed = await api.patch('merge', `${path}/configmaps/f`, { metadata: { finalizers: null } });
      assert.equal(freed.status, 200);
      assert.equal((await api.get(`${path}/configmaps/f`)).status, 404);
    });
  },
  'deletion answers, and refuses wrong preconditions'({ api, path }) {
    return done(async () => {
      const { body } = await api.post(`${path}/configmaps`, configMap('d'));
      const refused = await api.delete(`${path}/configmaps/d`, { preconditions: { uid: 'x' } });
      assert.equal(refused.status, 409);
      const gone = await api.delete(`${path}/configmaps/d`, { preconditions: { uid: body.metadata.uid } });
      assert.deepEqual(gone.body.details, { name: 'd', kind: 'configmaps', uid: body.metadata.uid });
      assert.equal(gone.body.status, 'Success');
      assert.equal((await api.delete(`${path}/configmaps/d`)).status, 404);
      await api.post(`${path}/configmaps`, configMap('e1', { k: '1' }));
      await api.post(`${path}/configmaps`, configMap('e2', { k: '2' }));
      const some = await api.delete(`${path}/configmaps?labelSelector=k%3D1`);
      assert.deepEqual(names(some.body), ['e1']);
      assert.deepEqual(names((await api.get(`${path}/configmaps?labelSelector=k`)).body), ['e2']);
    });
  },
  'a running pod waits for its grace period, an unscheduled one goes at once'({ api, path }) {
    return done(async () => {
      await api.post(`${path}/pods`, pod('idle'));
      assert.equal((await api.delete(`${path}/pods/idle`)).body.kind, 'Pod');
      assert.equal((await api.get(`${path}/pods/idle`)).status, 404);
      await api.post(`${path}/pods`, pod('run', { nodeName: 'somewhere' }));
      const asked = await api.delete(`${path}/pods/run`);
      assert.equal(asked.body.metadata.deletionGracePeriodSeconds, 30);
      assert.equal(asked.body.metadata.generation, 2);
      assert.equal((await api.get(`${path}/pods/run`)).status, 200);
      const now = await api.delete(`${path}/pods/run?gracePeriodSeconds=0`);
      assert.equal(now.status, 200);
      assert.equal((await api.get(`${path}/pods/run`)).status, 404);
    });
  },
  "a pod's node is given once, through binding"({ api, path }) {
    return done(async () => {
      await api.post(`${path}/pods`, pod('b'));
      const target = {
        apiVersion: 'v1',
        kind: 'Binding',
        metadata: { name: 'b' },
        target: { kind: 'Node', name: 'n1' },
      };
      assert.equal((await api.post(`${path}/pods/b/binding`, target)).status, 201);
      assert.equal((await api.get(`${path}/pods/b`)).body.spec.nodeName, 'n1');
      assert.equal((await api.post(`${path}/pods/b/binding`, target)).status, 409);
      const moved = await api.patch('merge', `${path}/pods/b`, { spec: { nodeName: 'n2' } });
      assert.equal(moved.status, 422);
      assert.equal(moved.body.details.causes[0].field, 'spec');
      await api.delete(`${path}/pods/b?gracePeriodSeconds=0`);
    });
  },
  "a node's pod CIDRs are given once"({ api, run }) {
    return done(async () => {
      const node = `/api/v1/nodes/${run}-cidr`;
      await api.post('/api/v1/nodes', {
        metadata: { name: `${run}-cidr` },
        spec: { podCIDRs: ['10.250.1.0/24'] },
      });
      assert.equal((await api.get(node)).body.spec.podCIDR, '10.250.1.0/24');
      const moved = await api.patch('merge', node, {
        spec: { podCIDR: '10.250.2.0/24', podCIDRs: ['10.250.2.0/24'] },
      });
      assert.equal(moved.status, 422);
      await api.delete(node);
    });
  },
  'methods that are not there'({ api }) {
    return done(async () => {
      assert.equal((await api.put('/api/v1/nodes', {})).status, 405);
      assert.equal((await api.post('/api/v1/nodes/a', {})).status, 405);
      const kind = await api.ask('PATCH', '/api/v1/nodes/a', '{}', 'text/plain');
      assert.equal(kind.status, 415);
    });
  },
  'tables are what kubectl prints'({ api, path }) {
    return done(async () => {
      await api.post(`${path}/pods`, pod('t'));
      const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
      const { body } = await api.ask('GET', `${path}/pods`, undefined, 'application/json', accept);
      const columns = body.columnDefinitions.map((c: { name: string }) => c.name);
      assert.deepEqual(columns.slice(0, 7), ['Name', 'Ready', 'Status', 'Restarts', 'Age', 'IP', 'Node']);
      assert.deepEqual(body.rows[0].cells.slice(0, 4), ['t', '0/1', 'Pending', '0']);
      assert.equal(body.rows[0].object.kind, 'PartialObjectMetadata');
    });
  },
};
