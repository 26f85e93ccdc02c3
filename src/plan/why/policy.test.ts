import assert from 'node:assert/strict';
import { test } from 'node:test';
import { node, store } from '../../../test/support/plan-worlds.ts';
import { podOn } from '../../../test/support/verdict-worlds.ts';
import type { NetworkPolicy } from '../../model/cluster/policy.ts';
import { EVERYTHING, selector } from '../../model/cluster/selector.ts';
import { explainPath } from './explain.ts';
import { parseTraffic } from './traffic.ts';

const pod = (name: string, on: number, last: number) =>
  podOn(`default/${name}`, on, last, { labels: { app: name } });
const app = (name: string) => selector([{ key: 'app', operator: 'In', values: [name] }]);

function worldOf(...policies: readonly Partial<NetworkPolicy>[]) {
  const filled = store({ nodes: [node(1), node(2)], pods: [pod('a', 1, 5), pod('b', 1, 6)] });
  filled.put('peers', 'default/c', pod('c', 2, 5));
  for (const [i, policy] of policies.entries()) {
    const name = `p${i}`;
    const basis = { key: `default/${name}`, namespace: 'default', name, uid: name, pods: EVERYTHING };
    filled.put('networkPolicies', basis.key, { ...basis, audit: false, problems: [], ...policy });
  }
  return filled.world;
}

const FROM_A = {
  peers: [{ kind: 'pods', pods: app('a') }],
  ports: [{ protocol: 'TCP', name: 'web' }],
} as const;
const CLOSED_TO_ALL_BUT_A = { pods: app('b'), ingress: [FROM_A] };

function ask(world: ReturnType<typeof worldOf>, from: string, to: string, traffic: string) {
  const path = explainPath(world, from, to, parseTraffic(traffic));
  const steps = path.steps.filter((step) => step.policy);
  return { path, steps, lines: steps.map((step) => `${step.at}: ${step.text}`) };
}

test('the verdict of each end stands where it is made, for each family, and here the rules can be asked', () => {
  const { path, steps, lines } = ask(worldOf(CLOSED_TO_ALL_BUT_A), 'a', 'b', 'tcp/web');
  assert.equal(path.reachable, 'yes');
  assert.deepEqual(lines.slice(0, 2), [
    'pod default/a: egress of TCP 80 open: no NetworkPolicy selects default/a for egress',
    'pod default/b: ingress of TCP 80 allowed by ingress[0] of NetworkPolicy default/p0',
  ]);
  assert.deepEqual(
    steps.map(({ rules }) => `${rules?.hook} ${rules?.direction} ${rules?.flow.to} ${rules?.allowed}`),
    [
      'forward egress 10.244.1.6 true',
      'forward ingress 10.244.1.6 true',
      'forward egress fd00:244:1::6 true',
      'forward ingress fd00:244:1::6 true',
    ],
  );
  const order = path.steps.slice(0, 5).map((step) => step.policy?.direction ?? '-');
  assert.deepEqual(order, ['-', 'egress', '-', 'ingress', '-']);
});

test('denied is not reachable, though the path is there', () => {
  const { path, steps, lines } = ask(worldOf(CLOSED_TO_ALL_BUT_A), 'a', 'b', 'tcp/81');
  assert.equal(path.reachable, 'no');
  assert.equal(
    lines[1],
    'pod default/b: ingress of TCP 81 denied: default/b is selected by NetworkPolicy default/p0 for ingress, and no rule of it allows TCP 81 from default/a (10.244.1.5)',
  );
  assert.deepEqual(steps[1]?.policy, {
    direction: 'ingress',
    allowed: false,
    audit: false,
    by: 'network-policy',
    policies: ['NetworkPolicy default/p0'],
  });
});

test('where a packet is denied its way ends', () => {
  const ends = (world: ReturnType<typeof worldOf>, to: string) =>
    explainPath(world, 'a', to, parseTraffic('icmp')).steps.map((step) => step.policy?.direction ?? step.at);
  const [from, bridge] = ['pod default/a', 'node n1'];
  assert.deepEqual(ends(worldOf(CLOSED_TO_ALL_BUT_A), 'b').slice(0, 5), [
    from,
    'egress',
    bridge,
    'ingress',
    from,
  ]);
  assert.deepEqual(ends(worldOf({ egress: [] }), '10.244.2.5'), [from, 'egress']);
});

