/** A policy whose rules the kernel refuses is closed, and nobody else's: real refusals, real packets. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, afterEach, test } from 'node:test';
import { FAMILIES } from '../../src/model/net/ip.ts';
import type { NftBody, NftChain, NftExpr, NftRule } from '../../src/model/rows/nft.ts';
import type { Row } from '../../src/model/rows/row.ts';
import type { Change, Outcome } from '../../src/reconcile/target.ts';
import { NETLINK_NETFILTER } from '../../src/targets/linux/netlink/constants.ts';
import { currentGeneration } from '../../src/targets/linux/netlink/nftables/readback.ts';
import { openNetlink } from '../../src/targets/linux/netlink/socket.ts';
import { nftTarget } from '../../src/targets/linux/nft.ts';
import { ADDRESS, type Party, PolicyNet } from './policy-net.ts';
import { policyTable } from './policy-rows.ts';

const nl = openNetlink(NETLINK_NETFILTER);
const net = await PolicyNet.make();
after(() => {
  net.close();
  nl.close();
});
const nft = (...words: string[]) => execFileSync('nft', words, { encoding: 'utf8', stdio: 'pipe' });
afterEach(() => nft('flush', 'ruleset'));

const ALLOW_WEB = 'chain policy/x/allow-web/ingress';
const ADMIN = 'chain egress-admin/no-remote';

const LOOP = 'a chain that leads to itself';
/** What no kernel takes. */
const REFUSED: Readonly<Record<string, (chain: string) => readonly NftExpr[]>> = {
  'a set that is not there': () => [
    { expr: 'meta', key: 'l4proto', dreg: 8 },
    { expr: 'lookup', set: 'nowhere', sreg: 8 },
  ],
  'a load beyond the registers': () => [
    { expr: 'payload', base: 'network', offset: 0, length: 16, dreg: 23 },
  ],
  [LOOP]: (chain) => [{ expr: 'verdict', verdict: { verdict: 'jump', chain } }],
};

/** Rows with a rule put into one chain before its last one. */
function poisoned(rows: readonly Row[], key: string, exprs: readonly NftExpr[]): Row[] {
  let times = 0;
  const result = rows.map((row): Row => {
    if (row.target !== 'nft' || row.key !== key || row.body.kind !== 'chain') return row;
    times++;
    const rules: NftRule[] = [...row.body.rules.slice(0, -1), { exprs, comment: 'x/bad: rule' }];
    return { ...row, body: { ...row.body, rules: [...rules, ...row.body.rules.slice(-1)] } };
  });
  assert.equal(times, 1, key);
  return result;
}

async function apply(rows: readonly Row[], found: ReadonlyMap<string, NftBody>): Promise<readonly Outcome[]> {
  const target = nftTarget(nl, 'inet');
  const changes = rows.flatMap((row): Change<NftBody>[] => {
    const wanted = row.body as NftBody;
    const before = found.get(row.key);
    return before && target.same(wanted, before) ? [] : [{ key: row.key, wanted, found: before }];
  });
  const outcomes = await target.apply(changes);
  return outcomes.map((outcome, i) =>
    outcome.ok ? outcome : { ...outcome, error: new Error(`${changes[i]?.key}: ${outcome.error.message}`) },
  );
}

const failures = (outcomes: readonly Outcome[]): string[] =>
  outcomes.flatMap((outcome) => (outcome.ok ? [] : [outcome.error.message]));

/** `from→to` by TCP 8080, in both families: `.` passes, `X` is dropped. */
async function packets(...paths: readonly (readonly [from: Party, to: Party])[]): Promise<string[]> {
  return await Promise.all(
    paths.map(async ([from, to]) => {
      const signs = FAMILIES.map(async (family) => {
        const verdict = await net.ask(from, ADDRESS[to][family], 'tcp', 8080, 700);
        return verdict === 'allowed' ? '.' : verdict === 'dropped' ? 'X' : verdict;
      });
      return `${from}→${to} ${(await Promise.all(signs)).join('')}`;
    }),
  );
}

const TO_WEB = [
  ['a', 'b'],
  ['remote', 'b'],
] as const;
const OTHERS = [
  ['a', 'outside'],
  ['b', 'outside'],
  ['outside', 'a'],
  ['node', 'b'],
] as const;
const RIGHT = ['a→b ..', 'remote→b ..', 'a→outside XX', 'b→outside ..', 'outside→a XX', 'node→b ..'];
const CLOSED = ['a→b XX', 'remote→b XX', ...RIGHT.slice(2)];

for (const [what, exprs] of Object.entries(REFUSED)) {
  for (const before of ['nothing was there', 'open rules were there'] as const) {
    // The kernel finds a loop when it is reached, and then blames what reaches it. Rendered policies have none.
    if (what === LOOP && before === 'nothing was there') continue;
    test(`${what}, ${before}: that policy is closed, others stay, and it opens again`, async () => {
      const target = nftTarget(nl, 'inet');
      if (before === 'open rules were there')
        assert.deepEqual(failures(await apply(policyTable({}), new Map())), []);
      const rows = poisoned(policyTable({}), ALLOW_WEB, exprs('policy/x/allow-web/ingress'));
      const outcomes = await apply(rows, await target.observe());
      const failed = outcomes.filter((outcome) => !outcome.ok);
      assert.deepEqual(
        failed.map((outcome) => 'instead' in outcome && (outcome.instead as NftChain).rules),
        [[]],
        failures(outcomes).join(),
      );
      const [words = ''] = failures(outcomes);
      assert.match(words, /^chain policy\/x\/allow-web\/ingress: rule \d+ \(x\/bad: rule\): .*\(E[A-Z]+\)$/);
      assert.deepEqual(await packets(...TO_WEB, ...OTHERS), CLOSED);

      const seen = await target.observe();
      const wanted = rows.find(({ key }) => key === ALLOW_WEB);
      const found = seen.get(ALLOW_WEB);
      assert.ok(wanted && found && !target.same(wanted.body as NftBody, found), 'it is seen to differ');

      const generation = await currentGeneration(nl);
      assert.equal((await apply(rows, seen)).length, 1, 'nothing else is to be done');
      assert.equal(await currentGeneration(nl), generation, 'a try in vain is no transaction');

      assert.deepEqual(failures(await apply(policyTable({}), seen)), []);
      assert.deepEqual(await packets(...TO_WEB, ...OTHERS), RIGHT);
    });
  }
}

