import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Content, node, world } from '../../../test/support/plan-worlds.ts';
import { podOn } from '../../../test/support/verdict-worlds.ts';
import { cidr } from '../../model/net/cidr.ts';
import { explainPath } from './explain.ts';

const pod = (name: string, on: number, last: number) => podOn(`default/${name}`, on, last);

const CONTENT: Content = {
  config: { masquerade: { enabled: true, exclude: [cidr('192.0.2.0/24')] } },
  nodes: [node(1), node(2), node(3, { segment: 9 })],
  pods: [pod('a', 1, 5), pod('b', 1, 6), pod('c', 2, 5), pod('d', 3, 5)],
};

function lines(from: string, to: string): string[] {
  const path = explainPath(world(CONTENT), from, to);
  return [...path.steps.map((step) => `${step.at}: ${step.text}`), path.reachable];
}

test('a pod on the next node, by layer2', () => {
  assert.deepEqual(lines('a', '10.244.2.5'), [
    'pod default/a: sends 10.244.1.5 → 10.244.2.5 to its gateway 10.244.1.1',
    'node n1: 10.244.2.0/24 via 10.0.0.2 dev eth0 (layer2: n2 is on-link on eth0 (10.0.0.0/24) and eth0 (2001:db8::/64)); the source stays 10.244.1.5',
    'node n2: delivers to its bridge',
    'pod default/c: 10.244.2.5 receives it',
    'yes',
  ]);
});

test('a pod behind a router, by vxlan, both families', () => {
  const path = explainPath(world(CONTENT), 'default/a', 'default/d');
  assert.equal(path.reachable, 'yes');
  assert.deepEqual(
    path.steps.flatMap((step) => (step.row ? [`${step.row.target} ${step.row.key}`] : [])),
    [
      'route 10.244.3.0/24',
      'fdb fl-vxlan fa:1c:7d:4f:90:56',
      'route fd00:244:3::/64',
      'fdb fl-vxlan fa:1c:7d:4f:90:56',
    ],
  );
});

test('the same node, the outside, what is excluded, another node, nobody', () => {
  assert.match(lines('a', 'b').join('\n'), /same node: delivered by its bridge/);
  assert.match(
    lines('a', '203.0.113.9').join('\n'),
    /masquerades: 203\.0\.113\.9 sees the address of n1, not 10\.244\.1\.5/,
  );
  assert.match(
    lines('a', '192.0.2.9').join('\n'),
    /sees the source 10\.244\.1\.5: it is in 192\.0\.2\.0\/24 of setting/,
  );
  assert.match(lines('a', 'n2').join('\n'), /it is an address of Node n2/);
  assert.deepEqual(lines('c', 'a').at(-1), 'unknown');
  assert.equal(lines('a', 'nobody').at(-1), 'no');
  assert.match(lines('a', 'nobody').join('\n'), /no pod or node of this name/);
});

test('a peer that cannot be reached says why', () => {
  const path = explainPath(world({ ...CONTENT, config: { transport: 'layer2' } }), 'a', 'd');
  assert.equal(path.reachable, 'no');
  assert.match(
    path.steps.map((step) => step.text).join(),
    /has no route to 10\.244\.3\.5 on n3: .*outside 10\.0\.0\.0\/24 of eth0/,
  );
});
