import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc, runs } from '../../../../test/support/property.ts';
import type { Selection } from '../compiled.ts';
import {
  addressSet,
  blockSet,
  isPolicyRow,
  policyChain,
  portSet,
  selectionChain,
  tierChain,
} from './names.ts';

/** What nft's scanner takes as one word, and what the kernel has room for. */
const WORD = /^[a-z][A-Za-z0-9/_.-]{0,254}$/;

const selection = (more: Partial<Selection>): Selection => ({
  direction: 'ingress',
  policies: [],
  defaultDeny: false,
  enforced: true,
  baseline: [],
  ...more,
});

test('names can be read', () => {
  const names = [
    'x: app=web',
    'x:',
    '{}:',
    '{team=a}: app=web',
    'nodes{role=infra}',
    'x: a_b!=c,tier in (a,b),!old,z notin (p,q)',
  ].map((id) => addressSet(id, 'ipv4'));
  assert.deepEqual(names, [
    'peers/x/app_is_web-v4',
    'peers/x/_all_-v4',
    'peers/_any_/_all_-v4',
    'peers/_with_team_is_a_-/app_is_web-v4',
    'peers/nodes_with_role_is_infra_--v4',
    'peers/x/a__b_isnot_c_and_tier_in_a_and_b_29_and__not_old_and_z_notin_p_and_q_29-v4',
  ]);
  assert.equal(portSet('http/TCP of x: app=web', 'ipv6'), 'ports/http/TCP_of_x/app_is_web-v6');
  assert.equal(portSet('http/TCP here', 'ipv6'), 'ports/http/TCP_here_-v6');
  const blocks = (text: string, family: 'ipv4' | 'ipv6') => blockSet({ id: '', text, family, prefixes: [] });
  assert.equal(
    blocks('10.0.0.0/8 except 10.1.0.0/16 10.2.0.0/16, 192.168.0.0/16', 'ipv4'),
    'blocks/10.0.0.0/8_except_10.1.0.0/16_10.2.0.0/16_and_192.168.0.0/16-v4',
  );
  const v6 = blocks('2001:db8::/32 except 2001:db8:1::/48', 'ipv6');
  assert.equal(v6, 'blocks/2001-db8--/32_except_2001-db8-1--/48-v6');
  assert.match(v6, WORD);
  assert.ok(isPolicyRow(v6));
  assert.equal(policyChain('x/allow-web', 'egress'), 'policy/x/allow-web/egress');
  assert.equal(
    tierChain({ direction: 'egress', tier: 'admin', policies: ['one', 'two'] }),
    'egress-admin/one//two',
  );
  assert.equal(
    selectionChain(selection({ policies: ['x/a', 'x/b'], enforced: false, baseline: ['last'] })),
    'ingress-of/x/a//x/b//Audit//Baseline/last',
  );
  assert.equal(selectionChain(selection({ defaultDeny: true })), 'ingress-of/Default-deny');
});

const label = fc.stringMatching(/^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/);
const word = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
const term = fc.oneof(
  fc.tuple(label, fc.constantFrom('=', '!='), fc.oneof(label, fc.constant(''))).map((part) => part.join('')),
  label.map((key) => `!${key}`),
  label,
  fc
    .tuple(label, fc.constantFrom('in', 'notin'), fc.array(label, { minLength: 1, maxLength: 4 }))
    .map(([key, operator, values]) => `${key} ${operator} (${values})`),
);
const selectorText = fc.array(term, { maxLength: 4 }).map((terms) => terms.join(','));
const id = fc
  .tuple(
    fc.oneof(
      word,
      selectorText.map((text) => `{${text}}`),
    ),
    selectorText,
  )
  .map(([where, pods]) => (pods === '' ? `${where}:` : `${where}: ${pods}`));

test('different sets have different names, and nft takes them all', () => {
  fc.assert(
    fc.property(id, id, (a, b) => {
      const [one, other] = [addressSet(a, 'ipv4'), addressSet(b, 'ipv4')];
      assert.match(one, WORD);
      assert.ok(isPolicyRow(one));
      assert.equal(one === other, a === b);
    }),
    { numRuns: runs(2000) },
  );
});

test('names that look alike stay apart', () => {
  const ids = [
    'x: a_b',
    'x: a=b',
    'x: a!=b',
    'x: a,b',
    'x: a,!b',
    'x: a__b',
    'x: a_is_b',
    'x: a/b',
    'x: _a',
    'x:',
  ];
  const clusters = ['{a=b}: c', '{a}: b=c', '{}: c', 'nodes{a=b}', 'nodes: a=b'];
  const names = [...ids, ...clusters].map((text) => addressSet(text, 'ipv4'));
  assert.equal(new Set(names).size, names.length, names.join('\n'));
  assert.notEqual(policyChain('dev/opsallow', 'ingress'), policyChain('devops/allow', 'ingress'));
  const selections = [
    { policies: ['baseline/a'] },
    { baseline: ['a'] },
    { policies: ['admin/a'] },
    { policies: ['x/a', 'x/b'] },
    { policies: ['x/a'] },
    { policies: ['x/a'], enforced: false },
    { policies: ['x/a'], defaultDeny: true },
    { baseline: ['a', 'b'] },
  ].map((more) => selectionChain(selection(more)));
  assert.equal(new Set(selections).size, selections.length);
});

test('names that are too long keep their beginning and stay apart', () => {
  const long = (end: string) => `${'n'.repeat(63)}/${'p'.repeat(200)}${end}`;
  const [one, other] = [policyChain(long('1'), 'ingress'), policyChain(long('2'), 'ingress')];
  assert.match(one, WORD);
  assert.ok(one.length <= 200 && one.startsWith(`policy/${'n'.repeat(63)}/ppp`));
  assert.notEqual(one, other);
  const many = selectionChain(selection({ policies: Array.from({ length: 500 }, (_, i) => `x/p${i}`) }));
  assert.match(many, WORD);
});

test("other planners' names are not taken for policy's", () => {
  for (const name of ['from-pods', 'masquerade-pods', 'clamp-mss', 'pod-cidrs-v4-24', 'node-ips-v4'])
    assert.ok(!isPolicyRow(name), name);
});
