import assert from 'node:assert/strict';
import { test } from 'node:test';
import { struct } from '../schema/notation.ts';
import { fieldsOf, fromFieldsV1, printPath, removeAt, toFieldsV1, valueAt } from './fields.ts';
import { strategicPatch } from './strategic.ts';

const pod = {
  kind: 'Pod',
  apiVersion: 'v1',
  metadata: { name: 'p', labels: { a: 'b' } },
  spec: { containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 80 }] }], nodeSelector: { x: 'y' } },
};

test('fields in the form of managedFields, there and back', () => {
  const fields = fieldsOf(pod, struct('Pod'));
  const tree = toFieldsV1(fields);
  assert.deepEqual(tree, {
    'f:metadata': { 'f:labels': { 'f:a': {} } },
    'f:spec': {
      'f:containers': {
        'k:{"name":"c"}': {
          '.': {},
          'f:image': {},
          'f:name': {},
          'f:ports': { 'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} } },
        },
      },
      'f:nodeSelector': {},
    },
  });
  assert.deepEqual([...fromFieldsV1(tree)].sort(), [...fields].sort());
});

test('every field leads to its value, and can be taken away', () => {
  for (const path of fieldsOf(pod, struct('Pod'))) {
    const copy = structuredClone(pod);
    assert.notEqual(valueAt(copy, path), undefined, printPath(path));
    removeAt(copy, path);
    assert.equal(valueAt(copy, path), undefined, printPath(path));
  }
});

test('strategic merge: order, retained keys, primitive sets', () => {
  const type = struct('PodSpec');
  const spec = { containers: [{ name: 'a' }, { name: 'b' }] };
  const ordered = strategicPatch(
    spec,
    {
      '$setElementOrder/containers': [{ name: 'c' }, { name: 'a' }, { name: 'b' }],
      containers: [{ name: 'c' }],
    },
    type,
  );
  assert.deepEqual(ordered.containers, [{ name: 'c' }, { name: 'a' }, { name: 'b' }]);
  const volumes = { volumes: [{ name: 'v', emptyDir: {} }] };
  const retained = strategicPatch(
    volumes,
    { volumes: [{ name: 'v', $retainKeys: ['name', 'hostPath'], hostPath: { path: '/x' } }] },
    type,
  );
  assert.deepEqual(retained.volumes, [{ name: 'v', hostPath: { path: '/x' } }]);
  const meta = strategicPatch(
    { finalizers: ['a', 'b'] },
    { '$deleteFromPrimitiveList/finalizers': ['a'], finalizers: ['c'] },
    struct('ObjectMeta'),
  );
  assert.deepEqual(meta.finalizers, ['b', 'c']);
});
