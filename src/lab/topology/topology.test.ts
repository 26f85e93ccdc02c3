import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkTopology, defaultTopology, nodeAddresses, type Topology } from './topology.ts';

test('the default has two segments, a router, and addresses of both families for each node', () => {
  const topology = checkTopology(defaultTopology());
  assert.deepEqual(
    topology.nodes.map((node) => node.segment),
    ['wire0', 'wire0', 'wire1'],
  );
  assert.deepEqual(Object.fromEntries(nodeAddresses(topology)), {
    n1: ['192.0.2.11/24', '2001:db8:0:1::b/64'],
    n2: ['192.0.2.12/24', '2001:db8:0:1::c/64'],
    n3: ['198.51.100.11/24', '2001:db8:0:2::b/64'],
  });
});

test('an address that a node asked for is not given to another', () => {
  const base = defaultTopology({ nodes: 2, segments: 1, families: ['ipv4'] });
  const [first, second] = base.nodes;
  const topology = { ...base, nodes: [first!, { ...second!, addresses: ['192.0.2.11'] }] };
  assert.deepEqual(Object.fromEntries(nodeAddresses(topology)), {
    n1: ['192.0.2.12/24'],
    n2: ['192.0.2.11/24'],
  });
});

const node = { name: 'n1', segment: 'wire0', pods: 1 };
const wrong: readonly [string, Partial<Topology>, RegExp][] = [
  ['an unknown segment', { nodes: [{ ...node, segment: 'wire9' }] }, /no segment "wire9".*wire0/],
  ['a name that no link can have', { nodes: [{ ...node, name: 'a-very-long-name' }] }, /a-very-long-name/],
  ['one name twice', { nodes: [node, node] }, /"n1" is used twice/],
  ["a name that a segment's bridge has", { nodes: [{ ...node, name: 'br0' }] }, /"br0" is used twice/],
  ['too many pods', { nodes: [{ ...node, pods: 1000 }] }, /node n1 pods 1000/],
  ['an address that is none', { nodes: [{ ...node, addresses: ['192.0.2.300'] }] }, /192\.0\.2\.300/],
  ['ranges that overlap', { clusterCidrs: ['192.0.2.0/25'] }, /192\.0\.2\.0\/25 overlaps 192\.0\.2\.0\/24/],
  ['host bits', { clusterCidrs: ['10.1.2.3/16'] }, /10\.1\.2\.3\/16/],
  ['an mtu too small', { segments: [{ name: 'wire0', cidrs: [], mtu: 100 }] }, /mtu 100/],
];
for (const [what, change, message] of wrong) {
  test(`refuses ${what}, naming it`, () => {
    assert.throws(
      () => checkTopology({ ...defaultTopology({ nodes: 1 }), routers: [], outside: undefined, ...change }),
      (error: Error & { hint?: string }) => message.test(`${error.message} ${error.hint}`),
    );
  });
}
