import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FACTS_ANNOTATION } from '../../model/cluster/node.ts';
import { AUDIT_ANNOTATION } from '../../model/cluster/policy.ts';
import { equal } from '../../model/equal.ts';
import { Interner } from './interner.ts';
import { namespaces } from './namespaces.ts';
import { nodes } from './nodes.ts';
import { pods, podsOn } from './pods.ts';

const facts = {
  version: 1,
  accepts: ['layer2', 'vxlan/ipv4/1/8472', 'carrier-pigeon'],
  uses: ['layer2'],
  underlay: ['192.0.2.7/24', '2001:DB8::0007/64'],
  mtu: 1500,
  vxlan: { mac: '02:AB:00:00:00:01', vni: 1, port: 8472 },
  future: { anything: true },
};

const rawNode = (change: { meta?: object; spec?: object; status?: object } = {}) => ({
  metadata: {
    name: 'n1',
    uid: 'u1',
    creationTimestamp: '2026-01-02T03:04:05Z',
    resourceVersion: '7',
    labels: { b: '2', a: '1' },
    annotations: { [FACTS_ANNOTATION]: JSON.stringify(facts) },
    ...change.meta,
  },
  spec: { podCIDR: '10.1.1.0/24', podCIDRs: ['10.1.1.0/24', 'FD00:1:0:0::/64'], ...change.spec },
  status: {
    addresses: [
      { type: 'Hostname', address: 'n1' },
      { type: 'InternalIP', address: '192.0.2.7' },
      { type: 'InternalIP', address: '2001:DB8:0:0::7' },
      { type: 'ExternalIP', address: '203.0.113.9' },
    ],
    conditions: [
      { type: 'Ready', status: 'True' },
      {
        type: 'NetworkUnavailable',
        status: 'False',
        reason: 'FairleadUp',
        message: 'yes',
        lastHeartbeatTime: 'x',
      },
    ],
    ...change.status,
  },
});

const project = (raw: Record<string, unknown>) => nodes.project(raw, new Interner());

describe('Node', () => {
  test('what we keep of it, in canonical text of both families', () => {
    assert.deepEqual(project(rawNode()), {
      name: 'n1',
      uid: 'u1',
      created: '2026-01-02T03:04:05Z',
      addresses: ['192.0.2.7', '2001:db8::7'],
      externalAddresses: ['203.0.113.9'],
      podCidrs: ['10.1.1.0/24', 'fd00:1::/64'],
      labels: { a: '1', b: '2' },
      facts: {
        version: 1,
        accepts: ['layer2', 'vxlan/ipv4/1/8472', 'carrier-pigeon'],
        uses: ['layer2'],
        underlay: ['192.0.2.7/24', '2001:db8::7/64'],
        mtu: 1500,
        vxlan: { mac: '02:ab:00:00:00:01', vni: 1, port: 8472 },
      },
      networkUnavailable: { status: 'False', reason: 'FairleadUp', message: 'yes' },
      problems: [],
    });
  });

  test('a heartbeat changes nothing of it', () => {
    const beat = rawNode({
      meta: { resourceVersion: '8', managedFields: [{}] },
      status: {
        images: [1],
        conditions: rawNode().status.conditions.map((c) => ({ ...c, lastHeartbeatTime: 'y' })),
      },
    });
    assert.ok(equal(project(rawNode()), project(beat)));
  });

  for (const [what, change, problem] of [
    ['no address', { status: { addresses: [] } }, /status\.addresses has no InternalIP/],
    [
      'a malformed address',
      { status: { addresses: [{ type: 'InternalIP', address: '10.0.0.300' }] } },
      /status\.addresses\[0\] InternalIP "10\.0\.0\.300"/,
    ],
    [
      'host bits in a CIDR',
      { spec: { podCIDRs: ['10.1.1.5/24'] } },
      /spec\.podCIDRs\[0\] "10\.1\.1\.5\/24".*host bits.*10\.1\.1\.0\/24/,
    ],
    ['a CIDR that is none', { spec: { podCIDRs: ['x'] } }, /spec\.podCIDRs\[0\] "x" cannot be used/],
    [
      'facts that are no JSON',
      { meta: { annotations: { [FACTS_ANNOTATION]: '{' } } },
      /node-facts"\] is not JSON/,
    ],
    [
      'facts with a bad MAC',
      {
        meta: {
          annotations: {
            [FACTS_ANNOTATION]: JSON.stringify({ ...facts, vxlan: { ...facts.vxlan, mac: 'z' } }),
          },
        },
      },
      /node-facts"\] vxlan\.mac: not a MAC/,
    ],
    [
      'facts of another version',
      { meta: { annotations: { [FACTS_ANNOTATION]: JSON.stringify({ ...facts, version: 2 }) } } },
      /node-facts"\] version/,
    ],
    [
      'facts with a bad underlay',
      { meta: { annotations: { [FACTS_ANNOTATION]: JSON.stringify({ ...facts, underlay: ['1.2.3.4'] }) } } },
      /node-facts"\] underlay\.0.*not a prefix/,
    ],
  ] as const) {
    test(`${what}: left out, and told with the field`, () => {
      const node = project(rawNode(change));
      assert.ok(
        node.problems.some((p) => problem.test(p)),
        node.problems.join('\n'),
      );
      assert.equal(node.name, 'n1');
    });
  }

  test('an older server without podCIDRs, and a Node that waits for its CIDR', () => {
    assert.deepEqual(project(rawNode({ spec: { podCIDRs: undefined } })).podCidrs, ['10.1.1.0/24']);
    const waiting = project(rawNode({ spec: { podCIDRs: undefined, podCIDR: undefined } }));
    assert.deepEqual([waiting.podCidrs, waiting.problems], [[], []]);
  });
});

