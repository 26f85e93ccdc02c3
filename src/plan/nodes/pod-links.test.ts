import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CONFIG,
  type Content,
  eth0,
  link,
  node,
  PREDECESSOR,
  world,
} from '../../../test/support/plan-worlds.ts';
import { cidr } from '../../model/net/cidr.ts';
import { ip } from '../../model/net/ip.ts';
import { linkNames, placeOf, podLinks } from './pod-links.ts';

const n1 = node(1);
const PTP = { cni: { ...CONFIG.cni, plugin: 'ptp' } } as const;
const FOREIGN = { cni: { ...CONFIG.cni, write: false } };
const bridge = (name: string, ...addresses: string[]) => link(name, addresses, { kind: 'bridge' });
const veth = (name: string, ...addresses: string[]) => link(name, addresses, { kind: 'veth' });
const old = bridge('kube-bridge', '10.244.1.1/24');

const names = (content: Content, of = n1) =>
  linkNames(
    podLinks(world({ nodes: [of], ...content, links: [eth0(of), ...(content.links ?? [])] }), placeOf(of)),
  );

test('links on which pods are, or will be in a moment', () => {
  assert.deepEqual(names({}), ['fairlead0'], 'before the plugin makes it');
  assert.deepEqual(names({ config: PTP }), ['veth*']);
  assert.deepEqual(names({ missing: { br_netfilter: 'no' } }), ['veth*'], 'rules cannot see into bridges');
  assert.deepEqual(names({ config: FOREIGN }), []);
  assert.deepEqual(names({ config: { router: { enabled: false } }, links: [old] }), []);
});

test('… and those of before: on a bridge, by pairs, on a predecessor’s bridge with its file and without', () => {
  const ours = bridge('fairlead0', '10.244.1.1/24', 'fd00:244:1::1/64');
  assert.deepEqual(names({ config: PTP, links: [ours] }), ['fairlead0', 'veth*']);
  assert.deepEqual(names({ config: PTP, links: [bridge('fairlead0')] }), ['fairlead0', 'veth*']);
  assert.deepEqual(names({ missing: { br_netfilter: 'no' }, links: [ours] }), ['fairlead0', 'veth*']);
  const pair = veth('veth0a1b2c3d', '10.244.1.1/32');
  assert.deepEqual(names({ links: [pair] }), ['fairlead0', 'veth*']);
  assert.deepEqual(names({ links: [veth('veth0a1b2c3d', 'fd00:244:1::1/128')] }), ['fairlead0', 'veth*']);
  assert.deepEqual(names({ cni: [PREDECESSOR] }), ['kube-bridge']);
  assert.deepEqual(names({ cni: [PREDECESSOR], links: [old] }), ['kube-bridge']);
  assert.deepEqual(names({ cni: [PREDECESSOR], links: [old, ours] }), ['fairlead0', 'kube-bridge']);
  assert.deepEqual(names({ links: [old] }), ['fairlead0', 'kube-bridge'], 'its file is gone');
  assert.deepEqual(names({ links: [bridge('br6', 'fd00:244:1::1/64')] }), ['br6', 'fairlead0']);
  assert.deepEqual(names({ config: FOREIGN, links: [bridge('mine', '10.244.1.1/24')] }), ['mine']);
});

test('what only looks like one: other bridges, other pods’ ranges, our tunnel, a pair of something else', () => {
  const tunnel = link('fl-vxlan', ['10.244.1.0/32'], { kind: 'vxlan' });
  const port = link('veth1', ['10.244.1.9/32'], { kind: 'veth', master: 7 });
  const others = [
    bridge('docker0', '172.17.0.1/16'),
    bridge('br2', '10.244.2.1/24'),
    veth('veth0', '10.9.9.1/24'),
  ];
  assert.deepEqual(names({ links: [tunnel, port, ...others] }), ['fairlead0']);
});

test('where other nodes’ packets come in there is no pod, whatever it is called', () => {
  const flat = node(1, { podCidrs: [cidr('10.0.0.0/24')], addresses: [ip('10.0.0.1')] });
  assert.deepEqual(names({ links: [bridge('br0', '10.0.0.1/24')] }, flat), ['fairlead0']);
  const named = { ...CONFIG, underlayLink: 'br0' };
  assert.deepEqual(names({ config: named, links: [bridge('br0', '10.244.1.1/24')] }), ['fairlead0']);
  const up = veth('veth-up', '10.0.0.1/24');
  assert.deepEqual(names({ config: PTP, links: [up] }), [], 'nft cannot tell it from pods’');
});
