/** What people read, as they read it (without colours: standard output of a test is no terminal). */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Denial, Status } from '../model/api.ts';
import { COMMANDS } from './commands.ts';
import { denialLine, denialsText } from './denials.ts';
import { overview } from './help.ts';
import { driftText, planText, whyText } from './reports.ts';
import { statusText } from './status.ts';
import { span, table } from './table.ts';

const NOW = Date.UTC(2026, 0, 2, 12, 0, 0);

const STATUS: Status = {
  node: 'n1',
  version: '1.0.0',
  started: NOW - 7_300_000,
  state: 'degraded',
  podMtu: 1450,
  sources: [
    { name: 'config', ready: true, since: NOW - 60_000, reason: undefined, objects: 1 },
    {
      name: 'nodes',
      ready: false,
      since: NOW - 600_000,
      reason: 'no connection to the API server',
      objects: 3,
    },
  ],
  targets: [
    {
      name: 'route',
      stage: 3,
      wanted: 4,
      done: 2,
      waiting: 1,
      failed: 1,
      extra: 0,
      observed: NOW,
      error: undefined,
      rows: [
        {
          target: 'route',
          key: '10.1.3.0/24',
          why: 'Node n3 through vxlan',
          state: 'failed',
          message: 'Nexthop has invalid gateway (ENETUNREACH)',
          attempts: 2,
          nextTry: NOW + 4_000,
        },
        {
          target: 'route',
          key: '10.1.4.0/24',
          why: 'Node n4 through vxlan',
          state: 'waiting',
          message: 'waits for link fl-vxlan',
        },
      ],
    },
    {
      name: 'rule',
      stage: 3,
      wanted: 0,
      done: 0,
      waiting: 0,
      failed: 0,
      extra: 0,
      observed: NOW,
      error: undefined,
      rows: [],
    },
    {
      name: 'nft',
      stage: 1,
      wanted: 0,
      done: 0,
      waiting: 0,
      failed: 0,
      extra: 0,
      observed: undefined,
      error: 'cannot be read',
      rows: [],
    },
  ],
  problems: [{ object: 'Node n5', message: 'has no InternalIP', hint: 'add one' }],
  pairs: [{ node: 'n3', transport: 'vxlan', reason: 'n3 is not on-link' }],
};

it('status says once why removals are held', () => {
  const held = (key: string) =>
    ({
      target: 'route',
      key,
      why: 'ours, and nothing asks for it',
      state: 'held',
      message: 'source nodes is away',
    }) as const;
  const [route] = STATUS.targets;
  assert.ok(route);
  const rows = [held('10.1.3.0/24'), held('10.1.4.0/24')];
  const text = statusText(
    {
      ...STATUS,
      problems: [],
      targets: [{ ...route, wanted: 0, done: 0, waiting: 0, failed: 0, extra: 2, rows }],
    },
    NOW,
  );
  assert.match(text, /^Node n1: degraded, agent/);
  assert.match(text, /^3 +route +0 +0 +0 +0 +2 held$/m);
  assert.doesNotMatch(text, /10\.1\.3\.0/);
  assert.equal(text.match(/source nodes is away/g)?.length, 1);
  assert.match(text, /\n\nheld: nothing is removed, because source nodes is away$/);
});

it('the overview has a column of commands and one of what they do', () => {
  const lines = overview(COMMANDS)
    .split('\n')
    .slice(4, 4 + COMMANDS.length + 1);
  const columns = new Set(lines.map((line) => line.search(/(?<=\S {2,})[A-Z]/)));
  assert.deepEqual([...columns], [lines[0]?.indexOf('Run the agent')], lines.join('\n'));
});

it('status says first what is not well', () => {
  assert.equal(
    statusText(STATUS, NOW),
    `Node n1: degraded, 1 problem, agent 1.0.0 up 2 h, pod MTU 1450

SOURCE  STATE  SINCE   OBJECTS  REASON
config  ready  60 s    1
nodes   away   10 min  3        no connection to the API server

STAGE  KIND   WANTED  DONE  WAITING  FAILED  TO REMOVE
3      route  4       2     1        1       0
1      nft    0       0     0        0       0

TO NODE  TRANSPORT  BECAUSE
n3       vxlan      n3 is not on-link

ROW                STATE    WHY                    SAYS                                       NEXT TRY
route 10.1.3.0/24  failed   Node n3 through vxlan  Nexthop has invalid gateway (ENETUNREACH)  in 4 s, try 3
route 10.1.4.0/24  waiting  Node n4 through vxlan  waits for link fl-vxlan

cannot read nft: cannot be read

Node n5: has no InternalIP (add one)`,
  );
});

