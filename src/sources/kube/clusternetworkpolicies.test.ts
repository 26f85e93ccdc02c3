import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fc, runs } from '../../../test/support/property.ts';
import { AUDIT_ANNOTATION } from '../../model/cluster/policy.ts';
import { EVERYTHING, selector } from '../../model/cluster/selector.ts';
import { clusterNetworkPolicies } from './clusternetworkpolicies.ts';
import { Interner } from './interner.ts';

const project = (spec: unknown, annotations: object = {}) =>
  clusterNetworkPolicies.project({ metadata: { name: 'p', uid: 'u', annotations }, spec }, new Interner());
const subject = { namespaces: {} };
const base = { tier: 'Admin', priority: 7, subject };
const is = (key: string, value: string) => selector([{ key, operator: 'In', values: [value] }]);
const everyone = { namespaces: {} };
const anyPod = { kind: 'pods', namespaces: EVERYTHING, pods: EVERYTHING };

describe('ClusterNetworkPolicy: what we keep of it', () => {
  test('everything that it can say', () => {
    const policy = project(
      {
        tier: 'Baseline',
        priority: 1000,
        subject: { pods: { namespaceSelector: { matchLabels: { team: 'a' } }, podSelector: {} } },
        ingress: [
          {
            name: 'first',
            action: 'Accept',
            from: [
              { namespaces: { matchLabels: { team: 'b' } } },
              { pods: { namespaceSelector: {}, podSelector: { matchLabels: { app: 'web' } } } },
            ],
            protocols: [
              { tcp: { destinationPort: { number: 80 } } },
              { udp: { destinationPort: { range: { start: 5000, end: 5010 } } } },
              { destinationNamedPort: 'web' },
            ],
          },
        ],
        egress: [
          { action: 'Deny', to: [{ networks: ['0.0.0.0/0', '::/0'] }] },
          {
            action: 'Pass',
            to: [{ nodes: { matchExpressions: [{ key: 'control', operator: 'Exists' }] } }],
            protocols: [{ sctp: { destinationPort: { number: 9 } } }],
          },
        ],
      },
      { [AUDIT_ANNOTATION]: 'true' },
    );
    assert.deepEqual(policy, {
      name: 'p',
      uid: 'u',
      tier: 'Baseline',
      priority: 1000,
      subject: { namespaces: is('team', 'a'), pods: EVERYTHING },
      ingress: [
        {
          name: 'first',
          action: 'Accept',
          peers: [
            { kind: 'pods', namespaces: is('team', 'b'), pods: EVERYTHING },
            { kind: 'pods', namespaces: EVERYTHING, pods: is('app', 'web') },
          ],
          ports: [
            { protocol: 'TCP', from: 80, to: 80 },
            { protocol: 'UDP', from: 5000, to: 5010 },
            { protocol: 'TCP', name: 'web' },
            { protocol: 'UDP', name: 'web' },
            { protocol: 'SCTP', name: 'web' },
          ],
        },
      ],
      egress: [
        {
          name: '',
          action: 'Deny',
          peers: [{ kind: 'networks', cidrs: ['0.0.0.0/0', '::/0'] }],
          ports: 'any',
        },
        {
          name: '',
          action: 'Pass',
          peers: [{ kind: 'nodes', nodes: selector([{ key: 'control', operator: 'Exists', values: [] }]) }],
          ports: [{ protocol: 'SCTP', from: 9, to: 9 }],
        },
      ],
      audit: true,
      problems: [],
    });
  });

  test('a policy without rules does nothing', () => {
    const { ingress, egress, problems, subject: all } = project({ ...base, ingress: null });
    assert.deepEqual([ingress, egress, problems], [[], [], []]);
    assert.deepEqual(all, { namespaces: EVERYTHING, pods: EVERYTHING });
  });

  test('host bits of networks mean nothing, as the API server has it', () => {
    const egress = [{ action: 'Deny', to: [{ networks: ['10.1.2.3/8', 'FD00:1::1/32'] }] }];
    const policy = project({ ...base, egress });
    assert.deepEqual(policy.problems, []);
    assert.deepEqual(policy.egress[0]?.peers, [{ kind: 'networks', cidrs: ['10.0.0.0/8', 'fd00:1::/32'] }]);
  });

  test('priorities 0 and 1000 are in range', () => {
    for (const priority of [0, 1000]) assert.equal(project({ ...base, priority }).priority, priority);
  });
});

