import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fc, runs } from '../../../test/support/property.ts';
import { AUDIT_ANNOTATION } from '../../model/cluster/policy.ts';
import { EVERYTHING, selector } from '../../model/cluster/selector.ts';
import { Interner } from './interner.ts';
import { networkPolicies } from './networkpolicies.ts';

const project = (spec: unknown, meta: object = {}) =>
  networkPolicies.project(
    { metadata: { name: 'p', namespace: 'x', uid: 'u', ...meta }, spec },
    new Interner(),
  );
const ingress = (...rules: unknown[]) => ({ podSelector: {}, policyTypes: ['Ingress'], ingress: rules });
const is = (key: string, value: string) => selector([{ key, operator: 'In', values: [value] }]);

describe('NetworkPolicy: what we keep of it', () => {
  test('everything that it can say', () => {
    const policy = project(
      {
        podSelector: { matchLabels: { app: 'web', 'example.com/tier': '' } },
        policyTypes: ['Ingress', 'Egress'],
        ingress: [
          {
            from: [
              { podSelector: { matchLabels: { app: 'a' } } },
              { namespaceSelector: {} },
              {
                namespaceSelector: { matchLabels: { team: 'b' } },
                podSelector: { matchExpressions: [{ key: 'app', operator: 'NotIn', values: ['d', 'c'] }] },
              },
              { ipBlock: { cidr: 'FD00:1::/32', except: ['fd00:1:1::/48', 'fd00:1:2::/48'] } },
            ],
            ports: [
              { port: 80 },
              { protocol: 'UDP', port: 'dns' },
              { protocol: 'SCTP' },
              { protocol: 'TCP', port: 8000, endPort: 8010 },
            ],
          },
        ],
        egress: [{}],
      },
      { annotations: { [AUDIT_ANNOTATION]: 'true' } },
    );
    assert.deepEqual(policy, {
      key: 'x/p',
      namespace: 'x',
      name: 'p',
      uid: 'u',
      pods: selector([
        { key: 'app', operator: 'In', values: ['web'] },
        { key: 'example.com/tier', operator: 'In', values: [''] },
      ]),
      ingress: [
        {
          peers: [
            { kind: 'pods', pods: is('app', 'a') },
            { kind: 'pods', namespaces: EVERYTHING, pods: EVERYTHING },
            {
              kind: 'pods',
              namespaces: is('team', 'b'),
              pods: selector([{ key: 'app', operator: 'NotIn', values: ['c', 'd'] }]),
            },
            { kind: 'block', cidr: 'fd00:1::/32', except: ['fd00:1:1::/48', 'fd00:1:2::/48'] },
          ],
          ports: [
            { protocol: 'TCP', from: 80, to: 80 },
            { protocol: 'UDP', name: 'dns' },
            { protocol: 'SCTP' },
            { protocol: 'TCP', from: 8000, to: 8010 },
          ],
        },
      ],
      egress: [{ peers: 'any', ports: 'any' }],
      audit: true,
      problems: [],
    });
  });

  for (const [what, spec, covers] of [
    ['no spec at all', undefined, 'ingress'],
    ['no policyTypes, no rules', {}, 'ingress'],
    ['no policyTypes, egress rules', { egress: [{}] }, 'ingress egress'],
    ['no policyTypes, an empty list of egress rules', { egress: [] }, 'ingress'],
    ['policyTypes null', { policyTypes: null, egress: null }, 'ingress'],
    ['an empty list of policyTypes', { policyTypes: [], egress: [{}] }, 'ingress egress'],
    ['Egress only', { policyTypes: ['Egress'] }, 'egress'],
    ['Egress only, with ingress rules', { policyTypes: ['Egress'], ingress: [{}] }, 'egress'],
    ['both', { policyTypes: ['Egress', 'Ingress'] }, 'ingress egress'],
  ] as const) {
    test(`directions: ${what}`, () => {
      const policy = project(spec);
      const found = [policy.ingress && 'ingress', policy.egress && 'egress'].filter((one) => one);
      assert.equal(found.join(' '), covers);
      assert.deepEqual(policy.problems, []);
    });
  }

  test('lists that are null or empty mean everything', () => {
    const all = { peers: 'any', ports: 'any' };
    assert.deepEqual(project(ingress({ from: null, ports: null }, { from: [], ports: [] })).ingress, [
      all,
      all,
    ]);
    assert.equal(project({ podSelector: null }).pods, EVERYTHING);
  });

  test('selectors that say the same are equal, whatever their order', () => {
    const expressions = (...terms: object[]) =>
      project({ podSelector: { matchExpressions: terms } }).pods.text;
    const [a, b] = [
      { key: 'b', operator: 'Exists' },
      { key: 'a', operator: 'In', values: ['2', '1', '2'] },
    ];
    assert.equal(expressions(a, b), expressions(b, a));
    assert.equal(expressions(a, b), 'a in (1,2),b');
    const label = project({ podSelector: { matchLabels: { a: 'x' } } }).pods.text;
    assert.equal(label, expressions({ key: 'a', operator: 'In', values: ['x'] }));
  });

  test('host bits and leading zeros of prefixes mean nothing, as API servers before 1.36 have it', () => {
    const ipBlock = { cidr: '010.001.2.3/08', except: ['10.1.2.3/16', '10.2.0.9/024'] };
    const { ingress, problems } = project({
      ingress: [{ from: [{ ipBlock }, { ipBlock: { cidr: 'FD00:1::1/32' } }] }],
    });
    assert.deepEqual(problems, []);
    assert.deepEqual(ingress?.[0]?.peers, [
      { kind: 'block', cidr: '10.0.0.0/8', except: ['10.1.0.0/16', '10.2.0.0/24'] },
      { kind: 'block', cidr: 'fd00:1::/32', except: [] },
    ]);
  });

  test('labels of every legal shape', () => {
    const long = 'a'.repeat(63);
    const keys = ['a', 'A.b_c-9', long, `${'a.'.repeat(126)}a/${long}`, 'kubernetes.io/metadata.name'];
    const values = ['', '0', 'A.b_c-9', long];
    for (const key of keys) {
      for (const value of values) {
        const { problems, pods } = project({ podSelector: { matchLabels: { [key]: value } } });
        assert.deepEqual(problems, []);
        assert.deepEqual(pods.terms, [{ key, operator: 'In', values: [value] }]);
      }
    }
  });

  test('1,000 rules', () => {
    const rules = Array.from({ length: 1000 }, (_, i) => ({ ports: [{ port: i + 1 }] }));
    assert.equal(project(ingress(...rules)).ingress?.length, 1000);
  });
});

