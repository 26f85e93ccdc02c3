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
import type { Change } from '../src/reconcile/target.ts';
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

export async function run(runs = 9): Promise<BenchRow[]> {
  const nl = openNetlink(NETLINK_NETFILTER);
  const target = nftTarget(nl, 'inet');
  const elements = Array.from({ length: ELEMENTS }, (_, i) => element('s', i));
  const set = creation(nftSetKey('s'), { kind: 'set', name: 's', key: ['ipv4_addr'], interval: false });
  const elementChanges = elements.map((one) => creation(nftElementKey('s', one.key), one));
  const elementText = `table inet fairlead { set s { type ipv4_addr; }\n}\nadd element inet fairlead s { ${elements.map((one) => one.key[0]).join(',')} }\n`;
  const chain = creation(nftChainKey('c'), {
    kind: 'chain',
    name: 'c',
    hook: undefined,
    rules: Array.from({ length: RULES }, (_, i) =>
      rule([is(daddr('ipv4'), address(i)), is(dport('tcp'), '80'), accept]),
    ),
  });
  const ruleText = `table inet fairlead { chain c {\n${Array.from({ length: RULES }, (_, i) => `ip daddr ${address(i)} tcp dport 80 accept\n`).join('')}}\n}\n`;

  const apply = async (changes: readonly Change<NftBody>[]) => {
    for (const outcome of await target.apply(changes)) if (!outcome.ok) throw outcome.error;
  };
  const empty = async () => {
    nft('table inet fairlead\ndelete table inet fairlead\n');
    await target.observe();
  };
  const rows: BenchRow[] = [];
  try {
    await empty();
    try {
      nft(ruleText);
    } catch (error) {
      throw new Error('cannot compare: nft needs real root for a batch of this size (sudo unshare -n …)', {
        cause: error,
      });
    }
    rows.push(
      await contest({
        name: `${ELEMENTS} set elements`,
        against: AGAINST,
        bar: 0.7,
        runs,
        prepare: empty,
        ours: () => apply([set, ...elementChanges]),
        peer: () => nft(elementText),
      }),
      await contest({
        name: `${RULES} rules`,
        against: AGAINST,
        bar: 0.7,
        runs,
        prepare: empty,
        ours: () => apply([chain]),
        peer: () => nft(ruleText),
      }),
    );
    await empty();
    await apply([set, ...elementChanges, chain]);
    const one = element('s', 0xff0000);
    const key = nftElementKey('s', one.key);
    rows.push(
      await contest({
        name: `1 element, ${ELEMENTS} and ${RULES} rules there`,
        against: AGAINST,
        runs: 2 * runs,
        prepare: () => apply([{ key, wanted: undefined, found: one }]),
        ours: () => apply([creation(key, one)]),
        peer: () => nft(`add element inet fairlead s { ${address(0xff0000)} }\n`),
      }),
      await contest({
        name: `read back ${ELEMENTS} elements and ${RULES} rules`,
        against: 'nft -j list table',
        runs,
        prepare: () => {},
        ours: () => target.observe(),
        peer: () =>
          JSON.parse(
            execFileSync('nft', ['-j', 'list', 'table', 'inet', 'fairlead'], {
              encoding: 'utf8',
              maxBuffer: 1 << 28,
            }),
          ),
      }),
    );
    await empty();
  } finally {
    nl.close();
  }
  return rows;
}

if (import.meta.main) console.log(table(await run()));
