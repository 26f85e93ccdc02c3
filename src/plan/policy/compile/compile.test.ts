/** What policies become: the lines P1 to P11, T1 to T9 of the semantics, and ClusterNetworkPolicy. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ALL,
  block,
  cnp,
  from,
  netpol,
  own,
  pods,
  port,
  sel,
} from '../../../../test/support/policy-worlds.ts';
import type { ClusterRule, NetworkPolicy, PolicyPort } from '../../../model/cluster/policy.ts';
import { cidr } from '../../../model/net/cidr.ts';
import type { CompiledPolicy } from '../compiled.ts';
import { type Compiled, compileClusterPolicy, compileNetworkPolicy } from './compile.ts';
import { clusterSubject, compile, networkSubject, samePlace } from './subject.ts';

/** Rules in few words: `1 accept from x:,10.0.0.0/8 on TCP/80,http/TCP here`. */
function lines(policy: CompiledPolicy | undefined): string[] | undefined {
  return policy?.rules.map(({ index, action, peers, ports }) => {
    const who =
      peers === 'any'
        ? 'any'
        : peers.map((peer) => (peer.kind === 'set' ? peer.set : peer.blocks.prefixes.join('+'))).join(',');
    const what =
      ports === 'any'
        ? 'any'
        : ports
            .map((one) => {
              if ('set' in one) return one.set;
              return 'from' in one ? `${one.protocol}/${one.from}-${one.to}` : one.protocol;
            })
            .join(',');
    return `${index} ${action} [${who}] on [${what}]`;
  });
}

const ingress = (...rules: NonNullable<NetworkPolicy['ingress']>): string[] | undefined =>
  lines(compileNetworkPolicy(netpol('x/p', '', { ingress: rules })).ingress);
const egress = (...rules: NonNullable<NetworkPolicy['egress']>): string[] | undefined =>
  lines(compileNetworkPolicy(netpol('x/p', '', { egress: rules })).egress);
const onPorts = (...texts: readonly string[]) => ({ peers: 'any' as const, ports: texts.map(port) });

test('S7 S8: a direction that is covered by no rule allows nothing, one that is not covered is absent', () => {
  const compiled = compileNetworkPolicy(netpol('x/p', '', { ingress: [] }));
  assert.deepEqual(lines(compiled.ingress), []);
  assert.equal(compiled.egress, undefined);
  assert.deepEqual(ingress(ALL), ['0 accept [any] on [any]']);
});

test('P1 P11: no list of peers is everybody, a list that is left empty is nobody', () => {
  assert.deepEqual(ingress({ peers: [], ports: 'any' }), ['0 accept [] on [any]']);
});

test('P2 to P6: pods by their own namespace or by namespace selectors; equal peers once; rules keep their numbers', () => {
  assert.deepEqual(
    ingress(from(own('app=b'), own(''), own('app=b')), from(pods('', ''), pods('team=a', 'app=b tier!=c'))),
    ['0 accept [x: app=b,x:] on [any]', '1 accept [{}:,{team=a}: app=b,tier!=c] on [any]'],
  );
});

test('P7 to P9: blocks of a rule are one list of disjoint prefixes beside its pods', () => {
  assert.deepEqual(ingress(from(block('10.0.0.0/30', '10.0.0.0/31'), own('app=b'), block('fd00::/16'))), [
    '0 accept [x: app=b,10.0.0.2/31,fd00::/16] on [any]',
  ]);
  assert.deepEqual(ingress(from(block('10.0.0.0/31', '10.0.0.0/30'))), ['0 accept [] on [any]']);
});

test('T1 to T4, T9 to T11: any port, a protocol, numbers, ranges', () => {
  assert.deepEqual(ingress(onPorts('TCP', 'UDP/53', 'SCTP/80-90')), [
    '0 accept [any] on [TCP,UDP/53-53,SCTP/80-90]',
  ]);
  const bare: PolicyPort = { protocol: 'TCP', from: 80 };
  assert.deepEqual(ingress({ peers: 'any', ports: [bare] }), ['0 accept [any] on [TCP/80-80]']);
  assert.deepEqual(
    ingress({ peers: 'any', ports: [] }),
    ['0 accept [any] on []'],
    'a list left empty is none',
  );
});

test('T5: names of ingress ports are those of this node’s pods, also from blocks', () => {
  const rule = { peers: [block('10.0.0.0/8'), own('')], ports: ['TCP/http', 'UDP/http', 'TCP/80'].map(port) };
  assert.deepEqual(ingress(rule), ['0 accept [x:,10.0.0.0/8] on [TCP/80-80,http/TCP here,http/UDP here]']);
});

test('T6: names of egress ports are those of each peer’s pods; of every pod without peers; never of blocks', () => {
  assert.deepEqual(egress(onPorts('TCP/http')), ['0 accept [any] on [http/TCP of {}:]']);
  assert.deepEqual(
    egress({
      peers: [own('app=a'), pods('', ''), block('10.0.0.0/8')],
      ports: ['TCP/http', 'UDP/53'].map(port),
    }),
    [
      '0 accept [x: app=a,{}:,10.0.0.0/8] on [UDP/53-53]',
      '0 accept [any] on [http/TCP of x: app=a,http/TCP of {}:]',
    ],
  );
  assert.deepEqual(egress({ peers: [block('10.0.0.0/8')], ports: [port('TCP/http')] }), []);
  assert.deepEqual(egress({ peers: [], ports: [port('TCP/http')] }), []);
});

