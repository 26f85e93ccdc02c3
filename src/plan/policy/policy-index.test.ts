/** Who is selected, and who is in the sets: the lines S1 to S13, P2 to P6, P12 to P14 and T5 to T8 of the semantics. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { facts, node } from '../../../test/support/plan-worlds.ts';
import {
  ALL,
  block,
  cnp,
  DENY,
  from,
  namespace,
  netpol,
  own,
  pod,
  pods,
  policyStore,
  port,
  sel,
  selectedBy,
  setsOf,
} from '../../../test/support/policy-worlds.ts';
import { ip } from '../../model/net/ip.ts';
import { notePolicy } from './policy-index.ts';

const web = pod('x/web', 'app=web', '10.244.1.2 fd00:244:1::2');
const db = pod('x/db', 'app=db', '10.244.1.3');
const far = pod('y/far', 'app=web', '10.244.2.2');

test('S1: the empty selector selects every pod of its namespace, and none of another', () => {
  const store = policyStore({
    pods: [web, db, pod('y/c', '', '10.244.1.4')],
    netpols: [netpol('x/p', '', { ingress: [] })],
  });
  assert.equal(selectedBy(store, 'x/web', 'ingress'), 'x/p');
  assert.equal(selectedBy(store, 'x/db', 'ingress'), 'x/p');
  assert.equal(selectedBy(store, 'y/c', 'ingress'), 'open');
});

test('S2 S4 S6 S8: a direction that no policy covers stays open', () => {
  const store = policyStore({ pods: [web, db], netpols: [netpol('x/out', 'app=web', { egress: [] })] });
  assert.equal(selectedBy(store, 'x/web', 'egress'), 'x/out');
  assert.equal(selectedBy(store, 'x/web', 'ingress'), 'open');
  assert.equal(selectedBy(store, 'x/db', 'egress'), 'open');
});

test('S3: all policies that select a pod count, in order of name', () => {
  const netpols = ['b', 'a', 'c'].map((name) =>
    netpol(`x/${name}`, name === 'c' ? 'app=db' : '', { ingress: [ALL] }),
  );
  const store = policyStore({ pods: [web], netpols });
  assert.equal(selectedBy(store, 'x/web', 'ingress'), 'x/a x/b');
});

test('S9: pods of the host network are neither selected nor peers', () => {
  const host = { hostNetwork: true };
  const store = policyStore({
    pods: [web, pod('x/host', 'app=db', '10.0.0.1', host)],
    peers: [pod('x/other', 'app=db', '10.0.0.2', host)],
    netpols: [netpol('x/p', '', { ingress: [from(own('app=db'))] })],
  });
  assert.equal(selectedBy(store, 'x/host', 'ingress'), 'nobody');
  assert.deepEqual(setsOf(store), { 'x: app=db': [] });
});

test('S10: finished pods leave at once; pods that are terminating, pending or lost stay', () => {
  const store = policyStore({
    pods: [web],
    netpols: [netpol('x/p', '', { ingress: [from(own('app=db'))] })],
  });
  for (const phase of ['Pending', 'Running', 'Unknown'] as const) {
    store.put('pods', 'x/db', { ...db, phase });
    assert.deepEqual([phase, setsOf(store)], [phase, { 'x: app=db': ['10.244.1.3'] }]);
    assert.equal(selectedBy(store, 'x/db', 'ingress'), 'x/p');
  }
  for (const phase of ['Succeeded', 'Failed'] as const) {
    store.put('pods', 'x/db', { ...db, phase });
    assert.deepEqual([phase, setsOf(store)], [phase, { 'x: app=db': [] }]);
    assert.equal(selectedBy(store, 'x/db', 'ingress'), 'nobody');
  }
});

test('S11: a pod without an address is selected and is no peer; with its birth it is one', () => {
  const store = policyStore({
    pods: [{ ...db, ips: [], phase: 'Pending' }],
    netpols: [netpol('x/p', '', { ingress: [from(own('app=db'))] })],
  });
  assert.equal(selectedBy(store, 'x/db', 'ingress'), 'x/p');
  assert.deepEqual(setsOf(store), { 'x: app=db': [] });
  const birth = { pod: 'x/db', uid: db.uid, containerId: 'c', ips: [ip('10.244.1.9')] };
  store.put('births', 'c', birth);
  assert.deepEqual(setsOf(store), { 'x: app=db': ['10.244.1.9'] });
  store.put('births', 'c', { ...birth, uid: 'of a pod before it' });
  assert.deepEqual(setsOf(store), { 'x: app=db': [] });
  store.put('births', 'c', { ...birth, uid: '' });
  assert.deepEqual(setsOf(store), { 'x: app=db': ['10.244.1.9'] });
  store.put('pods', 'x/db', { ...db, ips: [], phase: 'Failed' });
  assert.deepEqual(setsOf(store), {}, 'a finished pod has no addresses, whatever it was born with');
});

test('S12: labels of target, peer and namespace, and the policy itself, may change', () => {
  const store = policyStore({
    pods: [web],
    peers: [far],
    netpols: [netpol('x/p', 'app=web', { ingress: [from(pods('team=a', 'app=web'))] })],
  });
  const set = '{team=a}: app=web';
  assert.deepEqual(setsOf(store), { [set]: [] });
  store.put('namespaces', 'y', namespace('y', 'team=a'));
  assert.deepEqual(setsOf(store), { [set]: ['10.244.2.2'] });
  store.put('peers', 'y/far', { ...far, labels: { app: 'db' } });
  assert.deepEqual(setsOf(store), { [set]: [] });
  store.put('peers', 'y/far', far);
  store.put('namespaces', 'y', namespace('y', 'team=b'));
  assert.deepEqual(setsOf(store), { [set]: [] });
  store.put('pods', 'x/web', { ...web, labels: {} });
  assert.equal(selectedBy(store, 'x/web', 'ingress'), 'open');
  assert.deepEqual(setsOf(store), {}, 'a set that no programmed policy needs is gone');
  store.put('networkPolicies', 'x/p', netpol('x/p', '', { egress: [from(own(''))] }));
  assert.equal(selectedBy(store, 'x/web', 'egress'), 'x/p');
  assert.deepEqual(setsOf(store), { 'x:': ['10.244.1.2', 'fd00:244:1::2'] });
  store.remove('networkPolicies', 'x/p');
  assert.equal(selectedBy(store, 'x/web', 'egress'), 'open');
});

test('S13: a namespace goes before or after its pods and policies; pods of one that is not there have no namespace labels', () => {
  const netpols = [
    netpol('x/p', '', { ingress: [from(pods('', ''))] }),
    netpol('x/q', '', { egress: [from(pods('team=a', ''))] }),
  ];
  const store = policyStore({ namespaces: [namespace('y', 'team=a')], pods: [web], peers: [far], netpols });
  assert.equal(selectedBy(store, 'x/web', 'ingress'), 'x/p');
  assert.deepEqual(setsOf(store), {
    '{team=a}:': ['10.244.2.2'],
    '{}:': ['10.244.1.2', '10.244.2.2', 'fd00:244:1::2'],
  });
  store.remove('namespaces', 'y');
  assert.deepEqual(setsOf(store)['{team=a}:'], []);
  store.remove('pods', 'x/web');
  store.remove('networkPolicies', 'x/p');
  store.remove('networkPolicies', 'x/q');
  assert.deepEqual(setsOf(store), {});
});

test('P2 to P6: own namespace, other namespaces, both, and every pod of all of them', () => {
  const store = policyStore({
    namespaces: [namespace('x', 'team=a'), namespace('y', 'team=b'), namespace('z', 'team=b')],
    pods: [web, db],
    peers: [far, pod('y/db', 'app=db', '10.244.2.3'), pod('z/db', 'app=db', '10.244.2.4')],
    netpols: [
      netpol('x/p', '', {
        ingress: [
          from(own('app=db'), own('')),
          from(pods('team=b', '')),
          from(pods('team=b', 'app=db'), pods('', '')),
        ],
      }),
    ],
  });
  assert.deepEqual(setsOf(store), {
    'x:': ['10.244.1.2', '10.244.1.3', 'fd00:244:1::2'],
    'x: app=db': ['10.244.1.3'],
    '{team=b}:': ['10.244.2.2', '10.244.2.3', '10.244.2.4'],
    '{team=b}: app=db': ['10.244.2.3', '10.244.2.4'],
    '{}:': ['10.244.1.2', '10.244.1.3', '10.244.2.2', '10.244.2.3', '10.244.2.4', 'fd00:244:1::2'],
  });
});

test('P12: In, NotIn, Exists, DoesNotExist; missing keys and empty values', () => {
  const labels = ['tier=a', 'tier=b', 'tier=', '', 'app=tier'];
  const peers = labels.map((text, i) => pod(`x/p${i}`, text, `10.244.2.${i}`));
  const matching = (selector: string): string => {
    const ingress = [from(own(selector))];
    const store = policyStore({ pods: [web], peers, netpols: [netpol('x/p', 'app=web', { ingress })] });
    const found = Object.values(setsOf(store))[0] ?? [];
    return found
      .filter((address) => address.startsWith('10.244.2.'))
      .map((address) => address.at(-1))
      .join('');
  };
  assert.equal(matching('tier:a,b'), '01');
  assert.equal(matching('tier=a'), '0');
  assert.equal(matching('tier='), '2', 'an empty value is a value');
  assert.equal(matching('tier!=a'), '1234');
  assert.equal(matching('tier!:a,b'), '234');
  assert.equal(matching('tier!='), '0134');
  assert.equal(matching('tier'), '012');
  assert.equal(matching('!tier'), '34');
  assert.equal(matching('!tier app'), '4');
  assert.equal(matching('tier=a tier=b'), '', 'all terms must hold');
  assert.equal(matching('tier:a,b tier!=a'), '1');
});

test('P13: the label kubernetes.io/metadata.name selects a namespace by its name', () => {
  const ingress = [from(pods('kubernetes.io/metadata.name=y', ''))];
  const store = policyStore({ pods: [web], peers: [far], netpols: [netpol('x/p', '', { ingress })] });
  assert.deepEqual(Object.values(setsOf(store)), [['10.244.2.2']]);
});

test('P14: every address of a pod counts, those of its birth too, each once', () => {
  const store = policyStore({
    pods: [web],
    netpols: [netpol('x/p', '', { ingress: [from(own('app=web'))] })],
  });
  store.put('births', 'c', {
    pod: 'x/web',
    uid: web.uid,
    containerId: 'c',
    ips: [ip('10.244.1.2'), ip('10.244.1.7')],
  });
  assert.deepEqual(setsOf(store), { 'x: app=web': ['10.244.1.2', '10.244.1.7', 'fd00:244:1::2'] });
});

test('T5 T7 T8: a port name of ingress means, on each pod of this node, what that pod says; nothing where it has none', () => {
  const named = (key: string, address: string, ...ports: string[]) =>
    pod(key, '', address, {
      ports: ports.map((text) => {
        const [name = '', protocol = '', number] = text.split(' ');
        return { name, protocol: protocol as 'TCP', port: Number(number) };
      }),
    });
  const store = policyStore({
    pods: [
      named('x/a', '10.244.1.2', 'http TCP 80', 'http UDP 81'),
      named('x/b', '10.244.1.3', 'http TCP 8080'),
      named('x/c', '10.244.1.4', 'https TCP 443'),
    ],
    peers: [named('x/far', '10.244.2.2', 'http TCP 80')],
    netpols: [netpol('x/p', '', { ingress: [{ peers: 'any', ports: [port('TCP/http')] }] })],
  });
  assert.deepEqual(setsOf(store), { 'http/TCP here': ['10.244.1.2 TCP 80', '10.244.1.3 TCP 8080'] });
});

test('T6: a port name of egress is resolved on the destinations: those that peers match, or every pod of the cluster', () => {
  const http = (number: number) => ({ ports: [{ name: 'http', protocol: 'TCP' as const, port: number }] });
  const store = policyStore({
    pods: [web],
    peers: [pod('y/a', 'app=a', '10.244.2.2', http(80)), pod('y/b', 'app=b', '10.244.2.3', http(81))],
    netpols: [
      netpol('x/p', '', {
        egress: [
          { peers: 'any', ports: [port('TCP/http')] },
          { peers: [pods('', 'app=b'), block('10.0.0.0/8')], ports: [port('TCP/http')] },
        ],
      }),
    ],
  });
  assert.deepEqual(setsOf(store), {
    'http/TCP of {}:': ['10.244.2.2 TCP 80', '10.244.2.3 TCP 81'],
    'http/TCP of {}: app=b': ['10.244.2.3 TCP 81'],
  });
});

test('only policies that select a pod of this node are compiled, and only their sets are kept', () => {
  const store = policyStore({
    pods: [web],
    peers: [far],
    netpols: [
      netpol('y/p', '', { ingress: [from(own(''))] }),
      netpol('x/q', 'app=db', { ingress: [from(own(''))] }),
    ],
    cnps: [
      cnp('c', 'Admin', 1, { subject: { namespaces: sel(''), pods: sel('app=none') }, ingress: [DENY] }),
    ],
  });
  assert.deepEqual(setsOf(store), {});
  assert.equal(selectedBy(store, 'x/web', 'ingress'), 'open');
});

test('ClusterNetworkPolicies: tiers apart, by priority, then by name; without rules in a direction they say nothing there', () => {
  const rule = { ingress: [DENY] };
  const store = policyStore({
    pods: [web],
    cnps: [
      cnp('low', 'Admin', 900, rule),
      cnp('twin-b', 'Admin', 5, rule),
      cnp('twin-a', 'Admin', 5, rule),
      cnp('ground', 'Baseline', 1, rule),
      cnp('elsewhere', 'Admin', 1, { ...rule, subject: { namespaces: sel('team=a'), pods: sel('') } }),
      cnp('out', 'Admin', 1, { egress: [DENY] }),
    ],
  });
  assert.equal(selectedBy(store, 'x/web', 'ingress'), 'admin:twin-a admin:twin-b admin:low baseline:ground');
  assert.equal(selectedBy(store, 'x/web', 'egress'), 'admin:out');
  store.put('clusterNetworkPolicies', 'low', cnp('low', 'Admin', 0, rule));
  assert.equal(selectedBy(store, 'x/web', 'ingress'), 'admin:low admin:twin-a admin:twin-b baseline:ground');
  store.put('namespaces', 'x', namespace('x', 'team=a'));
  assert.equal(
    selectedBy(store, 'x/web', 'ingress'),
    'admin:low admin:elsewhere admin:twin-a admin:twin-b baseline:ground',
  );
});

test('a NetworkPolicy stands before the Baseline tier in its own directions only', () => {
  const cnps = [cnp('ground', 'Baseline', 1, { ingress: [DENY], egress: [DENY] })];
  const store = policyStore({ pods: [web], cnps, netpols: [netpol('x/p', '', { egress: [ALL] })] });
  assert.equal(selectedBy(store, 'x/web', 'egress'), 'x/p');
  assert.equal(selectedBy(store, 'x/web', 'ingress'), 'baseline:ground');
});

test('Node peers are all addresses of the Nodes that match', () => {
  const egress = [{ ...DENY, peers: [{ kind: 'nodes' as const, nodes: sel('role=infra') }] }];
  const two = node(2, { labels: { role: 'infra' }, externalAddresses: [ip('192.0.2.2')] });
  const store = policyStore({ nodes: [node(1), two], pods: [web], cnps: [cnp('c', 'Admin', 1, { egress })] });
  assert.deepEqual(setsOf(store), {
    'nodes{role=infra}': ['10.0.0.2', '192.0.2.2', '2001:db8::2'],
  });
  // As soon as it has told of itself it is ours, and these are its bridge's and its tunnel's.
  store.put('nodes', 'n2', { ...two, facts: facts(two, { underlay: ['10.0.0.2/24', '172.16.0.2/24'] }) });
  assert.deepEqual(setsOf(store), {
    'nodes{role=infra}': [
      ...['10.0.0.2', '10.244.2.0', '10.244.2.1', '172.16.0.2', '192.0.2.2'],
      ...['2001:db8::2', 'fd00:244:2::', 'fd00:244:2::1'],
    ],
  });
  store.put('nodes', 'n2', { ...two, labels: {} });
  assert.deepEqual(setsOf(store), { 'nodes{role=infra}': [] });
});

test('default deny: namespaces without any NetworkPolicy, in the directions set, but for those spared', () => {
  const both = [web, pod('y/a', '', '10.244.1.4'), pod('kube-system/dns', '', '10.244.1.5')];
  const policy = { defaultDeny: 'ingress', defaultDenyExcept: ['kube-system'] } as const;
  const store = policyStore({
    policy,
    pods: both,
    cnps: [cnp('ground', 'Baseline', 1, { ingress: [DENY] })],
  });
  assert.equal(selectedBy(store, 'x/web', 'ingress'), 'default-deny');
  assert.equal(selectedBy(store, 'x/web', 'egress'), 'open');
  assert.equal(selectedBy(store, 'kube-system/dns', 'ingress'), 'baseline:ground');
  store.put('networkPolicies', 'x/other', netpol('x/other', 'app=none', { egress: [] }));
  assert.equal(
    selectedBy(store, 'x/web', 'ingress'),
    'baseline:ground',
    'its namespace has a policy, of whatever kind',
  );
  assert.equal(selectedBy(store, 'y/a', 'ingress'), 'default-deny');
  store.remove('networkPolicies', 'x/other');
  assert.equal(selectedBy(store, 'x/web', 'ingress'), 'default-deny');
  store.put('namespaces', 'y', namespace('y', '', true));
  assert.equal(selectedBy(store, 'y/a', 'ingress'), 'default-deny (audit)');
});

test('audit: only when all that select the pod tell instead of denying', () => {
  const netpols = [
    netpol('x/a', '', { ingress: [], audit: true }),
    netpol('x/b', 'app=web', { ingress: [], audit: false }),
  ];
  const store = policyStore({ pods: [web, db], netpols });
  assert.equal(selectedBy(store, 'x/web', 'ingress'), 'x/a x/b');
  assert.equal(selectedBy(store, 'x/db', 'ingress'), 'x/a (audit)');
  store.put('namespaces', 'x', namespace('x', '', true));
  assert.equal(selectedBy(store, 'x/web', 'ingress'), 'x/a x/b (audit)');
});

test('what was not reported yet is found when the index is asked, however often another change was told', () => {
  const store = policyStore({
    pods: [web],
    netpols: [netpol('x/p', '', { ingress: [from(own('app=db'))] })],
  });
  assert.deepEqual(setsOf(store), { 'x: app=db': [] });
  store.put('peers', 'x/a', pod('x/a', 'app=db', '10.244.2.2'));
  store.put('peers', 'x/b', pod('x/b', 'app=db', '10.244.2.3'));
  store.put('peers', 'x/c', pod('x/c', 'app=db', '10.244.2.4'));
  const [first] = store.take();
  assert.ok(first);
  for (let i = 0; i < 3; i++) notePolicy(first, store.world);
  assert.deepEqual(setsOf(store), { 'x: app=db': ['10.244.2.2', '10.244.2.3', '10.244.2.4'] });
});