it('status says which policies there are, what they select here, and which of them are invalid', () => {
  const policy = {
    enabled: true,
    networkPolicies: 12,
    clusterNetworkPolicies: 1,
    inForce: 3,
    pods: 9,
    selected: 5,
    invalid: ['NetworkPolicy x/bad'],
  };
  const line = (changes: Partial<typeof policy>): string | undefined =>
    statusText({ ...STATUS, policy: { ...policy, ...changes } }, NOW).split('\n\n')[1];
  assert.equal(
    line({}),
    'Policy: 12 NetworkPolicies, 1 ClusterNetworkPolicy, 3 of them here, where 5 of 9 pods are selected; invalid, so closed: NetworkPolicy x/bad',
  );
  assert.equal(
    line({ networkPolicies: 1, invalid: [], selected: 1 }),
    'Policy: 1 NetworkPolicy, 1 ClusterNetworkPolicy, 3 of them here, where 1 of 9 pods is selected',
  );
  assert.match(
    line({ invalid: Array.from({ length: 7 }, (_, i) => `NetworkPolicy x/${i}`) }) ?? '',
    /x\/4 and 2 more$/,
  );
  assert.equal(line({ enabled: false }), 'Policy: not enforced (setting policy.enabled)');
});

it('status counts no policies that were never read', () => {
  const policy = {
    enabled: true,
    networkPolicies: 0,
    clusterNetworkPolicies: 0,
    inForce: 0,
    pods: 0,
    selected: 0,
    invalid: [],
  };
  const source = { name: 'networkPolicies', ready: false, since: NOW, reason: 'no connection' } as const;
  const line = (objects: number): string | undefined =>
    statusText({ ...STATUS, policy, sources: [{ ...source, objects }] }, NOW).split('\n\n')[1];
  assert.equal(
    line(0),
    'Policy: not known, because source networkPolicies is away; the rules in the kernel stay',
  );
  assert.match(line(3) ?? '', /^Policy: 0 NetworkPolicies,/, 'it was read before it went away');
});

it('denials are a table, or a line each', () => {
  const denial: Denial = {
    id: 1,
    at: NOW - 1_000,
    last: NOW,
    count: 3,
    kind: 'deny',
    direction: 'ingress',
    from: { ip: '10.0.0.1', node: 'n1' },
    to: { ip: '10.244.1.5', pod: 'x/a' },
    protocol: 'TCP',
    port: 80,
    policies: ['NetworkPolicy x/closed'],
    text: 'no rule',
  };
  const audited: Denial = { ...denial, kind: 'audit', from: { ip: '192.0.2.1' }, protocol: 'ICMP', count: 1 };
  const { port: _, ...icmp } = audited;
  assert.equal(
    denialsText([denial, icmp], NOW),
    `AT        VERDICT  DIRECTION  FROM       TO   PORT    TIMES  BECAUSE
11:59:59  denied   ingress    node n1    x/a  TCP 80  3      no rule
11:59:59  audited  ingress    192.0.2.1  x/a  ICMP    1      no rule`,
  );
  assert.equal(denialLine(denial, NOW), '11:59:59 denied ingress TCP 80 node n1 → x/a (3 times): no rule');
  assert.equal(denialsText([], NOW), 'Nothing was denied since the agent started.');
});

it('denials that differ by the family alone are one line, also among others', () => {
  const denied = (from: string, port: number, more: Partial<Denial> = {}): Denial => ({
    id: 1,
    at: NOW,
    last: NOW,
    count: 1,
    kind: 'deny',
    direction: 'ingress',
    from: { ip: from, pod: 'x/b' },
    to: { ip: from.includes(':') ? 'fd00::5' : '10.244.1.5', pod: 'x/a' },
    protocol: 'TCP',
    port,
    policies: [],
    text: `no rule allows TCP ${port} from x/b (${from})`,
    ...more,
  });
  const rows = (...list: Denial[]) =>
    denialsText(list, NOW + 60_000)
      .split('\n')
      .slice(1);
  const short = (row: string) => row.replace(/^.*x\/a +/, '');
  assert.deepEqual(
    rows(denied('10.244.1.6', 80), denied('10.244.1.6', 81), denied('fd00::6', 80, { count: 3 })).map(short),
    [
      'TCP 80  4      no rule allows TCP 80 from x/b (10.244.1.6, fd00::6)',
      'TCP 81  1      no rule allows TCP 81 from x/b (10.244.1.6)',
    ],
  );
  for (const other of [
    denied('10.244.1.6', 80),
    denied('fd00::6', 80, { at: NOW + 10_001 }),
    denied('fd00::6', 80, { kind: 'audit' }),
    denied('fd00::6', 80, { direction: 'egress' }),
    denied('fd00::6', 80, { from: { ip: 'fd00::6', pod: 'x/c' } }),
    denied('fd00::6', 80, { text: 'another policy' }),
  ])
    assert.equal(rows(denied('10.244.1.6', 80), other).length, 2, JSON.stringify(other));
});

