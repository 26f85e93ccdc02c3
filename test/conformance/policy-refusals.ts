/** Specs of policies that an API server refuses, with its words. */

export const from = (peer: unknown) => ({ podSelector: {}, ingress: [{ from: [peer] }] });
export const ports = (port: unknown) => ({ podSelector: {}, ingress: [{ ports: [port] }] });
const block = (cidr: string, ...except: string[]) => from({ ipBlock: { cidr, except } });
const chosen = (podSelector: unknown) => ({ podSelector });
const expression = (key: string, operator: string, ...values: string[]) =>
  chosen({ matchExpressions: [{ key, operator, values }] });
const NO_CIDR = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';
const SUBSET = 'must be a strict subset of `cidr`';
const CIDR = 'spec.ingress[0].from[0].ipBlock.cidr: ';
const EXCEPT = 'spec.ingress[0].from[0].ipBlock.except[0]: ';
const PORT = 'spec.ingress[0].ports[0]';
const EXPRESSION = 'spec.podSelector.matchExpressions[0]';
const LABEL = 'a valid label must be an empty string or consist of';

/** What is sent, and how the refusal begins, after the words "is invalid". */
export const REFUSED: readonly (readonly [unknown, string])[] = [
  [
    { policyTypes: ['Sideways'] },
    'spec.policyTypes[0]: Unsupported value: "Sideways": supported values: "Ingress", "Egress"',
  ],
  [
    { policyTypes: ['Ingress', 'Egress', 'Ingress'] },
    'spec.policyTypes: Invalid value: ["Ingress","Egress","Ingress"]: may not specify more than two policyTypes',
  ],
  [from({}), 'spec.ingress[0].from[0]: Required value: must specify a peer'],
  [{ egress: [{ to: [{}] }] }, 'spec.egress[0].to[0]: Required value: must specify a peer'],
  [
    from({ ipBlock: { cidr: '10.0.0.0/8' }, podSelector: {} }),
    'spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer',
  ],
  [from({ ipBlock: {} }), `${CIDR}Required value`],
  [
    block('10.0.0.1/8'),
    `${CIDR}Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix length`,
  ],
  [block('x'), `${CIDR}Invalid value: "x": ${NO_CIDR}`],
  [block('10.0.0.1'), `${CIDR}Invalid value: "10.0.0.1": ${NO_CIDR}`],
  [
    block('::ffff:10.0.0.0/104'),
    `${CIDR}Invalid value: "::ffff:10.0.0.0/104": must not have an IPv4-mapped IPv6 address`,
  ],
  [
    block('010.0.0.0/8'),
    `${CIDR}Invalid value: "010.0.0.0/8": must not have leading 0s in IP or prefix length`,
  ],
  [block('10.1.0.0/16', '10.2.0.0/24'), `${EXCEPT}Invalid value: "10.2.0.0/24": ${SUBSET}`],
  [block('10.1.0.0/16', '10.1.0.0/16'), `${EXCEPT}Invalid value: "10.1.0.0/16": ${SUBSET}`],
  [block('0.0.0.0/0', '::/1'), `${EXCEPT}Invalid value: "::/1": ${SUBSET}`],
  [block('0.0.0.0/0', 'x'), `${EXCEPT}Invalid value: "x": ${NO_CIDR}`],
  [
    ports({ port: 90, endPort: 80 }),
    `${PORT}.endPort: Invalid value: 90: must be greater than or equal to \`port\``,
  ],
  [
    ports({ port: 'web', endPort: 80 }),
    `${PORT}.endPort: Invalid value: 80: may not be specified when \`port\` is non-numeric`,
  ],
  [
    ports({ endPort: 80 }),
    `${PORT}.endPort: Invalid value: 80: may not be specified when \`port\` is not specified`,
  ],
  [
    ports({ port: 1, endPort: 65536 }),
    `${PORT}.endPort: Invalid value: 65536: must be between 1 and 65535, inclusive`,
  ],
  [ports({ port: 0 }), `${PORT}.port: Invalid value: 0: must be between 1 and 65535, inclusive`],
  [ports({ port: '80' }), `${PORT}.port: Invalid value: "80": must contain at least one letter (a-z)`],
  [ports({ port: 'Web' }), `${PORT}.port: Invalid value: "Web": must contain only alpha-numeric characters`],
  [
    ports({ port: 'a'.repeat(16) }),
    `${PORT}.port: Invalid value: "aaaaaaaaaaaaaaaa": must be no more than 15 characters`,
  ],
  [
    ports({ protocol: 'ICMP' }),
    `${PORT}.protocol: Unsupported value: "ICMP": supported values: "TCP", "UDP", "SCTP"`,
  ],
  [expression('a', 'Gt', '1'), `${EXPRESSION}.operator: Invalid value: "Gt": not a valid selector operator`],
  [
    expression('a', 'In'),
    `${EXPRESSION}.values: Required value: must be specified when \`operator\` is 'In' or 'NotIn'`,
  ],
  [
    expression('a', 'Exists', 'x'),
    `${EXPRESSION}.values: Forbidden: may not be specified when \`operator\` is 'Exists' or 'DoesNotExist'`,
  ],
  [expression('a b', 'Exists'), `${EXPRESSION}.key: Invalid value: "a b": name part must consist of`],
  [expression('a', 'In', 'x', '-'), `${EXPRESSION}.values[1]: Invalid value: "-": ${LABEL}`],
  [chosen({ matchLabels: { a: '-' } }), `spec.podSelector.matchLabels: Invalid value: "-": ${LABEL}`],
  [
    from({ namespaceSelector: { matchLabels: { a: 'b c' } } }),
    `spec.ingress[0].from[0].namespaceSelector.matchLabels: Invalid value: "b c": ${LABEL}`,
  ],
  [
    { ingress: [{ from: [{}], ports: [{ endPort: 1 }] }] },
    `[${PORT}.endPort: Invalid value: 1: may not be specified when \`port\` is not specified, spec.ingress[0].from[0]: Required value`,
  ],
];

