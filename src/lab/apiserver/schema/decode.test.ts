import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode } from './decode.ts';
import { duplicateFields } from './duplicates.ts';
import { struct, structOf, types } from './notation.ts';

test('every type that a field names exists', () => {
  const names = types();
  for (const shape of names.values()) {
    for (const [key, type] of shape.fields) {
      const inner = type.kind === 'list' ? type.items : type.kind === 'map' ? type.values : type;
      if (inner.kind === 'ref') assert.ok(structOf(inner), `${shape.name}.${key}: ${inner.name}`);
    }
  }
  assert.ok(names.size > 200);
});

test('unknown fields are named and dropped, nulls and empty maps are absent', () => {
  const body = {
    metadata: { name: 'n', labels: {}, foo: 1 },
    spec: { taints: null, podCIDRs: ['x'], bar: {} },
  };
  const { object, complaints } = decode(body, struct('Node'), 'Node', 'v1');
  assert.deepEqual(object, { metadata: { name: 'n' }, spec: { podCIDRs: ['x'] } });
  assert.deepEqual(complaints, ['unknown field "metadata.foo"', 'unknown field "spec.bar"']);
});

test('a value of the wrong type names its field', () => {
  const read = (spec: object) => () => decode({ spec: spec as never }, struct('Node'), 'Node', 'v1');
  assert.throws(read({ podCIDRs: 'x' }), /NodeSpec\.spec\.podCIDRs of type \[\]string/);
  assert.throws(read({ taints: [{ key: 1 }] }), /Taint\.spec\.taints\.key of type string/);
});

test('duplicate keys, at any depth, not in strings', () => {
  const duplicates = (source: string) => duplicateFields(source, JSON.parse(source));
  assert.deepEqual(duplicates('{"a":1,"b":{"c":[{"d":1},{"d":1,"d":2}]},"a":"x\\":{"}'), [
    'duplicate field "b.c[1].d"',
    'duplicate field "a"',
  ]);
  assert.deepEqual(duplicates('{"a":"b","c":"a","d":{"a":1},"e":{"a":1}}'), []);
  assert.deepEqual(duplicates('{"a":":b","c":1,"c":2}'), ['duplicate field "c"']);
  assert.deepEqual(duplicates('{"a":"{\\"x\\":1}","b":1,"b":2}'), ['duplicate field "b"']);
  assert.deepEqual(duplicates('{"a\\\\":1,"b":1,"b":":"}'), ['duplicate field "b"']);
  assert.deepEqual(duplicates('{"a" :1,"b":{"a":":"},"a":2}'), ['duplicate field "a"']);
});