test("another node's end is judged by what is known, and its rules are not asked", () => {
  const world = worldOf({ pods: app('c'), ingress: [] });
  const { steps, lines } = ask(world, 'default/a', '10.244.2.5', 'udp/53');
  assert.match(lines[1] ?? '', /denied: default\/c is selected .*; the agent of n2 decides that there$/);
  assert.equal(steps[1]?.rules, undefined);
});

test('ICMP is that of the family; the hooks of own traffic; a port name that nobody has', () => {
  const world = worldOf(CLOSED_TO_ALL_BUT_A);
  const hooks = (from: string, to: string) =>
    ask(world, from, to, 'icmp').steps.map(
      ({ rules }) => `${rules?.hook} ${rules?.direction} ${rules?.flow.protocol}`,
    );
  assert.deepEqual(hooks('n1', 'b'), ['output ingress 1', 'output ingress 58']);
  assert.deepEqual(hooks('a', 'n1'), ['input egress 1', 'input egress 58']);
  const { path } = ask(world, 'a', 'b', 'tcp/metrics');
  assert.ok(path.steps.some((step) => /no container port of it is called metrics \(TCP\)/.test(step.text)));
});

test('without traffic there is a hint, where policies select an end', () => {
  const hints = (world: ReturnType<typeof worldOf>) =>
    explainPath(world, 'a', '10.244.1.6').steps.filter((step) => step.at === 'policies');
  const reachable = (world: ReturnType<typeof worldOf>) => explainPath(world, 'a', '10.244.1.6').reachable;
  assert.deepEqual(hints(worldOf()), []);
  assert.equal(reachable(worldOf()), 'yes');
  assert.equal(reachable(worldOf(CLOSED_TO_ALL_BUT_A)), 'unknown');
  assert.equal(
    hints(worldOf(CLOSED_TO_ALL_BUT_A))[0]?.text,
    'apply to ingress of default/b (NetworkPolicy default/p0): name the traffic for their verdict, as in tcp/80, udp/53 or icmp',
  );
  const both = explainPath(worldOf(CLOSED_TO_ALL_BUT_A), 'a', 'b').steps;
  assert.deepEqual(
    both.map(({ family, at }) => (at === 'policies' ? `${family} ${at}` : family)),
    ['ipv4', 'ipv4', 'ipv4', 'ipv6', 'ipv6', 'ipv6', 'undefined policies'],
    'for both families once',
  );
});

test('traffic is read, or refused with words', () => {
  assert.deepEqual(parseTraffic('tcp/80'), { protocol: 'TCP', port: 80 });
  assert.deepEqual(parseTraffic('SCTP/diameter'), { protocol: 'SCTP', port: 'diameter' });
  assert.deepEqual(parseTraffic('icmp'), { protocol: 'ICMP' });
  assert.deepEqual(parseTraffic('47'), { protocol: 47 });
  for (const [text, words] of [
    ['tcp', /needs a port/],
    ['tcp/0', /0 is no port/],
    ['udp/70000', /no port/],
    ['icmp/8', /only TCP/],
    ['http', /protocol http is not known/],
    ['300', /not known/],
  ] as const)
    assert.throws(() => parseTraffic(text), { code: 'bad-request', message: words });
});

test('a node sends under the address that the way gives it: over a tunnel not under its own, unless asked', () => {
  const filled = store({ nodes: [node(1), node(2, { segment: 9 })], pods: [pod('a', 1, 5), pod('c', 2, 5)] });
  const said = (from: string, to: string) =>
    explainPath(filled.world, from, to, parseTraffic('tcp/80'))
      .steps.filter(({ text }) => text.startsWith('sends'))
      .map(({ text }) => text.split(' ')[1]);
  assert.deepEqual(said('n2', 'default/a'), ['10.244.2.0', 'fd00:244:2::1']);
  assert.deepEqual(said('n1', 'default/c'), ['10.244.1.0', 'fd00:244:1::1']);
  assert.deepEqual(said('10.0.9.2', 'default/a'), ['10.0.9.2']);
  assert.deepEqual(said('n1', 'default/a'), ['10.0.0.1', '2001:db8::1']);
  filled.put('nodes', 'n2', node(2));
  assert.deepEqual(said('n2', 'default/a'), ['10.0.0.2', '2001:db8::2']);
});