const base = { tier: 'Admin', priority: 5, subject: { namespaces: {} } };
const to = (peer: unknown) => ({ ...base, egress: [{ action: 'Deny', to: [peer] }] });
const protocol = (one: unknown) => ({
  ...base,
  egress: [{ action: 'Deny', to: [{ namespaces: {} }], protocols: [one] }],
});
const tcp = (destinationPort: unknown) => protocol({ tcp: { destinationPort } });

/** What is sent, and the first cause. CEL rules are not the lab's. */
export const CLUSTER_REFUSED: readonly (readonly [unknown, string])[] = [
  [
    { ...base, tier: 'Middle' },
    'spec.tier: Unsupported value: "Middle": supported values: "Admin", "Baseline"',
  ],
  [
    { ...base, priority: 1001 },
    'spec.priority: Invalid value: 1001: spec.priority in body should be less than or equal to 1000',
  ],
  [
    { ...base, priority: -1 },
    'spec.priority: Invalid value: -1: spec.priority in body should be greater than or equal to 0',
  ],
  [{ tier: 'Admin', priority: 1 }, 'spec.subject: Required value'],
  [
    { ...base, subject: {} },
    'spec.subject: Invalid value: 0: spec.subject in body should have at least 1 properties',
  ],
  [
    { ...base, subject: { serviceAccounts: {} } },
    'spec.subject: Invalid value: 0: spec.subject in body should have at least 1 properties',
  ],
  [
    { ...base, subject: { namespaces: {}, pods: { podSelector: {} } } },
    'spec.subject: Too many: 2: must have at most 1 item',
  ],
  [
    to({}),
    'spec.egress[0].to[0]: Invalid value: 0: spec.egress[0].to[0] in body should have at least 1 properties',
  ],
  [to({ namespaces: {}, nodes: {} }), 'spec.egress[0].to[0]: Too many: 2: must have at most 1 item'],
  [
    { ...base, egress: [{ action: 'Deny', to: [] }] },
    'spec.egress[0].to: Invalid value: 0: spec.egress[0].to in body should have at least 1 items',
  ],
  [
    to({ networks: ['10.0.0.0/8', '::/0', '10.0.0.0/8'] }),
    'spec.egress[0].to[0].networks[2]: Duplicate value: "10.0.0.0/8"',
  ],
  [
    { ...base, egress: [{ action: 'Log', to: [{ namespaces: {} }] }] },
    'spec.egress[0].action: Unsupported value: "Log": supported values: "Accept", "Deny", "Pass"',
  ],
  [tcp({ number: 0 }), 'spec.egress[0].protocols[0].tcp.destinationPort.number: Invalid value: 0: '],
  [
    tcp({ number: 1, range: { start: 1, end: 2 } }),
    'spec.egress[0].protocols[0].tcp.destinationPort: Too many: 2: must have at most 1 item',
  ],
  [
    protocol({ icmp: {} }),
    'spec.egress[0].protocols[0]: Invalid value: 0: spec.egress[0].protocols[0] in body should have at least 1 properties',
  ],
];