describe('Pod', () => {
  const raw = {
    metadata: { name: 'web', namespace: 'dev', uid: 'p', labels: { app: 'web' } },
    spec: {
      nodeName: 'n1',
      containers: [
        {
          ports: [
            { name: 'web', containerPort: 80 },
            { name: 'dns', protocol: 'UDP', containerPort: 53 },
            { containerPort: 81 },
            { name: 'odd', protocol: 'ICMP', containerPort: 8 },
          ],
        },
      ],
      initContainers: [
        { restartPolicy: 'Always', ports: [{ name: 'proxy', protocol: 'TCP', containerPort: 15001 }] },
        { ports: [{ name: 'once', containerPort: 1 }] },
      ],
    },
    status: {
      phase: 'Running',
      podIP: '10.1.1.2',
      podIPs: [{ ip: '10.1.1.2' }, { ip: 'FD00:1::2' }, { ip: 'bad' }],
    },
  };

  test('what we keep of it', () => {
    assert.equal(pods.key(raw), 'dev/web');
    assert.deepEqual(pods.project(raw, new Interner()), {
      key: 'dev/web',
      namespace: 'dev',
      name: 'web',
      uid: 'p',
      node: 'n1',
      ips: ['10.1.1.2', 'fd00:1::2'],
      hostNetwork: false,
      phase: 'Running',
      labels: { app: 'web' },
      ports: [
        { name: 'web', protocol: 'TCP', port: 80 },
        { name: 'dns', protocol: 'UDP', port: 53 },
        { name: 'proxy', protocol: 'TCP', port: 15001 },
      ],
    });
  });

  test('of one node only', () => assert.equal(podsOn('n1').fieldSelector, 'spec.nodeName=n1'));

  test('pods with the same labels share them in memory', () => {
    const shared = new Interner();
    const one = pods.project(raw, shared);
    const two = pods.project(
      JSON.parse(JSON.stringify({ ...raw, metadata: { ...raw.metadata, name: 'b' } })),
      shared,
    );
    assert.equal(one.labels, two.labels);
  });
});

test('Namespace', () => {
  const metadata = { name: 'dev', uid: 'u', labels: { x: 'y' } };
  const project = (meta: object) => namespaces.project({ metadata: meta }, new Interner());
  assert.deepEqual(project(metadata), { name: 'dev', uid: 'u', labels: { x: 'y' }, audit: false });
  const audited = (value: unknown) =>
    project({ ...metadata, annotations: { [AUDIT_ANNOTATION]: value } }).audit;
  assert.deepEqual(['true', 'false', 'yes', true].map(audited), [true, false, false, false]);
});

test('the interner forgets instead of growing', () => {
  const shared = new Interner(100);
  for (let i = 0; i < 1000; i++) shared.labels({ hash: `h${i}` });
  const before = shared.labels({ hash: 'h999' });
  assert.deepEqual(before, { hash: 'h999' });
  assert.deepEqual(
    shared.labels({ a: { toString: 7 }, b: 'x' }),
    { b: 'x' },
    'what is no string is left out',
  );
});