test('rules of a ClusterNetworkPolicy: what it selects sends nothing that way any more; what comes in is as it was', async () => {
  const [exprs] = [REFUSED['a set that is not there']?.('') ?? []];
  const outcomes = await apply(poisoned(policyTable({}), ADMIN, exprs), new Map());
  assert.match(failures(outcomes).join('\n'), /^chain egress-admin\/no-remote: rule \d+ [^\n]*$/);
  assert.deepEqual(await packets(['a', 'b'], ['b', 'outside'], ['remote', 'b'], ['outside', 'a']), [
    'a→b XX',
    'b→outside XX',
    'remote→b ..',
    'outside→a XX',
  ]);
});

/** Rows with something that the kernel refuses in the place of each rule that has this expression. */
function lacking(rows: readonly Row[], expression: NftExpr['expr']): Row[] {
  const [bad] = [REFUSED['a set that is not there']?.('') ?? []];
  return rows.map((row): Row => {
    if (row.target !== 'nft' || row.body.kind !== 'chain') return row;
    const rules = row.body.rules.map(
      (rule): NftRule =>
        rule.exprs.some(({ expr }) => expr === expression) ? { ...rule, exprs: bad } : rule,
    );
    return { ...row, body: { ...row.body, rules } };
  });
}

/** Nobody of the node's pods is open to anything that policies deny. What is allowed but needs the missing expression fails. */
for (const [expression, verdicts] of [
  // Answers are judged: b gets none of its answers, and gives some, because nothing holds its egress.
  ['ct', ['a→b XX', 'remote→b ..', 'a→outside XX', 'b→outside XX', 'outside→a XX', 'node→b ..']],
  // The node's own packets are judged.
  ['fib', [...RIGHT.slice(0, -1), 'node→b XX']],
  ['log', RIGHT],
  ['limit', RIGHT],
] as const) {
  test(`a kernel without nft_${expression}: what policies deny stays denied`, async () => {
    const rows = lacking(policyTable({}), expression);
    const failed = failures(await apply(rows, new Map()));
    assert.ok(failed.length > 0, 'some rule has it');
    assert.deepEqual(await packets(...TO_WEB, ...OTHERS), verdicts);
  });
}

test('the map of pods is refused: all pods are closed', async () => {
  const rows = policyTable({}).filter(({ key }) => !/ policy-ingress-pods-v4/.test(key));
  assert.match(failures(await apply(rows, new Map())).join(), /^chain policy-ingress: rule/);
  const closed = (await packets(...TO_WEB, ...OTHERS)).filter((one) => !one.endsWith('XX'));
  assert.deepEqual(closed, ['b→outside ..', 'node→b ..']);
});

const REMOTE_V4 = 'set peers/_with_team_is_far_-/_all_-v4';
const WHOLE = 'element peers/_with_team_is_far_-/_all_-v4 192.0.2.200';

test('an address that the kernel refuses of those that a ClusterNetworkPolicy denies: it is closed, until the address is taken or gone', async () => {
  const target = nftTarget(nl, 'inet');
  // The set holds one address, so that the kernel refuses a second (ENFILE).
  const rows = policyTable({}).map(
    (row): Row =>
      row.target === 'nft' && row.key === REMOTE_V4 && row.body.kind === 'set'
        ? { ...row, body: { ...row.body, size: 1 } }
        : row,
  );
  assert.deepEqual(failures(await apply(rows, new Map())), []);
  const open = ['b→outside ..', 'a→b ..', 'outside→a XX'];
  const paths = [
    ['b', 'outside'],
    ['a', 'b'],
    ['outside', 'a'],
  ] as const;
  assert.deepEqual(await packets(...paths), open);

  const second = { kind: 'element', set: REMOTE_V4.slice(4), key: ['192.0.2.200'] } as const;
  const add = { key: WHOLE, wanted: second, found: undefined };
  const before = await target.observe();
  const [refused] = await target.apply([add]);
  assert.ok(refused && !refused.ok);
  assert.match(refused.error.message, /\(E[A-Z]+\)$/);
  assert.deepEqual(refused.spoils, [ADMIN]);
  const again = await target.apply([add]);
  assert.deepEqual(again[0]?.ok === false && again[0].spoils, [], 'said once');

  const chain = rows.find(({ key }) => key === ADMIN)?.body as NftChain;
  const [closed] = await target.apply([{ key: ADMIN, wanted: chain, found: before.get(ADMIN) }]);
  assert.ok(closed && !closed.ok);
  assert.match(
    closed.error.message,
    /^without element peers\/_with_team_is_far_-\/_all_-v4 192\.0\.2\.200: /,
  );
  assert.deepEqual(await packets(...paths), ['b→outside XX', 'a→b XX', 'outside→a XX']);

  const found = (await target.observe()).get(ADMIN);
  const gone = (key: string) => key !== WHOLE;
  assert.deepEqual(await target.apply([{ key: ADMIN, wanted: chain, found }], gone), [{ ok: true }]);
  assert.deepEqual(await packets(...paths), open);
});
