/** The five laws of targets for nft, on the real kernel. FAIRLEAD_RUNS multiplies the random cases. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, test } from 'node:test';
import type { NftBody } from '../../src/model/rows/nft.ts';
import type { Change, Target } from '../../src/reconcile/target.ts';
import { attributes, be64, text } from '../../src/targets/linux/netlink/attributes.ts';
import { NETLINK_NETFILTER } from '../../src/targets/linux/netlink/constants.ts';
import { bodyOf, dumpChains, dumpRules } from '../../src/targets/linux/netlink/nftables/objects.ts';
import { dumpSets } from '../../src/targets/linux/netlink/nftables/sets.ts';
import { openNetlink } from '../../src/targets/linux/netlink/socket.ts';
import { nftTarget } from '../../src/targets/linux/nft.ts';
import { fc, runs } from '../support/property.ts';
import { SAMPLES } from './nft-samples.ts';
import { rowsByKey, SAMPLE_SETS, type State, state } from './nft-states.ts';

const nl = openNetlink(NETLINK_NETFILTER);
after(() => nl.close());
const nft = (...args: string[]) => execFileSync('nft', args, { encoding: 'utf8', stdio: 'pipe' });
const feed = (input: string) => execFileSync('nft', ['-f', '-'], { input, encoding: 'utf8', stdio: 'pipe' });

const FOREIGN = `
table ip fairlead {
  chain a { ip saddr 10.0.0.1 accept; }
  set s { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }; }
}
table inet other {
  chain fairlead { type filter hook forward priority 0; policy accept; counter; }
  map v { type ipv4_addr : verdict; elements = { 10.0.0.1 : drop }; }
}
table bridge fairlead {
  chain b { drop; }
}
`;

function changes(target: Target<NftBody>, wanted: State, found: State): Change<NftBody>[] {
  const list: Change<NftBody>[] = [];
  for (const [key, body] of found) if (!wanted.has(key)) list.push({ key, wanted: undefined, found: body });
  for (const [key, body] of wanted) {
    const there = found.get(key);
    if (there === undefined || !target.same(body, there)) list.push({ key, wanted: body, found: there });
  }
  return list;
}

/** One pass of a reconciler. Returns what it changed. */
async function pass(target: Target<NftBody>, wanted: State): Promise<Change<NftBody>[]> {
  const list = changes(target, wanted, await target.observe());
  const outcomes = await target.apply(list);
  for (const [i, outcome] of outcomes.entries())
    if (!outcome.ok) assert.fail(`${list[i]?.key}: ${outcome.error.message}\n${JSON.stringify(list[i])}`);
  return list;
}

async function assertHolds(target: Target<NftBody>, wanted: State): Promise<void> {
  assert.deepEqual(
    changes(target, wanted, await target.observe()).map(({ key, wanted, found }) => ({ key, wanted, found })),
    [],
  );
}

const HANDLES = {
  chain: attributes({ table: [1, text], handle: [2, be64], name: [3, text] }),
  rule: attributes({ table: [1, text], name: [2, text], handle: [3, be64] }),
  set: attributes({ table: [1, text], name: [2, text], handle: [16, be64] }),
};

/** Handles by chain and set: who kept theirs was not touched. (`nft -j` would tell, but crashes on some sets.) */
async function handles(): Promise<Map<string, string>> {
  const result = new Map<string, string>();
  for (const [kind, request, table] of [
    ['chain', dumpChains('inet'), HANDLES.chain],
    ['chain', dumpRules('inet'), HANDLES.rule],
    ['set', dumpSets('inet'), HANDLES.set],
  ] as const)
    for (const { table: owner, name, handle } of await nl.dump(request, (reply) => bodyOf(reply, table)))
      if (owner === 'fairlead')
        result.set(`${kind} ${name}`, `${result.get(`${kind} ${name}`) ?? ''} ${handle}`);
  return result;
}

const foreignTables = () =>
  ['ip fairlead', 'inet other', 'bridge fairlead'].map((name) => nft('list', 'table', ...name.split(' ')));

