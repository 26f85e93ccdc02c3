import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '../json.ts';
import { services } from './services.ts';

const RANGES = ['10.96.0.0/16', 'fd96::/108'];
const port = { name: 'http', port: 80 };

function setUp(ranges: readonly string[] = RANGES) {
  const admission = services(ranges);
  const service = (uid: string, spec: JsonObject): JsonObject => ({ metadata: { name: uid, uid }, spec });
  const create = (uid: string, spec: JsonObject, dryRun = false): JsonObject => {
    const made = service(uid, { ports: [{ ...port }], ...spec });
    admission.create?.(made, { dryRun } as never);
    return made.spec as JsonObject;
  };
  return { admission, service, create };
}

test('each Service gets an address of its own, of the first family unless it asks for more', () => {
  const { create } = setUp();
  assert.deepEqual(create('a', {}).clusterIPs, ['10.96.0.10']);
  const both = create('b', { ipFamilyPolicy: 'PreferDualStack' });
  assert.deepEqual(both.clusterIPs, ['10.96.0.11', 'fd96::a']);
  assert.deepEqual(both.ipFamilies, ['IPv4', 'IPv6']);
  assert.equal(both.clusterIP, '10.96.0.11');
  assert.deepEqual(create('c', { ipFamilies: ['IPv6'] }).clusterIPs, ['fd96::b']);
  assert.deepEqual(create('d', { clusterIP: '10.96.0.13' }).clusterIPs, ['10.96.0.13']);
  assert.equal(create('e', {}).clusterIP, '10.96.0.12');
  assert.equal(create('f', {}).clusterIP, '10.96.0.14', 'the one that was asked for is taken');
  assert.deepEqual(create('g', { clusterIP: 'None' }).clusterIPs, ['None']);
  assert.equal(create('h', { type: 'ExternalName' }).clusterIP, undefined);
});

test('a dry run takes nothing, a Service that goes gives back', () => {
  const { create, admission, service } = setUp(['10.96.0.0/28']);
  assert.equal(create('dry', {}, true).clusterIP, '10.96.0.10');
  const given = ['a', 'b', 'c', 'd', 'e', 'f'].map((uid) => create(uid, { type: 'NodePort' }));
  assert.equal(new Set(given.map(({ clusterIP }) => clusterIP)).size, 6);
  assert.equal(create('g', {}).clusterIP, '', 'the range is used up');
  admission.removed?.(service('c', {}), {} as never);
  const again = create('h', { type: 'NodePort' });
  assert.deepEqual([again.clusterIP, again.ports], [given[2]?.clusterIP, given[2]?.ports]);
});

test('node ports are given where they are wanted, each once, and stay when an update leaves them out', () => {
  const { admission, service, create } = setUp();
  const ports = (spec: JsonObject) => (spec.ports as JsonObject[]).map(({ nodePort }) => nodePort);
  assert.deepEqual(ports(create('a', {})), [undefined]);
  assert.deepEqual(ports(create('b', { type: 'NodePort' })), [30000]);
  const asked = create('c', { type: 'NodePort', ports: [{ ...port, nodePort: 30001 }] });
  assert.deepEqual(ports(create('d', { type: 'LoadBalancer' })), [30002]);
  assert.deepEqual(ports(create('e', { type: 'LoadBalancer', allocateLoadBalancerNodePorts: false })), [
    undefined,
  ]);
  const updated = service('c', { type: 'NodePort', ports: [{ ...port }, { name: 'x', port: 81 }] });
  admission.update?.(updated, service('c', asked), { dryRun: false } as never);
  const spec = updated.spec as JsonObject;
  assert.deepEqual([ports(spec), spec.clusterIP], [[30001, 30003], asked.clusterIP]);
});

test('without a range there are no addresses', () => {
  assert.deepEqual(setUp([]).create('a', {}).clusterIPs, ['']);
});