const from = (peer: unknown) => ingress({ from: [peer] });
const ports = (port: unknown) => ingress({ ports: [port] });
const expression = (term: object) => ({ podSelector: { matchExpressions: [term] } });

describe('NetworkPolicy: closed in the directions it covers, naming the field', () => {
  for (const [what, spec, problem] of [
    [
      'an except outside its block',
      from({ ipBlock: { cidr: '10.1.0.0/16', except: ['10.2.0.0/24'] } }),
      'spec.ingress[0].from[0].ipBlock.except[0]: 10.2.0.0/24 is not a part of 10.1.0.0/16',
    ],
    [
      'an except that is the block',
      from({ ipBlock: { cidr: '10.1.0.0/16', except: ['10.1.0.0/16'] } }),
      'spec.ingress[0].from[0].ipBlock.except[0]: 10.1.0.0/16 is not a part',
    ],
    [
      'an except of the other family',
      from({ ipBlock: { cidr: '0.0.0.0/0', except: ['::/1'] } }),
      'except[0]: ::/1 is not a part of 0.0.0.0/0',
    ],
    [
      'an except that is the block but for host bits',
      from({ ipBlock: { cidr: '10.1.0.0/16', except: ['10.1.2.3/16'] } }),
      'spec.ingress[0].from[0].ipBlock.except[0]: 10.1.0.0/16 is not a part',
    ],
    [
      'a v4-mapped prefix',
      from({ ipBlock: { cidr: '::ffff:10.0.0.0/104' } }),
      'ipBlock.cidr: "::ffff:10.0.0.0/104" is an IPv4-mapped prefix; write it as IPv4',
    ],
    [
      'a v4-mapped prefix that reads as IPv4',
      from({ ipBlock: { cidr: '::ffff:10.0.0.0/24' } }),
      'ipBlock.cidr: "::ffff:10.0.0.0/24" is an IPv4-mapped prefix',
    ],
    ['no cidr', from({ ipBlock: {} }), 'spec.ingress[0].from[0].ipBlock.cidr: '],
    [
      'an address without a length',
      from({ ipBlock: { cidr: '10.0.0.1' } }),
      'ipBlock.cidr: "10.0.0.1" is not a prefix',
    ],
    [
      'ipBlock beside a selector',
      from({ ipBlock: { cidr: '10.0.0.0/8' }, podSelector: {} }),
      'spec.ingress[0].from[0]: ipBlock cannot stand beside a selector',
    ],
    ['an empty peer', from({}), 'spec.ingress[0].from[0]: it names no peer'],
    ['a peer that is null', from(null), 'spec.ingress[0].from[0]: it names no peer'],
    [
      'a peer of a kind that we do not know',
      from({ serviceAccounts: {} }),
      'spec.ingress[0].from[0].serviceAccounts: this field is not known here',
    ],
    [
      'a peer with one more field',
      from({ podSelector: {}, zone: 'a' }),
      'spec.ingress[0].from[0].zone: this field is not known here',
    ],
    ['peers that are no list', ingress({ from: {} }), 'spec.ingress[0].from: {} is not a list'],
    ['a rule that is null', ingress(null), 'spec.ingress[0]: there is no rule'],
    [
      'a rule with one more field',
      ingress({ icmp: {} }),
      'spec.ingress[0].icmp: this field is not known here',
    ],
    ['rules that are no list', { ingress: 'all' }, 'spec.ingress: "all" is not a list'],
    [
      'an endPort below its port',
      ports({ port: 90, endPort: 80 }),
      'spec.ingress[0].ports[0].endPort: 80 is below the port 90',
    ],
    [
      'an endPort with a name',
      ports({ port: 'web', endPort: 80 }),
      'spec.ingress[0].ports[0].endPort: it needs a port that is a number',
    ],
    [
      'an endPort alone',
      ports({ endPort: 80 }),
      'spec.ingress[0].ports[0].endPort: it needs a port that is a number',
    ],
    ['port 0', ports({ port: 0 }), 'spec.ingress[0].ports[0].port: 0 is not a whole number from 1 to 65535'],
    [
      'port 65536',
      ports({ port: 1, endPort: 65536 }),
      'spec.ingress[0].ports[0].endPort: 65536 is not a whole number',
    ],
    [
      'a number as text',
      ports({ port: '80' }),
      'spec.ingress[0].ports[0].port: "80" cannot be the name of a port',
    ],
    ['a name that no port has', ports({ port: 'Web' }), 'ports[0].port: "Web" cannot be the name of a port'],
    [
      'an unknown protocol',
      ports({ protocol: 'ICMP', port: 8 }),
      'spec.ingress[0].ports[0].protocol: "ICMP" is not TCP, UDP or SCTP',
    ],
    ['a port that is null', ports(null), 'spec.ingress[0].ports[0]: there is no port'],
    [
      'an unknown operator',
      from(expression({ key: 'a', operator: 'Gt', values: ['1'] })),
      'spec.ingress[0].from[0].podSelector.matchExpressions[0].operator: "Gt" is not In, NotIn',
    ],
    [
      'In without values',
      from(expression({ key: 'a', operator: 'In' })),
      'matchExpressions[0].values: In needs values',
    ],
    [
      'Exists with values',
      from(expression({ key: 'a', operator: 'Exists', values: ['x'] })),
      'matchExpressions[0].values: Exists takes no values',
    ],
    [
      'a malformed key',
      from(expression({ key: 'a b', operator: 'Exists' })),
      'matchExpressions[0].key: "a b" cannot be the key of a label',
    ],
    [
      'a malformed value',
      from({ namespaceSelector: { matchLabels: { a: '-' } } }),
      'spec.ingress[0].from[0].namespaceSelector.matchLabels.a: "-" cannot be the value of a label',
    ],
    [
      'a value that is no text',
      from({ podSelector: { matchLabels: { a: 1 } } }),
      'podSelector.matchLabels.a: 1 is not a string',
    ],
    [
      'an unknown direction',
      { policyTypes: ['Ingress', 'Sideways'] },
      'spec.policyTypes[1]: "Sideways" is neither Ingress nor Egress',
    ],
    ['policyTypes that is no list', { policyTypes: 'Ingress' }, 'spec.policyTypes: "Ingress" is not a list'],
    ['one more field', { podSelector: {}, hosts: [] }, 'spec.hosts: this field is not known here'],
    ['a spec that is no object', 'x', 'spec: "x" is not an object'],
  ] as const) {
    test(what, () => {
      const policy = project(spec);
      assert.ok(
        policy.problems.some((words) => words.includes(problem)),
        policy.problems.join('\n'),
      );
      assert.deepEqual(policy.ingress, []);
      assert.deepEqual(policy.egress ?? [], []);
    });
  }

  test('a direction that cannot be told covers both', () => {
    assert.deepEqual(project({ policyTypes: ['Sideways'] }).egress, []);
    assert.deepEqual(project({ policyTypes: 7 }).egress, []);
    assert.deepEqual(project({ egress: 7 }).egress, []);
  });

  test('a podSelector that cannot be used selects all pods of the namespace', () => {
    const {
      pods,
      ingress: rules,
      problems,
    } = project({
      podSelector: { matchLabels: { app: 'bad value' } },
      ingress: [{}],
    });
    assert.equal(pods, EVERYTHING);
    assert.deepEqual(rules, []);
    assert.deepEqual(problems, [
      'spec.podSelector.matchLabels.app: "bad value" cannot be the value of a label',
    ]);
  });

  test('null in matchLabels is the empty value, not everything', () => {
    assert.equal(project({ podSelector: { matchLabels: { a: null } } }).pods.text, 'a=');
  });

  test('of many faults the first ones are told', () => {
    const { problems } = project(ingress(...Array.from({ length: 1000 }, () => ({ from: [{}] }))));
    assert.equal(problems.length, 11);
    assert.equal(problems.at(-1), 'and 990 more');
  });

  test('a fault in a direction that it does not cover is none', () => {
    const policy = project({ policyTypes: ['Egress'], ingress: [{ from: [{}] }], egress: [{}] });
    assert.deepEqual(policy.problems, []);
    assert.equal(policy.egress?.length, 1);
  });
});

const anything = fc.anything({
  withNullPrototype: true,
  key: fc.constantFrom(
    ...['podSelector', 'policyTypes', 'ingress', 'egress', 'from', 'to', 'ports', 'port', 'endPort'],
    ...[
      'protocol',
      'ipBlock',
      'cidr',
      'except',
      'matchLabels',
      'matchExpressions',
      'key',
      'operator',
      'values',
    ],
    '__proto__',
    'constructor',
  ),
  values: [
    fc.constantFrom('Ingress', 'Egress', 'TCP', 'In', 'Exists', '10.0.0.0/8', '::/0', 'a'),
    fc.integer(),
    fc.constant(null),
  ],
  maxDepth: 7,
});

test('whatever comes is taken without a throw, and with any fault nothing is allowed', () => {
  fc.assert(
    fc.property(anything, (spec) => {
      const policy = project(spec);
      assert.ok(Object.isFrozen(policy));
      if (policy.problems.length > 0) assert.deepEqual([policy.ingress ?? [], policy.egress ?? []], [[], []]);
    }),
    { numRuns: runs(500) },
  );
});
