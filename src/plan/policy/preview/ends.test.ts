import assert from 'node:assert/strict';
import { test } from 'node:test';
import { block, netpol, own } from '../../../../test/support/policy-worlds.ts';
import { podOn, rule, worldOf } from '../../../../test/support/verdict-worlds.ts';
import type { Peer } from '../../../model/cluster/policy.ts';
import { outsideEnds, podEnds } from './ends.ts';
import { trafficOf } from './traffic.ts';
import { wordsOf } from './words.ts';

const wordsOfPeers = (...peers: Peer[]) => wordsOf([netpol('x/p', '', { ingress: [rule(peers)] })]);

test('the outside has an address for each part that blocks and exceptions make', () => {
  const labels = (...peers: Peer[]) =>
    outsideEnds(worldOf({}), wordsOfPeers(...peers)).map(({ label }) => label);
  assert.deepEqual(labels(), ['outside (198.51.100.77)']);
  assert.deepEqual(labels(block('172.16.0.0/12')), [
    'outside (198.51.100.77)',
    'outside 172.16.0.0/12 (172.16.0.1)',
  ]);
  assert.deepEqual(labels(block('172.16.0.0/12', '172.16.0.0/13')), [
    'outside (198.51.100.77)',
    'outside 172.16.0.0/13 (172.16.0.1)',
    'outside 172.16.0.0/12 (172.24.0.0)',
  ]);
  assert.deepEqual(labels(block('172.16.0.0/30', '172.16.0.1/32', '172.16.0.2/31')), [
    'outside (198.51.100.77)',
    'outside 172.16.0.1/32 (172.16.0.1)',
    'outside 172.16.0.2/31 (172.16.0.3)',
    'outside 172.16.0.0/30 (172.16.0.0)',
  ]);
  assert.deepEqual(labels(block('2001:db8:77::/48', '2001:db8:77::/64')), [
    'outside (198.51.100.77)',
    'outside 2001:db8:77::/64 (2001:db8:77::77)',
    'outside (3fff:77::77)',
    'outside 2001:db8:77::/48 (2001:db8:77:8000::)',
  ]);
  assert.deepEqual(labels(block('10.244.1.11/32')), ['outside (198.51.100.77)'], 'that is a pod');
});

test('pods are of one kind when labels that are asked for, named ports, blocks and families are equal', () => {
  const labels = { app: 'web' };
  const like = (name: string, last: number, changes = {}) =>
    podOn(`x/${name}`, 1, last, { labels, ...changes });
  const pods = [
    like('w1', 31),
    like('w2', 32, { labels: { ...labels, 'not-asked-for': '1' } }),
    like('w3', 33, { labels: { app: 'db' } }),
    like('w4', 34, { ports: [] }),
    like('w5', 61),
    like('w6', 35, { ips: like('w6', 35).ips.slice(0, 1) }),
    like('w7', 36, { phase: 'Failed' }),
    like('w8', 37, { hostNetwork: true }),
  ];
  const ends = podEnds(worldOf({ pods }), wordsOfPeers(own('app'), block('10.244.1.32/27')));
  const ofTest = ends.map(({ label }) => label).filter((label) => label.startsWith('x/w'));
  assert.deepEqual(ofTest.sort(), ['x/w1', 'x/w2 and 1 like it', 'x/w3', 'x/w4', 'x/w6'].sort());
  const none = podEnds(worldOf({ pods }), wordsOfPeers(own('')));
  assert.ok(
    none.some(({ label }) => label === 'x/a and 5 like it'),
    'neither labels nor blocks are asked for',
  );
});

test('ports: one of each range, of the rest, and of protocols without', () => {
  const texts = trafficOf(
    [
      { protocol: 'TCP', from: 80, to: 90 },
      { protocol: 'TCP', from: 85, to: 85 },
      { protocol: 'TCP', name: 'web' },
      { protocol: 'UDP', from: 1, to: 65_535 },
    ],
    podOn('x/a', 1, 1, { ports: [{ name: 'web', protocol: 'TCP', port: 8080 }] }),
  ).map(({ label, protocol, port }) => `${label} = ${protocol} ${port}`);
  assert.deepEqual(texts, [
    'TCP 80-84 = TCP 80',
    'TCP 85 = TCP 85',
    'TCP 86-90 = TCP 86',
    'TCP 8080 = TCP 8080',
    'other TCP = TCP 1',
    'UDP 1-65535 = UDP 1',
    'SCTP = SCTP 1',
    'ICMP and others = 253 undefined',
  ]);
});
