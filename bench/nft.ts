/**
 * Our nft target against `nft -f -`. Needs a network namespace of its own, and real root: in a user namespace
 * `nft` cannot send 5,000 rules at once.
 *
 *     sudo unshare -n sh scripts/node.sh bench/nft.ts
 */
import { execFileSync } from 'node:child_process';
import type { NftBody, NftElement } from '../src/model/rows/nft.ts';
import { nftChainKey, nftElementKey, nftSetKey } from '../src/model/rows/nft.ts';
import { daddr, dport } from '../src/plan/nft/field.ts';
import { is } from '../src/plan/nft/match.ts';
import { rule } from '../src/plan/nft/rule.ts';
import { accept } from '../src/plan/nft/statement.ts';
import type { Change, Target } from '../src/reconcile/target.ts';
import { NETLINK_NETFILTER } from '../src/targets/linux/netlink/constants.ts';
import { openNetlink } from '../src/targets/linux/netlink/socket.ts';
import { nftTarget } from '../src/targets/linux/nft.ts';
import { type BenchRow, contest, table } from './table.ts';

const ELEMENTS = 10_000;
const RULES = 5_000;
const AGAINST = 'nft -f -';

const address = (i: number) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
const nft = (input: string) => execFileSync('nft', ['-f', '-'], { input });
const creation = (key: string, wanted: NftBody): Change<NftBody> => ({ key, wanted, found: undefined });
const element = (set: string, i: number): NftElement => ({ kind: 'element', set, key: [address(i)] });

const ELEMENT_LIST = Array.from({ length: ELEMENTS }, (_, i) => element('s', i));
const SET = [
  creation(nftSetKey('s'), { kind: 'set', name: 's', key: ['ipv4_addr'], interval: false }),
  ...ELEMENT_LIST.map((one) => creation(nftElementKey('s', one.key), one)),
];
const SET_TEXT = `table inet fairlead { set s { type ipv4_addr; }
}
add element inet fairlead s { ${ELEMENT_LIST.map(({ key }) => key[0]).join(',')} }
`;
const CHAIN = creation(nftChainKey('c'), {
  kind: 'chain',
  name: 'c',
  hook: undefined,
  rules: Array.from({ length: RULES }, (_, i) =>
    rule([is(daddr('ipv4'), address(i)), is(dport('tcp'), '80'), accept]),
  ),
});
const CHAIN_TEXT = `table inet fairlead { chain c {
${Array.from({ length: RULES }, (_, i) => `ip daddr ${address(i)} tcp dport 80 accept\n`).join('')}}
}
`;

type NftTarget = Target<NftBody>;

async function apply(target: NftTarget, changes: readonly Change<NftBody>[]): Promise<void> {
  for (const outcome of await target.apply(changes)) if (!outcome.ok) throw outcome.error;
}

async function empty(target: NftTarget): Promise<void> {
  nft('table inet fairlead\ndelete table inet fairlead\n');
  await target.observe();
}

export async function run(runs = 9): Promise<BenchRow[]> {
  const nl = openNetlink(NETLINK_NETFILTER);
  try {
    const target = nftTarget(nl, 'inet');
    await empty(target);
    try {
      nft(CHAIN_TEXT);
    } catch (error) {
      throw new Error('cannot compare: nft needs real root for a batch of this size (sudo unshare -n …)', {
        cause: error,
      });
    }
    const rows = [...(await inBulk(target, runs)), ...(await amongMany(target, runs))];
    await empty(target);
    return rows;
  } finally {
    nl.close();
  }
}

async function inBulk(target: NftTarget, runs: number): Promise<BenchRow[]> {
  const shared = { against: AGAINST, bar: 0.7, runs, prepare: () => empty(target) };
  return [
    await contest({
      ...shared,
      name: `${ELEMENTS} set elements`,
      ours: () => apply(target, SET),
      peer: () => nft(SET_TEXT),
    }),
    await contest({
      ...shared,
      name: `${RULES} rules`,
      ours: () => apply(target, [CHAIN]),
      peer: () => nft(CHAIN_TEXT),
    }),
  ];
}

/** What one change and one look cost beside all of it. */
async function amongMany(target: NftTarget, runs: number): Promise<BenchRow[]> {
  await empty(target);
  await apply(target, [...SET, CHAIN]);
  const one = element('s', 0xff0000);
  const key = nftElementKey('s', one.key);
  const list = ['-j', 'list', 'table', 'inet', 'fairlead'];
  return [
    await contest({
      name: `1 element, ${ELEMENTS} and ${RULES} rules there`,
      against: AGAINST,
      runs: 2 * runs,
      prepare: () => apply(target, [{ key, wanted: undefined, found: one }]),
      ours: () => apply(target, [creation(key, one)]),
      peer: () => nft(`add element inet fairlead s { ${address(0xff0000)} }\n`),
    }),
    await contest({
      name: `read back ${ELEMENTS} elements and ${RULES} rules`,
      against: 'nft -j list table',
      runs,
      prepare: () => {},
      ours: () => target.observe(),
      peer: () => JSON.parse(execFileSync('nft', list, { encoding: 'utf8', maxBuffer: 1 << 28 })),
    }),
  ];
}

if (import.meta.main) console.log(table(await run()));