it('plan shows what is added, changed field by field, and removed', () => {
  const hop = (via: string) => ({ dst: '10.1.3.0/24', nextHops: [{ via }] });
  assert.equal(
    planText([
      { stage: 0, target: 'link', key: 'fl-vxlan', action: 'add', why: 'pods through vxlan' },
      {
        stage: 3,
        target: 'route',
        key: '10.1.3.0/24',
        action: 'change',
        why: 'Node n3',
        before: hop('192.0.2.3'),
        after: hop('fe80::3'),
      },
      { stage: 3, target: 'route', key: '10.1.9.0/24', action: 'remove', why: 'nothing asks for it' },
    ]),
    `+ link fl-vxlan  pods through vxlan
~ route 10.1.3.0/24  Node n3
    nextHops: [{"via":"192.0.2.3"}] → [{"via":"fe80::3"}]
- route 10.1.9.0/24  nothing asks for it

1 to add, 1 to change, 1 to remove`,
  );
  assert.match(planText([]), /^Nothing would change/);
});

it('why shows each step with its row, and where the kernel thinks otherwise', () => {
  assert.equal(
    whyText({
      from: 'default/a',
      to: '10.1.3.4',
      reachable: 'no',
      steps: [
        { at: 'pod default/a', text: 'sends' },
        {
          at: 'node n1',
          text: '10.1.3.0/24 through vxlan',
          row: { target: 'route', key: '10.1.3.0/24', state: 'done' },
          kernel: { text: '10.1.3.4 dev eth9', mismatch: true },
        },
      ],
    }),
    `default/a → 10.1.3.4: packets cannot go

pod default/a: sends
node n1: 10.1.3.0/24 through vxlan
    row    route 10.1.3.0/24 (done)
    kernel 10.1.3.4 dev eth9  ← not what is planned`,
  );
});

it('why follows one family after the other', () => {
  const steps = (['ipv4', 'ipv6'] as const).map((family) => ({
    family,
    at: 'pod x/a',
    text: `sends ${family}`,
  }));
  assert.equal(
    whyText({
      from: 'x/a',
      to: 'x/b',
      reachable: 'yes',
      steps: [...steps, { at: 'policies', text: 'apply' }],
    }),
    `x/a → x/b: packets can go

IPv4
pod x/a: sends ipv4

IPv6
pod x/a: sends ipv6

policies: apply`,
  );
});

it('drift shows what was done and when it was repaired', () => {
  assert.equal(
    driftText(
      [
        { at: NOW - 1_000, target: 'route', key: '10.1.3.0/24', kind: 'missing', repaired: NOW - 995 },
        { at: NOW - 86_400_000, target: 'link', key: 'fl-x', kind: 'foreign', repaired: undefined },
      ],
      NOW,
    ),
    `AT                   ROW                WAS      REPAIRED
11:59:59             route 10.1.3.0/24  missing  after 5 ms
2026-01-01T12:00:00  link fl-x          foreign  not yet`,
  );
});

it('a table without rows is nothing, and spans are short', () => {
  assert.equal(table(['A'], []), '');
  assert.deepEqual(
    [0, 119, 120, 7_199, 7_200, 172_800].map((s) => span(0, s * 1000)),
    ['0 s', '119 s', '2 min', '119 min', '2 h', '2 d'],
  );
});

it('why says what an answer depends on', () => {
  const why = (at: string) =>
    whyText({ from: 'a', to: 'b', reachable: 'unknown', steps: [{ at, text: 'x' }] }).split('\n')[0];
  assert.equal(why('node n2'), 'a → b: it cannot be said from here');
  assert.equal(why('policies'), 'a → b: it depends on the traffic');
});

it('status without a configuration does not say that policies are off', () => {
  const policy = {
    enabled: false,
    networkPolicies: 0,
    clusterNetworkPolicies: 0,
    inForce: 0,
    pods: 0,
    selected: 0,
    invalid: [],
  };
  const config = { name: 'config' as const, since: NOW, reason: undefined, objects: 0 };
  const text = (ready: boolean) =>
    statusText({ ...STATUS, policy, sources: [{ ...config, ready }] }, NOW).split('\n')[2];
  assert.equal(text(false), 'Policy: not known, because source config is away; the rules in the kernel stay');
  assert.equal(text(true), 'Policy: not enforced (setting policy.enabled)');
});