/** What becomes of a rule that cannot be read: one word an action. */
function outcome(rule: object, side: 'from' | 'to') {
  const direction = side === 'from' ? 'ingress' : 'egress';
  return ['Accept', 'Deny', 'Pass'].map((action) => {
    const policy = project({ ...base, [direction]: [{ action, ...rule }] });
    const [read] = policy[direction];
    const words =
      read === undefined
        ? 'lost'
        : `${read.action} ${read.peers === 'any' && read.ports === 'any' ? 'all' : 'some'}`;
    return { words, problems: policy.problems.join('\n') };
  });
}

const to = (peer: unknown) => ({ to: [everyone, peer] });
const port = (protocol: unknown) => ({ to: [everyone], protocols: [protocol] });
const tcp = (destinationPort: unknown) => port({ tcp: { destinationPort } });

describe('ClusterNetworkPolicy: a rule that cannot be read accepts nothing, or denies everything', () => {
  for (const [what, rule, problem, side = 'to'] of [
    [
      'an empty peer',
      to({}),
      'spec.egress[0].to[1]: it needs one of namespaces, pods, networks, nodes, domainNames',
    ],
    [
      'a peer of a kind that we do not know',
      to({ serviceAccounts: {} }),
      'spec.egress[0].to[1].serviceAccounts: this field is not known here',
    ],
    ['a peer of two kinds', to({ namespaces: {}, nodes: {} }), 'spec.egress[0].to[1]: it needs one of'],
    [
      'domain names',
      to({ domainNames: ['example.com'] }),
      'spec.egress[0].to[1].domainNames: peers by domain name are not supported',
    ],
    ['no peers', { to: [] }, 'spec.egress[0].to: a rule needs peers'],
    ['peers that are no list', { to: 'all' }, 'spec.egress[0].to: "all" is not a list'],
    [
      'networks in ingress',
      { from: [{ networks: ['::/0'] }] },
      'spec.ingress[0].from[0].networks: this field is not known here',
      'from',
    ],
    [
      'egress peers in ingress',
      { from: [everyone], to: [everyone] },
      'spec.ingress[0].to: this field is not known here',
      'from',
    ],
    ['no networks', to({ networks: [] }), 'spec.egress[0].to[1].networks: it needs a prefix'],
    [
      'a malformed prefix',
      to({ networks: ['10.0.0.0/8', 'x'] }),
      'spec.egress[0].to[1].networks[1]: "x" is not a prefix',
    ],
    [
      'a v4-mapped prefix',
      to({ networks: ['::ffff:10.0.0.0/24'] }),
      'networks[0]: "::ffff:10.0.0.0/24" is an IPv4-mapped prefix',
    ],
    [
      'a selector that cannot be used',
      to({ nodes: { matchLabels: { a: '-' } } }),
      'nodes.matchLabels.a: "-" cannot be the value of a label',
    ],
    [
      'an unknown operator',
      to({ namespaces: { matchExpressions: [{ key: 'a', operator: 'Lt' }] } }),
      'matchExpressions[0].operator: "Lt" is not In',
    ],
    [
      'one more field beside the selectors',
      to({ pods: { podSelector: {}, zone: 'a' } }),
      'spec.egress[0].to[1].pods.zone: this field is not known here',
    ],
    [
      'an empty protocol',
      port({}),
      'spec.egress[0].protocols[0]: it needs one of tcp, udp, sctp and destinationNamedPort',
    ],
    [
      'an unknown protocol',
      port({ icmp: {} }),
      'spec.egress[0].protocols[0].icmp: this field is not known here',
    ],
    [
      'a protocol named like what every object has',
      port({ constructor: {} }),
      'protocols[0].constructor: this field is not known here',
    ],
    [
      'two protocols in one',
      port({ tcp: { destinationPort: { number: 1 } }, udp: { destinationPort: { number: 1 } } }),
      'spec.egress[0].protocols[0]: it needs one of',
    ],
    [
      'a protocol without a port',
      port({ tcp: {} }),
      'spec.egress[0].protocols[0].tcp.destinationPort: it needs one of number and range',
    ],
    [
      'source ports, perhaps one day',
      port({ tcp: { destinationPort: { number: 1 }, sourcePort: {} } }),
      'protocols[0].tcp.sourcePort: this field is not known here',
    ],
    [
      'no protocols where they are given',
      { to: [everyone], protocols: [] },
      'spec.egress[0].protocols: it needs entries',
    ],
    ['port 0', tcp({ number: 0 }), 'destinationPort.number: 0 is not a whole number from 1 to 65535'],
    ['port 65536', tcp({ number: 65536 }), 'destinationPort.number: 65536 is not'],
    [
      'a range upside down',
      tcp({ range: { start: 9, end: 8 } }),
      'destinationPort.range: its start 9 is not below its end 8',
    ],
    [
      'a range of one',
      tcp({ range: { start: 9, end: 9 } }),
      'destinationPort.range: its start 9 is not below its end 9',
    ],
    [
      'half a range',
      tcp({ range: { start: 9 } }),
      'destinationPort.range.end: nothing is not a whole number',
    ],
    [
      'a number and a range',
      tcp({ number: 1, range: { start: 1, end: 2 } }),
      'destinationPort: it needs one of number and range',
    ],
    [
      'a named port without a name',
      port({ destinationNamedPort: '' }),
      'destinationNamedPort: it needs a name',
    ],
    [
      'a named port of networks',
      { to: [{ networks: ['::/0'] }], protocols: [{ destinationNamedPort: 'web' }] },
      'spec.egress[0].protocols: destinationNamedPort cannot stand beside',
    ],
    [
      'a field of an older draft',
      { to: [everyone], ports: [{ number: 80 }] },
      'spec.egress[0].ports: this field is not known here',
    ],
  ] as const) {
    test(what, () => {
      const [accept, deny, pass] = outcome(rule, side);
      assert.deepEqual([accept?.words, deny?.words, pass?.words], ['lost', 'Deny all', 'Deny all']);
      for (const one of [accept, deny, pass]) assert.ok(one?.problems.includes(problem), one?.problems);
      assert.match(accept?.problems ?? '', /; so this rule accepts nothing$/);
      assert.match(deny?.problems ?? '', /; so this rule denies everything$/);
    });
  }

  test('the other rules stay, in their order', () => {
    const rule = (name: string, peer: object = everyone) => ({ name, action: 'Accept', to: [peer] });
    const { egress } = project({ ...base, egress: [rule('a'), rule('b', { no: 1 }), rule('c')] });
    assert.deepEqual(
      egress.map(({ name }) => name),
      ['a', 'c'],
    );
    assert.equal(project({ ...base, egress: [rule('a'), rule('b', { no: 1 })] }).tier, 'Admin');
  });

  test('an unknown action, a rule that is null, rules that are no list: all is denied', () => {
    const denial = [{ name: '', action: 'Deny', peers: 'any', ports: 'any' }];
    for (const egress of [[{ action: 'Log', to: [everyone] }], [null], 'x']) {
      const policy = project({ ...base, egress });
      assert.deepEqual(policy.egress, denial);
      assert.ok(policy.problems.length > 0);
    }
  });
});

