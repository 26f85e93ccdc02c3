/**
 * Our rule builders against the nft of this machine: the same text gives the same expressions, and what we write lists as the same text.
 * UPDATE_GOLDEN=1 rewrites the stored answers that the plan tier compares with.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { type NftBody, nftChainKey, nftSetKey } from '../../src/model/rows/nft.ts';
import { rule } from '../../src/plan/nft/rule.ts';
import { NETLINK_NETFILTER } from '../../src/targets/linux/netlink/constants.ts';
import { normalExpression } from '../../src/targets/linux/netlink/nftables/expressions.ts';
import { readTable } from '../../src/targets/linux/netlink/nftables/readback.ts';
import { openNetlink } from '../../src/targets/linux/netlink/socket.ts';
import { nftTarget } from '../../src/targets/linux/nft.ts';
import { EXAMPLE_CHAIN, EXAMPLE_SETS, EXAMPLES } from '../support/nft-examples.ts';

const nl = openNetlink(NETLINK_NETFILTER);
after(() => nl.close());
const nft = (input: string) => execFileSync('nft', ['-f', '-'], { input, encoding: 'utf8' });
const list = () => execFileSync('nft', ['list', 'chain', 'inet', 'fairlead', 'rules'], { encoding: 'utf8' });

const wanted: readonly (readonly [string, NftBody])[] = [
  ...EXAMPLE_SETS.map((set) => [nftSetKey(set.name), set] as const),
  [nftChainKey(EXAMPLE_CHAIN), { kind: 'chain', name: EXAMPLE_CHAIN, hook: undefined, rules: [] }],
  [
    nftChainKey('rules'),
    { kind: 'chain', name: 'rules', hook: undefined, rules: EXAMPLES.map(([, parts]) => rule(parts)) },
  ],
];

test('what nft makes of a text is what our builders make', async () => {
  nft(textualTable());
  const chain = (await readTable(nl, 'inet')).chains.get('rules');
  nft('delete table inet fairlead');
  const golden: Record<string, unknown> = {};
  for (const [i, [text, parts]] of EXAMPLES.entries()) {
    golden[text] = chain?.rules[i]?.exprs;
    assert.deepEqual(rule(parts).exprs.map(normalExpression), chain?.rules[i]?.exprs, text);
  }
  if (process.env.UPDATE_GOLDEN)
    writeFileSync('test/support/nft-examples.json', `${JSON.stringify(golden, undefined, 1)}\n`);
});

test('what we write lists as nft would list its own', async () => {
  nft(textualTable());
  const theirs = list();
  nft('delete table inet fairlead');
  const target = nftTarget(nl, 'inet');
  const outcomes = await target.apply(wanted.map(([key, body]) => ({ key, wanted: body, found: undefined })));
  for (const outcome of outcomes) assert.ok(outcome.ok, String('error' in outcome && outcome.error));
  assert.equal(list(), theirs);
});

function textualTable(): string {
  const sets = EXAMPLE_SETS.map((set) => {
    const value = set.value && (set.value === 'verdict' ? 'verdict' : set.value.join(' . '));
    const type = `type ${set.key.join(' . ')}${value === undefined ? '' : ` : ${value}`};`;
    const flags = set.interval ? 'flags interval;' : set.dynamic ? 'flags dynamic,timeout;' : '';
    return `${value === undefined ? 'set' : 'map'} ${set.name} { ${type} ${flags} }`;
  });
  const rules = EXAMPLES.map(([text]) => text);
  return `table inet fairlead {\n${sets.join('\n')}\nchain other {}\nchain rules {\n${rules.join('\n')}\n}\n}\n`;
}
