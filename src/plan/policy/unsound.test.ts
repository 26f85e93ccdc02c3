import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONFIG } from '../../../test/support/plan-worlds.ts';
import type { NftChain } from '../../model/rows/nft.ts';
import type { CompiledPolicy } from './compiled.ts';
import { policyRows, tierRows } from './render/render.ts';
import { closedWhereUnsound } from './unsound.ts';

const policy = (name: string, tier: CompiledPolicy['tier'], port: number): CompiledPolicy => ({
  tier,
  name,
  direction: 'ingress',
  audit: false,
  rules: [
    {
      action: 'accept',
      index: 0,
      name: '',
      peers: 'any',
      ports: [{ protocol: 'TCP', from: 80, to: port }],
    },
  ],
});

const comments = (rows: readonly { readonly body: unknown }[]): string[] =>
  rows
    .map(({ body }) => body as NftChain)
    .filter(({ kind }) => kind === 'chain')
    .flatMap(({ rules }) => rules.map(({ comment = '' }) => comment));

test('a NetworkPolicy that cannot be rendered allows nothing and is named', () => {
  const render = (policies: readonly CompiledPolicy[]) =>
    policies.flatMap((one) => policyRows(one, CONFIG.policy));
  const bad = closedWhereUnsound([policy('x/bad', 'network-policy', 0)], render);
  assert.deepEqual(comments(bad.rows), []);
  assert.equal(bad.rows.length, 1);
  assert.equal(bad.problems?.[0]?.object, 'NetworkPolicy x/bad');
  assert.match(bad.problems?.[0]?.message ?? '', /^its ingress rules cannot be programmed: .*80-0/);
  const good = closedWhereUnsound([policy('x/good', 'network-policy', 90)], render);
  assert.deepEqual([comments(good.rows), good.problems], [['x/good: ingress rule 0'], undefined]);
});

test('in a tier only that ClusterNetworkPolicy denies; those before and behind it are as they were', () => {
  const render = (policies: readonly CompiledPolicy[]) =>
    tierRows('ingress', 'admin', policies, CONFIG.policy);
  const three = [policy('a', 'admin', 90), policy('b', 'admin', 0), policy('c', 'admin', 90)];
  const { rows, problems } = closedWhereUnsound(three, render);
  const tier = rows.filter(({ key }) => key === 'chain ingress-admin/a//b//c');
  assert.deepEqual(comments(tier), ['a: ingress rule 0', 'b: ingress rule 0', 'c: ingress rule 0']);
  assert.deepEqual(
    problems?.map(({ object }) => object),
    ['ClusterNetworkPolicy b'],
  );
});
