import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RowStatus } from '../model/api.ts';
import { refusedPolicies } from './refused-policies.ts';

const row = (key: string, why: string, attempts = 2): RowStatus => ({
  target: 'nft',
  key,
  why,
  state: 'failed',
  message: 'rule 2 (x/a: ingress rule 1): no such file or directory (ENOENT)',
  attempts,
});

test('a refused policy is named, with the words of the kernel and what to do; others and passing ones are not', () => {
  const problems = refusedPolicies([
    row('chain policy/x/a/ingress', 'NetworkPolicy x/a'),
    row('element peers/x/app_is_web-v4 10.244.1.2', 'pod x/web-1'),
    row('chain policy/x/b/ingress', 'NetworkPolicy x/b', 1),
    row('chain masquerade', 'masquerading'),
  ]);
  assert.deepEqual(
    problems.map(({ object, message }) => `${object}: ${message}`),
    [
      'NetworkPolicy x/a: the kernel refuses nft chain policy/x/a/ingress: rule 2 (x/a: ingress rule 1): no such file or directory (ENOENT); what it selects is closed meanwhile',
      'network policy (pod x/web-1): the kernel refuses nft element peers/x/app_is_web-v4 10.244.1.2: rule 2 (x/a: ingress rule 1): no such file or directory (ENOENT)',
    ],
  );
});

test('a kernel without an expression: which options it needs, and what holds meanwhile', () => {
  const problems = refusedPolicies([
    row('chain policy-forward-egress', 'policy on egress'),
    row('chain policy-denied-ingress', 'ingress that no NetworkPolicy allows'),
    {
      ...row('chain policy-output-egress', 'policy on egress'),
      message: 'no buffer space available (ENOBUFS)',
    },
  ]);
  assert.deepEqual(
    problems.map(({ message, hint = '' }) => [/; (.*) meanwhile$/.exec(message)?.[1], hint.split('; ')[0]]),
    [
      [
        "answers and the node's own traffic are judged like first packets",
        'this kernel may lack CONFIG_NFT_CT, CONFIG_NFT_FIB_INET',
      ],
      [
        'what comes there is dropped without a word',
        'this kernel may lack CONFIG_NFT_LOG, CONFIG_NFT_LIMIT, CONFIG_NFT_REJECT_INET',
      ],
      [
        "answers and the node's own traffic are judged like first packets",
        'its log (dmesg) tells of missing modules and memory',
      ],
    ],
  );
});

test('very many are one line more', () => {
  const rows = Array.from({ length: 200 }, (_, i) =>
    row(`chain policy/x/${i}/ingress`, `NetworkPolicy x/${i}`),
  );
  const problems = refusedPolicies(rows);
  assert.equal(problems.length, 21);
  assert.equal(problems.at(-1)?.message, 'the kernel refuses 180 more rows');
});
