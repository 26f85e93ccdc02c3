/** Verdicts on small Worlds, line by line of the rules of NetworkPolicy and ClusterNetworkPolicy. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONFIG, emptyStore } from '../../../../test/support/plan-worlds.ts';
import { netpol, own, pods as podsOf, sel } from '../../../../test/support/policy-worlds.ts';
import {
  ask,
  clusterPolicy,
  clusterRule,
  flow,
  podOn,
  rule,
  storeOf,
  worldOf,
} from '../../../../test/support/verdict-worlds.ts';
import type { ClusterRule, Peer, PolicyPort } from '../../../model/cluster/policy.ts';
import { EVERYTHING } from '../../../model/cluster/selector.ts';
import { cidr } from '../../../model/net/cidr.ts';
import { ip } from '../../../model/net/ip.ts';
import type { World } from '../../../model/world.ts';
import { decide } from './decide.ts';

const DENY_INGRESS = netpol('x/closed', '', { ingress: [] });

test('without policies everything is open, and ends that are no pods have no verdict', () => {
  const world = worldOf({});
  assert.equal(ask(world, 'x/a', 'y/b'), '+default | +default');
  assert.equal(ask(world, 'x/a', 'outside'), '+default | none');
  assert.equal(ask(world, 'outside', 'n1'), 'none | none');
  assert.equal(decide(world, flow('x/a', 'y/b')).ingress?.text, 'no NetworkPolicy selects y/b for ingress');
});

test('a selected pod is closed in the directions that its policies cover, to all that no rule allows', () => {
  const policies = [
    DENY_INGRESS,
    netpol('x/allow-b', 'pod=a', { ingress: [rule([own('pod=b')])] }),
    netpol('y/egress', '', { egress: [rule('any', [{ protocol: 'UDP', from: 53, to: 53 }])] }),
  ];
  const world = worldOf({ policies });
  assert.equal(ask(world, 'x/b', 'x/a'), '+default | +network-policy');
  assert.equal(ask(world, 'x/a', 'x/b'), '+default | -network-policy');
  assert.equal(ask(world, 'y/a', 'x/a'), '-network-policy | -network-policy');
  assert.equal(ask(world, 'y/a', 'y/b', 'UDP', 53), '+network-policy | +default');
  assert.equal(ask(world, 'y/a', 'outside', 1), '-network-policy | none');
  const { ingress, egress } = decide(world, flow('y/b', 'x/a'));
  assert.equal(
    ingress?.text,
    'x/a is selected by NetworkPolicy x/allow-b, x/closed for ingress, and none of their rules allows TCP 80 from y/b (10.244.2.22)',
  );
  assert.deepEqual(ingress?.policies, ['NetworkPolicy x/allow-b', 'NetworkPolicy x/closed']);
  assert.equal(
    egress?.text,
    'y/b is selected by NetworkPolicy y/egress for egress, and no rule of it allows TCP 80 to x/a (10.244.1.11)',
  );
  const allowed = decide(world, flow('x/b', 'x/a')).ingress;
  assert.deepEqual([allowed?.rule, allowed?.text], [0, 'allowed by ingress[0] of NetworkPolicy x/allow-b']);
});

test('peers: own namespace, other namespaces, both selectors, NotIn on a missing key', () => {
  const to = (peer: Peer): World =>
    worldOf({ policies: [netpol('x/p', 'pod=a', { ingress: [rule([peer])] })] });
  const who = (peer: Peer): string[] =>
    ['x/b', 'y/a', 'y/b', 'outside'].filter((from) => decide(to(peer), flow(from, 'x/a')).allowed);
  assert.deepEqual(who(own('')), ['x/b']);
  assert.deepEqual(who(podsOf('', '')), ['x/b', 'y/a', 'y/b']);
  assert.deepEqual(who(podsOf('ns=y', 'pod=b')), ['y/b']);
  assert.deepEqual(who(podsOf('no-such-key!=v', '')), ['x/b', 'y/a', 'y/b']);
});

test('blocks match pods and strangers, and except is no denial', () => {
  const block = (text: string, ...except: string[]): Peer => ({
    kind: 'block',
    cidr: cidr(text),
    except: except.map(cidr),
  });
  const policies = [
    netpol('x/p', 'pod=a', {
      ingress: [
        rule([block('0.0.0.0/0', '10.244.0.0/16', '10.244.1.0/24')]),
        rule([block('10.244.2.22/32')]),
      ],
    }),
  ];
  const world = worldOf({ policies });
  assert.equal(ask(world, 'outside', 'x/a'), 'none | +network-policy');
  assert.equal(ask(world, 'x/b', 'x/a'), '+default | -network-policy');
  assert.equal(decide(world, flow('y/b', 'x/a')).ingress?.rule, 1);
  assert.equal(ask(world, 'fd00:244:2::22', 'fd00:244:1::11'), '+default | -network-policy');
});

test('ports: protocol alone, ranges, names on the destination, nothing for ICMP', () => {
  const ports = (...list: PolicyPort[]): World =>
    worldOf({
      pods: [podOn('y/c', 2, 23, { ports: [{ name: 'web', protocol: 'TCP', port: 8080 }] })],
      policies: [
        netpol('y/in', '', { ingress: [rule('any', list)] }),
        netpol('x/out', '', { egress: [rule('any', list)] }),
      ],
    });
  const can = (world: World, ...args: Parameters<typeof flow>) => decide(world, flow(...args)).allowed;
  const tcp = ports({ protocol: 'TCP' });
  assert.ok(can(tcp, 'x/a', 'y/b', 'TCP', 9999) && can(tcp, 'x/a', 'y/b', 6));
  assert.ok(!can(tcp, 'x/a', 'y/b', 'UDP', 9999) && !can(tcp, 'x/a', 'y/b', 1));
  const range = ports({ protocol: 'SCTP', from: 100, to: 200 });
  for (const [port, yes] of [
    [99, false],
    [100, true],
    [200, true],
    [201, false],
  ] as const)
    assert.equal(can(range, 'x/a', 'y/b', 'SCTP', port), yes);
  assert.ok(!can(range, 'x/a', 'y/b', 'TCP', 150));
  const named = ports({ protocol: 'TCP', name: 'web' });
  assert.ok(can(named, 'x/a', 'y/b', 'TCP', 80) && !can(named, 'x/a', 'y/b', 'TCP', 8080));
  assert.ok(can(named, 'x/a', 'y/c', 'TCP', 8080) && !can(named, 'x/a', 'y/c', 'TCP', 80));
  assert.ok(!can(named, 'x/a', 'y/b', 'UDP', 80) && !can(named, 'x/a', 'outside', 'TCP', 80));
});

test('a port name never goes through a block on the way out, and does on the way in', () => {
  const rules = [
    rule([{ kind: 'block', cidr: cidr('0.0.0.0/0'), except: [] }], [{ protocol: 'TCP', name: 'web' }]),
  ];
  const policies = [netpol('x/out', '', { egress: rules }), netpol('y/in', '', { ingress: rules })];
  assert.equal(ask(worldOf({ policies }), 'x/a', 'y/b'), '-network-policy | +network-policy');
});

test('the Node of a pod always reaches it, another Node only by its address', () => {
  const world = worldOf({ policies: [DENY_INGRESS, netpol('y/closed', '', { ingress: [], egress: [] })] });
  for (const from of ['n1', 'gateway', '2001:db8::1'])
    assert.equal(ask(world, from, from.includes('::') ? 'fd00:244:1::11' : 'x/a'), 'none | +own-node');
  assert.equal(ask(world, 'n2', 'x/a'), 'none | -network-policy');
  assert.equal(ask(world, 'n2', 'y/b'), 'none | +own-node');
  assert.equal(ask(world, 'y/a', 'n1'), '-network-policy | none', 'the other way it is traffic like any');
});

test('hostNetwork and finished pods are nobody; what has no pod is unknown', () => {
  const pods = [
    podOn('y/host', 2, 0, { hostNetwork: true, ips: [ip('10.0.0.2')] }),
    podOn('y/done', 1, 30, { phase: 'Succeeded' }),
  ];
  const policies = [netpol('x/p', '', { ingress: [rule([podsOf('', '')])] })];
  const world = worldOf({ pods, policies });
  assert.equal(ask(world, 'n2', 'x/a'), 'none | -network-policy');
  assert.equal(ask(world, 'x/a', 'n2'), '+default | none');
  assert.equal(ask(world, '10.244.1.30', 'x/a'), '-unknown-pod | -network-policy');
  assert.equal(ask(world, 'outside', 'nobody'), 'none | -unknown-pod');
  assert.equal(ask(world, 'n1', 'nobody'), 'none | +own-node');
  assert.equal(ask(world, 'x/a', '10.244.2.200'), '+default | none', 'of the other node nothing is known');
  const open = worldOf({ config: { unknownPods: 'open' } });
  assert.equal(ask(open, 'nobody', 'x/a'), '+unknown-pod | +default');
});

test('a pod in both tables is one, and an address in two hands is named by both', () => {
  const store = storeOf({ policies: [DENY_INGRESS] });
  store.put('peers', 'y/a', podOn('y/a', 1, 21));
  const text = () => decide(store.world, flow('y/a', 'x/a')).ingress?.text;
  assert.match(text() ?? '', /allows TCP 80 from y\/a \(10\.244\.1\.21\)$/);
  store.put('peers', 'y/z', podOn('y/z', 2, 21, { ips: [ip('10.244.1.21')] }));
  assert.match(text() ?? '', /from y\/a or y\/z \(10\.244\.1\.21\)$/);
});

test('a birth counts while its pod is there, and wins an address that changes hands', () => {
  const starting = podOn('x/new', 1, 0, { ips: [], phase: 'Pending' });
  const store = storeOf({ policies: [DENY_INGRESS], pods: [starting] });
  const { world } = store;
  const address = flow('y/a', 'y/a').from;
  const birth = { pod: 'x/new', uid: 'uid-x/new', containerId: 'c1', ips: [address] };
  assert.equal(decide(world, flow('outside', 'y/a')).ingress?.pod, 'y/a');
  store.put('births', 'c1', birth);
  assert.equal(decide(world, flow('outside', 'y/a')).ingress?.pod, 'x/new');
  assert.equal(ask(world, 'outside', 'y/a'), 'none | -network-policy');
  const peersOf = (key: string) => netpol('x/p', 'pod=b', { ingress: [rule([own(`pod=${key}`)])] });
  store.put('networkPolicies', 'x/p', peersOf('new'));
  assert.equal(decide(world, flow('y/a', 'x/b')).ingress?.allowed, true);
  const fromY = podsOf('ns=y', '');
  store.put('networkPolicies', 'x/p', netpol('x/p', '', { ingress: [rule([fromY])] }));
  assert.equal(decide(world, flow('y/a', 'x/b')).ingress?.allowed, false, 'the old pod lends it nothing');
  store.remove('networkPolicies', 'x/p');
  store.put('births', 'c1', { ...birth, uid: 'another' });
  assert.equal(decide(world, flow('outside', 'y/a')).ingress?.pod, 'y/a');
  store.put('births', 'c1', birth);
  store.put('pods', 'x/new', { ...starting, phase: 'Failed' });
  assert.equal(decide(world, flow('outside', 'y/a')).ingress?.pod, 'y/a');
});

test('Admin tier, then NetworkPolicy in its direction, then Baseline', () => {
  const policies = [netpol('x/open', '', { ingress: [rule('any')] })];
  const deny = { ingress: [clusterRule('Deny', { name: 'all' })], egress: [clusterRule('Deny')] };
  const baseline = clusterPolicy('base', { tier: 'Baseline', ...deny });
  const subject = { namespaces: sel('ns=x'), pods: EVERYTHING };
  const world = worldOf({ policies, cluster: [baseline] });
  assert.equal(ask(world, 'outside', 'x/a'), 'none | +network-policy');
  assert.equal(ask(world, 'x/a', 'outside'), '-baseline | none');
  assert.equal(ask(world, 'outside', 'y/a'), 'none | -baseline');
  const admin = clusterPolicy('cut', { subject, ...deny });
  const cut = worldOf({ policies, cluster: [admin] });
  assert.equal(ask(cut, 'outside', 'x/a'), 'none | -admin');
  assert.equal(ask(cut, 'outside', 'y/a'), 'none | +default');
  assert.equal(
    decide(cut, flow('outside', 'x/a')).ingress?.text,
    'denied by ingress[0] "all" of ClusterNetworkPolicy cut (Admin tier, priority 10)',
  );
});

test('priority, then name; the first rule that matches; Pass ends the tier', () => {
  const ports = [{ protocol: 'TCP', from: 80, to: 80 }] as const;
  const first = (action: ClusterRule['action']) => [
    clusterPolicy('b', { priority: 5, ingress: [clusterRule('Deny')] }),
    clusterPolicy('a', { priority: 5, ingress: [clusterRule(action, { ports })] }),
    clusterPolicy('z', { priority: 4, ingress: [clusterRule('Accept', { ports: [{ protocol: 'UDP' }] })] }),
  ];
  const accepts = worldOf({ cluster: first('Accept'), policies: [DENY_INGRESS] });
  assert.equal(ask(accepts, 'outside', 'x/a'), 'none | +admin');
  assert.equal(ask(accepts, 'outside', 'x/a', 'TCP', 81), 'none | -admin');
  assert.equal(ask(accepts, 'outside', 'x/a', 'UDP', 80), 'none | +admin');
  const passes = worldOf({ cluster: first('Pass'), policies: [DENY_INGRESS] });
  assert.equal(ask(passes, 'outside', 'x/a'), 'none | -network-policy');
  assert.match(
    decide(passes, flow('outside', 'x/a')).ingress?.text ?? '',
    / \(passed on by ingress\[0\] of ClusterNetworkPolicy a \(Admin tier, priority 5\)\)$/,
  );
  assert.equal(ask(passes, 'outside', 'y/a'), 'none | +default');
});

test('peers of ClusterNetworkPolicies: pods, networks, nodes', () => {
  const egress = [
    clusterRule('Accept', { peers: [{ kind: 'nodes', nodes: sel('zone=z2') }] }),
    clusterRule('Deny', { peers: [{ kind: 'networks', cidrs: [cidr('10.0.0.0/8'), cidr('fd00::/8')] }] }),
    clusterRule('Deny', { peers: [podsOf('ns=y', '')] }),
  ];
  const world = worldOf({ cluster: [clusterPolicy('p', { egress })] });
  const rules = ['n2', 'n1', 'y/b', 'fd00:244:2::22', 'outside'].map(
    (to) => decide(world, flow(to.includes('::') ? 'fd00:244:1::11' : 'x/a', to)).egress?.rule,
  );
  assert.deepEqual(rules, [0, 1, 1, 1, undefined]);
});

test('audit tells and lets pass, as long as all that selects is audited', () => {
  const audited = netpol('x/told', '', { ingress: [], audit: true });
  assert.equal(ask(worldOf({ policies: [audited] }), 'outside', 'x/a'), 'none | +audit network-policy');
  assert.equal(
    ask(worldOf({ policies: [audited, DENY_INGRESS] }), 'outside', 'x/a'),
    'none | -network-policy',
  );
  const byNamespace = worldOf({ policies: [DENY_INGRESS], audited: ['x'] });
  assert.equal(ask(byNamespace, 'outside', 'x/a'), 'none | +audit network-policy');
  const told = clusterPolicy('told', { audit: true, ingress: [clusterRule('Deny')] });
  assert.equal(ask(worldOf({ cluster: [told] }), 'outside', 'x/a'), 'none | +audit admin');
  assert.equal(
    ask(worldOf({ cluster: [told], policies: [DENY_INGRESS] }), 'outside', 'x/a'),
    'none | -network-policy',
    'the rule is as if it were not there',
  );
  assert.match(
    decide(worldOf({ cluster: [told] }), flow('outside', 'x/a')).ingress?.text ?? '',
    /^allowed, because audited: denied by ingress\[0\] of ClusterNetworkPolicy told/,
  );
});

test('default deny closes namespaces without any NetworkPolicy', () => {
  const config = { defaultDeny: 'ingress' as const, defaultDenyExcept: ['y'] };
  assert.equal(ask(worldOf({ config }), 'x/a', 'x/b'), '+default | -default-deny');
  assert.equal(ask(worldOf({ config }), 'x/a', 'y/b'), '+default | +default');
  const policies = [netpol('x/elsewhere', 'pod=none', { egress: [] })];
  assert.equal(ask(worldOf({ config, policies }), 'x/a', 'x/b'), '+default | +default');
  assert.equal(ask(worldOf({ config, audited: ['x'] }), 'x/a', 'x/b'), '+default | +audit default-deny');
  const both = worldOf({ config: { defaultDeny: 'both' } });
  assert.equal(ask(both, 'x/a', 'y/b'), '-default-deny | -default-deny');
});

test('what cannot be used closes, and says what it is', () => {
  const broken = netpol('x/broken', '', {
    ingress: [rule('any')],
    problems: ['spec.ingress[0].ports[0].endPort: 10 is below port 20'],
  });
  const world = worldOf({ policies: [broken] });
  assert.equal(ask(world, 'outside', 'x/a'), 'none | -network-policy');
  assert.match(
    decide(world, flow('outside', 'x/a')).ingress?.text ?? '',
    /; NetworkPolicy x\/broken is closed: spec\.ingress\[0\]\.ports\[0\]\.endPort: 10 is below port 20$/,
  );
});

test('policies that are not enforced deny nothing', () => {
  const world = worldOf({ policies: [DENY_INGRESS], config: { enabled: false } });
  assert.equal(ask(world, 'outside', 'x/a'), 'none | +default');
  assert.equal(ask(world, 'outside', 'nobody'), 'none | +default');
});

test('what is remembered follows every change', () => {
  const store = storeOf({});
  const { world } = store;
  const says = (): string => ask(world, 'y/b', 'x/a');
  const allow = netpol('x/p', 'pod=a', {
    ingress: [rule([podsOf('ns=y', 'pod=b')])],
  });
  const steps: [() => void, string][] = [
    [() => store.put('networkPolicies', 'x/p', { ...allow, ingress: [] }), '-network-policy'],
    [() => store.put('networkPolicies', 'x/p', allow), '+network-policy'],
    [() => store.put('peers', 'y/b', podOn('y/b', 2, 22, { labels: {} })), '-network-policy'],
    [() => store.put('peers', 'y/b', podOn('y/b', 2, 22)), '+network-policy'],
    [
      () => store.put('namespaces', 'y', { name: 'y', uid: 'y', labels: {}, audit: false }),
      '-network-policy',
    ],
    [() => store.put('pods', 'x/a', podOn('x/a', 1, 11, { labels: {} })), '+default'],
    [() => store.put('pods', 'x/a', podOn('x/a', 1, 11)), '-network-policy'],
    [() => store.remove('networkPolicies', 'x/p'), '+default'],
    [
      () => store.put('clusterNetworkPolicies', 'c', clusterPolicy('c', { ingress: [clusterRule('Deny')] })),
      '-admin',
    ],
  ];
  for (const [change, wanted] of steps) {
    change();
    assert.equal(says(), `+default | ${wanted}`);
  }
  store.remove('peers', 'y/b');
  assert.equal(says(), 'none | -admin');
});

test('10,000 flows among 10,000 pods under 5,000 policies take well under a second', () => {
  const store = emptyStore();
  store.put('config', 'config', CONFIG);
  const ports: PolicyPort[] = [{ protocol: 'TCP', from: 80, to: 80 }];
  for (let n = 0; n < 100; n++) {
    const namespace = `ns${n}`;
    store.put('namespaces', namespace, {
      name: namespace,
      uid: '',
      labels: { team: `t${n % 10}` },
      audit: false,
    });
    for (let i = 0; i < 100; i++) {
      const one = podOn(`${namespace}/p${i}`, 1, 1, {
        ips: [ip(`10.${n}.0.${i}`), ip(`fd00::${n.toString(16)}:${i.toString(16)}`)],
        labels: { app: `a${i % 50}` },
      });
      store.put(n === 0 ? 'pods' : 'peers', one.key, one);
      if (i >= 50) continue;
      const from: Peer = podsOf(`team=t${i % 10}`, `app=a${i}`);
      const policy = netpol(`${namespace}/p${i}`, `app=a${i}`, {
        ingress: [rule([from], ports)],
      });
      store.put('networkPolicies', policy.key, policy);
    }
  }
  const started = process.cpuUsage();
  let allowed = 0;
  for (let i = 0; i < 10_000; i++) {
    const from = ip(`10.${i % 100}.0.${(7 * i) % 100}`);
    const to = ip(`10.0.0.${(7 * i + (i % 3)) % 100}`);
    if (decide(store.world, { from, to, protocol: 'TCP', port: 80 }).allowed) allowed++;
  }
  const { user, system } = process.cpuUsage(started);
  assert.ok(allowed > 0 && allowed < 10_000, `${allowed} of them allowed`);
  assert.ok(user + system < 800_000, `${(user + system) / 1000} ms`);
});