test('every expression comes back as it was written', async (t) => {
  const target = nftTarget(nl, 'inet');
  for (const [name, exprs] of Object.entries(SAMPLES)) {
    await t.test(name, async (t) => {
      const wanted = rowsByKey([
        ...SAMPLE_SETS,
        { kind: 'chain', name: 'only', hook: undefined, rules: [{ exprs, comment: name }] },
      ]);
      const list = changes(target, wanted, await target.observe());
      const outcomes = await target.apply(list);
      const refusal = outcomes.find((outcome) => !outcome.ok);
      if (name.startsWith('queue') && refusal && /ENOENT/.test(refusal.error.message))
        return t.skip('this kernel cannot queue packets (CONFIG_NFT_QUEUE)');
      assert.equal(refusal?.error.message, undefined);
      await assertHolds(target, wanted);
    });
  }
  await pass(target, new Map());
});

test('round trip, idempotence, convergence, minimality, ownership', async () => {
  feed(FOREIGN);
  const foreign = foreignTables();
  const target = nftTarget(nl, 'inet');
  await fc.assert(
    fc.asyncProperty(state, state, async (first, second) => {
      await pass(target, first);
      await assertHolds(target, first);
      assert.deepEqual(
        (await pass(target, first)).map(({ key }) => key),
        [],
      );

      const before = await handles();
      const touched = new Set((await pass(target, second)).map(({ key }) => key));
      await assertHolds(target, second);
      const now = await handles();
      const replaced = [...touched].some((key) => key.startsWith('set ') && before.has(key) && now.has(key));
      // A set of another type takes the chains that refer to it along.
      if (!replaced)
        for (const [key, handle] of before)
          if (!touched.has(key)) assert.equal(now.get(key), handle, `${key} was not to be touched`);
    }),
    { numRuns: runs(60) },
  );
  assert.deepEqual(foreignTables(), foreign);
  await pass(target, new Map());
  assert.throws(() => nft('list', 'table', 'inet', 'fairlead'), 'an empty table is removed');
  assert.deepEqual(foreignTables(), foreign);
  feed('delete table ip fairlead; delete table inet other; delete table bridge fairlead');
});

/** What somebody else may do to our table. Each may fail when its object is not there. */
const VANDALISM = [
  'delete table inet fairlead',
  'flush table inet fairlead',
  'add rule inet fairlead leaf0 counter drop',
  'insert rule inet fairlead leaf1 ip saddr { 10.0.0.1, 10.0.0.2 } accept',
  'add rule inet fairlead loose tcp dport vmap { 80 : accept, 81 : drop }',
  'add rule inet fairlead leaf2 quota over 10 mbytes drop',
  'flush chain inet fairlead loose',
  'flush set inet fairlead s0',
  'flush map inet fairlead s1',
  'delete chain inet fairlead base1',
  'add chain inet fairlead base0 { policy drop; }',
  'add chain inet fairlead stranger { type filter hook input priority 7; }',
  'add set inet fairlead odd { type uid; elements = { 1 }; }',
  'add set inet fairlead s3 { type ipv4_addr; flags constant; elements = { 10.0.0.1 }; }',
  'add element inet fairlead samplePlain { 192.0.2.7 }',
  'add element inet fairlead sampleMap { 192.0.2.7 : 1 }',
  'add table inet fairlead { flags dormant; }',
  'add counter inet fairlead ours',
];

test('whatever somebody does to our table is undone', async () => {
  const target = nftTarget(nl, 'inet');
  let done = 0;
  await fc.assert(
    fc.asyncProperty(state, fc.subarray(VANDALISM, { minLength: 1 }), async (wanted, commands) => {
      await pass(target, wanted);
      for (const command of commands) {
        try {
          feed(command);
          done++;
        } catch {
          // its object is not there
        }
      }
      await pass(target, wanted);
      await assertHolds(target, wanted);
    }),
    { numRuns: runs(60) },
  );
  assert.ok(done > 0);
  await pass(target, new Map());
});