test('only the sets that rules refer to are wanted, each once', () => {
  const rules = [from(own('')), { peers: [own('')], ports: [port('TCP/http')] }];
  const ids = ({ sets }: Compiled): string[] => sets.map(({ set }) => set.id);
  assert.deepEqual(ids(compileNetworkPolicy(netpol('x/p', '', { egress: rules }))), ['x:', 'http/TCP of x:']);
  assert.deepEqual(ids(compileNetworkPolicy(netpol('x/p', '', { ingress: rules }))), ['x:', 'http/TCP here']);
});

test('ids of different sets differ, and of equal ones are equal', () => {
  const id = (namespaces: string, labels: string): string | undefined => {
    const rule = from(namespaces === '-' ? own(labels) : pods(namespaces, labels));
    return compileNetworkPolicy(netpol('x/p', '', { ingress: [rule] })).sets[0]?.set.id;
  };
  assert.equal(id('', 'a=1 b=2'), id('', 'b=2 a=1'));
  assert.equal(id('', 'a:1,2'), id('', 'a:2,1,2'));
  const different = [
    id('-', ''),
    id('', ''),
    id('a=1', ''),
    id('', 'a=1'),
    id('-', 'a=1'),
    id('a', ''),
    id('!a', ''),
    id('a=', ''),
    id('a!=', ''),
    id('a:1,2', ''),
    id('a!:1,2', ''),
    id('a=1 b', ''),
    id('a=1', 'b'),
  ];
  assert.equal(new Set(different).size, different.length);
});

test('a policy with problems allows nothing in the directions that it covers', () => {
  const { compiled, problems } = compile(
    networkSubject(netpol('x/p', '', { egress: [ALL], problems: ['spec.egress[0].to[0]: nonsense'] })),
  );
  assert.deepEqual(lines(compiled.egress), []);
  assert.equal(compiled.ingress, undefined);
  assert.deepEqual(problems, ['spec.egress[0].to[0]: nonsense']);
});

test('a policy that cannot be compiled is closed in the directions that it covers, and says why', () => {
  const broken = { kind: 'block', cidr: 'nonsense', except: ['10.0.0.0/8'] } as unknown as ReturnType<
    typeof block
  >;
  const net = compile(networkSubject(netpol('x/p', '', { ingress: [from(broken)] })));
  assert.deepEqual(lines(net.compiled.ingress), []);
  assert.match(net.problems.join(), /could not be compiled: "nonsense" is not a prefix/);
  const rule: ClusterRule = {
    name: '',
    action: 'Accept',
    peers: [{ kind: 'networks', cidrs: [cidr('10.0.0.0/8'), 'nonsense' as never] }],
    ports: 'any',
  };
  const cluster = compile(clusterSubject(cnp('c', 'Admin', 1, { egress: [rule, rule] })));
  assert.deepEqual(lines(cluster.compiled.egress), ['0 deny [any] on [any]']);
  assert.equal(cluster.compiled.ingress, undefined);
});

test('ClusterNetworkPolicy: actions, names and order of rules; pods, networks and Nodes', () => {
  const rule = (
    action: ClusterRule['action'],
    peers: ClusterRule['peers'],
    ...ports: string[]
  ): ClusterRule => ({
    name: `${action}s`,
    action,
    peers,
    ports: ports.length === 0 ? 'any' : ports.map(port),
  });
  const compiled = compileClusterPolicy(
    cnp('c', 'Baseline', 1, {
      egress: [
        rule(
          'Pass',
          [{ kind: 'networks', cidrs: [cidr('10.0.0.0/8'), cidr('10.1.0.0/16'), cidr('::/0')] }],
          'TCP/80',
          'UDP/80',
        ),
        rule(
          'Accept',
          [pods('team=a', ''), { kind: 'nodes', nodes: sel('role=infra') }],
          'TCP/443',
          'TCP/https',
        ),
        rule('Deny', 'any'),
      ],
    }),
  );
  assert.equal(compiled.ingress, undefined, 'no rules say nothing');
  assert.equal(compiled.egress?.tier, 'baseline');
  assert.deepEqual(lines(compiled.egress), [
    '0 pass [10.0.0.0/8,::/0] on [TCP/80-80,UDP/80-80]',
    '1 accept [{team=a}:,nodes{role=infra}] on [TCP/443-443]',
    '1 accept [any] on [https/TCP of {team=a}:]',
    '2 deny [any] on [any]',
  ]);
  assert.deepEqual(
    compiled.egress?.rules.map(({ name }) => name),
    ['Passs', 'Accepts', 'Accepts', 'Denys'],
  );
});

test('a change of rules alone moves no pod; any other one does', () => {
  const base = netpol('x/p', 'app=a', { ingress: [] });
  const same = (changes: Partial<NetworkPolicy>): boolean =>
    samePlace(networkSubject(base), networkSubject({ ...base, ...changes }));
  assert.equal(same({ ingress: [ALL], uid: '2', problems: ['p'] }), true);
  assert.equal(same({ egress: [] }), false);
  assert.equal(same({ audit: true }), false);
  assert.equal(same({ pods: sel('app=b') }), false);
  const c = cnp('c', 'Admin', 1);
  const place = (changes: Partial<typeof c>): boolean =>
    samePlace(clusterSubject(c), clusterSubject({ ...c, ...changes }));
  assert.equal(place({ uid: '2' }), true);
  assert.equal(place({ priority: 2 }), false);
  assert.equal(place({ tier: 'Baseline' }), false);
  assert.equal(place({ subject: { namespaces: sel('a=1'), pods: sel('') } }), false);
});