describe('ClusterNetworkPolicy: one that cannot be placed stands first and lets nothing pass that it might have stopped', () => {
  const rules = {
    ingress: ['Accept', 'Deny', 'Pass'].map((action) => ({ name: action, action, from: [everyone] })),
  };
  for (const [what, spec, problem] of [
    [
      'a priority below the range',
      { ...base, priority: -1 },
      'spec.priority: -1 is not a whole number from 0 to 1000',
    ],
    ['a priority above the range', { ...base, priority: 1001 }, 'spec.priority: 1001 is not'],
    ['half a priority', { ...base, priority: 1.5 }, 'spec.priority: 1.5 is not'],
    ['no priority', { tier: 'Baseline', subject }, 'spec.priority: nothing is not a whole number'],
    ['an unknown tier', { ...base, tier: 'Middle' }, 'spec.tier: "Middle" is neither Admin nor Baseline'],
    ['one more field', { ...base, schedule: {} }, 'spec.schedule: this field is not known here'],
    ['no subject', { tier: 'Admin', priority: 1 }, 'spec.subject: it needs one of namespaces and pods'],
    [
      'two subjects',
      { ...base, subject: { namespaces: {}, pods: { podSelector: {} } } },
      'spec.subject: it needs one of namespaces and pods',
    ],
    [
      'an unknown subject',
      { ...base, subject: { serviceAccounts: {} } },
      'spec.subject.serviceAccounts: this field is not known here',
    ],
  ] as const) {
    test(what, () => {
      const policy = project({ ...spec, ...rules });
      assert.ok(
        policy.problems.some((words) => words.includes(problem)),
        policy.problems.join('\n'),
      );
      assert.deepEqual([policy.tier, policy.priority], ['Admin', 0]);
      const some = { peers: [anyPod], ports: 'any', action: 'Deny' };
      assert.deepEqual(policy.ingress, [
        { name: 'Deny', ...some },
        { name: 'Pass', ...some },
      ]);
    });
  }

  test('a subject whose selector cannot be used is everything of its scope', () => {
    const bad = { matchLabels: { a: 'b c' } };
    const good = { matchLabels: { team: 'x' } };
    const of = (chosen: object) => project({ ...base, subject: chosen, ...rules }).subject;
    assert.deepEqual(of({ namespaces: bad }), { namespaces: EVERYTHING, pods: EVERYTHING });
    assert.deepEqual(of({ pods: { namespaceSelector: good, podSelector: bad } }), {
      namespaces: is('team', 'x'),
      pods: EVERYTHING,
    });
    assert.deepEqual(of({ pods: { namespaceSelector: bad, podSelector: good } }), {
      namespaces: EVERYTHING,
      pods: is('team', 'x'),
    });
  });
});

const anything = fc.anything({
  withNullPrototype: true,
  key: fc.constantFrom(
    ...[
      'tier',
      'priority',
      'subject',
      'ingress',
      'egress',
      'from',
      'to',
      'protocols',
      'action',
      'name',
      'namespaces',
    ],
    ...[
      'pods',
      'nodes',
      'networks',
      'podSelector',
      'matchLabels',
      'tcp',
      'destinationPort',
      'number',
      'range',
    ],
    '__proto__',
    'constructor',
  ),
  values: [fc.constantFrom('Admin', 'Accept', 'Deny', '::/0', 'a'), fc.integer(), fc.constant(null)],
  maxDepth: 7,
});

test('whatever comes is taken without a throw; nothing is accepted from everybody that did not say so', () => {
  fc.assert(
    fc.property(anything, (spec) => {
      const policy = project(spec);
      assert.ok(Object.isFrozen(policy));
      for (const rule of [...policy.ingress, ...policy.egress]) {
        if (rule.peers === 'any') assert.equal(rule.action, 'Deny');
      }
    }),
    { numRuns: runs(500) },
  );
});
