import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { EXAMPLES } from '../../../test/support/nft-examples.ts';
import { daddr, dport, saddr } from './field.ts';
import { is } from './match.ts';
import { rule } from './rule.ts';
import { accept } from './statement.ts';

/** By text, what the real nft made of it; order of properties does not matter. */
const golden: Record<string, unknown> = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../../test/support/nft-examples.json'), 'utf8'),
);

test('rules are built as nft translates them', () => {
  assert.deepEqual(
    Object.keys(golden),
    EXAMPLES.map(([text]) => text),
    'UPDATE_GOLDEN=1 with test/kernel/nft-golden.test.ts',
  );
  for (const [text, parts] of EXAMPLES) assert.deepEqual(rule(parts).exprs, golden[text], text);
});

test('a header is asked for once', () => {
  const { exprs } = rule([
    is(saddr('ipv4'), '10.0.0.1'),
    is(daddr('ipv4'), '10.0.0.2'),
    is(dport('tcp'), '80'),
    accept,
  ]);
  assert.equal(exprs.filter((expr) => expr.expr === 'meta').length, 2);
});

test('text that nft would print in another way is refused', () => {
  assert.throws(() => is(saddr('ipv4'), '10.0.0.1/24'), { code: 'bad-nft-value' });
  assert.throws(() => is(saddr('ipv6'), 'FD00::1'), { code: 'bad-nft-value' });
  assert.throws(() => is(saddr('ipv4'), 'fd00::1'), { code: 'bad-nft-value' });
  assert.throws(() => is(dport('tcp'), '90-80'), { code: 'bad-nft-value' });
});

test('a comment is kept', () => {
  assert.equal(rule([accept], 'why').comment, 'why');
  assert.ok(!('comment' in rule([accept])));
});
