/** Random states of our table that a kernel accepts: what `nft` could have been told. Names come from small pools, so that two states differ in every way. */

import {
  type NftBody,
  type NftChain,
  type NftElement,
  type NftExpr,
  type NftRule,
  type NftSet,
  type NftType,
  type NftVerdict,
  nftChainKey,
  nftElementKey,
  nftSetKey,
} from '../../src/model/rows/nft.ts';
import { NFT_VALUES } from '../../src/model/rows/nft-values.ts';
import { fc } from '../support/property.ts';
import { DYNAMIC_SET, MAP, PLAIN_SET, SAMPLES } from './nft-samples.ts';

export type State = ReadonlyMap<string, NftBody>;

const TYPES = Object.keys(NFT_VALUES) as NftType[];
/** Chains that jump nowhere: whatever jumps to them makes no loop. */
const LEAVES = ['leaf0', 'leaf1', 'leaf2'];
const SET_NAMES = ['s0', 's1', 's2', 's3'];

/** Sets that samples refer to. */
export const SAMPLE_SETS: readonly NftSet[] = [
  { kind: 'set', name: PLAIN_SET, key: ['ipv4_addr'], interval: false },
  {
    kind: 'set',
    name: DYNAMIC_SET,
    key: ['ipv4_addr'],
    interval: false,
    timeout: 0,
    dynamic: true,
    size: 100,
  },
  { kind: 'set', name: MAP, key: ['ipv4_addr'], value: ['mark'], interval: false },
];

/** The `i`-th value of a type; different `i` never overlap. `style` chooses among single values, prefixes and ranges. */
function valueText(type: NftType, i: number, style: number): string {
  const hex = (n: number, digits: number) => n.toString(16).padStart(digits, '0');
  const forms: Readonly<Record<NftType, readonly string[]>> = {
    ipv4_addr:
      i === 0
        ? ['255.255.255.255', '255.255.0.0/16', '255.0.0.1-255.255.255.255']
        : [`10.${i}.0.1`, `10.${i}.0.0/16`, `10.${i}.0.1-10.${i}.0.9`, `10.${i}.255.255`],
    ipv6_addr:
      i === 0
        ? ['::', '::/64', '::-::5']
        : [`fd00:${i}::1`, `fd00:${i}::/32`, `fd00:${i}::1-fd00:${i}::ffff`, `fd00:${i}:8000::/33`],
    ether_addr: [`02:00:00:01:00:${hex(i, 2)}`, `02:00:00:00:${hex(i, 2)}:01-02:00:00:00:${hex(i, 2)}:0f`],
    inet_proto: [i === 0 ? 'tcp' : i === 1 ? 'udp' : String(i + 200)],
    inet_service: i === 0 ? ['65535', '65530-65535'] : [String(100 * i), `${100 * i}-${100 * i + 99}`],
    mark: [`0x00000${hex(i, 2)}1`, `0x00000${hex(i, 2)}0-0x00000${hex(i, 2)}f`],
    ifname: [`eth${i}`, `v${i}x*`],
    nf_inet_proto: [i === 0 ? 'ipv4' : i === 1 ? 'ipv6' : String(i + 100)],
  };
  return forms[type][style % forms[type].length] ?? '';
}

const comment = fc.option(fc.stringMatching(/^[a-z ./:]{1,40}$/), { nil: undefined });

const set = (name: string): fc.Arbitrary<NftSet> =>
  fc
    .record({
      key: fc.array(fc.constantFrom(...TYPES), { minLength: 1, maxLength: 3 }),
      value: fc.oneof(
        fc.constant(undefined),
        fc.constant('verdict' as const),
        fc.array(fc.constantFrom(...TYPES), { minLength: 1, maxLength: 2 }),
      ),
      interval: fc.boolean(),
      timeout: fc.constantFrom(undefined, undefined, 0, 3_600_000),
      dynamic: fc.constantFrom(false, false, false, true),
      size: fc.constantFrom(undefined, 1000),
      comment,
    })
    .map(({ dynamic, interval, value, timeout, size, comment, key }) => ({
      kind: 'set',
      name,
      key,
      interval: interval && !dynamic,
      ...(value !== undefined && !dynamic && { value }),
      ...(timeout !== undefined && { timeout }),
      ...(dynamic && { dynamic }),
      ...(size !== undefined && { size }),
      ...(comment !== undefined && { comment }),
    }));

const elements = (set: NftSet): fc.Arbitrary<readonly NftElement[]> =>
  set.dynamic
    ? fc.constant([])
    : fc
        .uniqueArray(fc.nat(40), { maxLength: 6 })
        .chain((numbers) => fc.tuple(...numbers.map((n) => element(set, n))));

const element = (set: NftSet, n: number): fc.Arbitrary<NftElement> =>
  fc
    .record({
      styles: fc.array(fc.nat(3), { minLength: 3, maxLength: 3 }),
      value: fc.nat(40),
      verdict: fc.oneof(
        fc.constantFrom<NftVerdict[]>({ verdict: 'accept' }, { verdict: 'drop' }, { verdict: 'return' }),
        fc.constantFrom(...LEAVES).map((chain): NftVerdict => ({ verdict: 'jump', chain })),
        fc.constantFrom(...LEAVES).map((chain): NftVerdict => ({ verdict: 'goto', chain })),
      ),
      comment,
      timeout: fc.constantFrom(undefined, 7_200_000),
    })
    .map(({ styles, value, verdict, comment, timeout }) => ({
      kind: 'element',
      set: set.name,
      key: set.key.map((type, i) => valueText(type, n, set.interval ? (styles[i] ?? 0) : 0)),
      ...(set.value !== undefined && {
        value: set.value === 'verdict' ? verdict : set.value.map((type) => valueText(type, value, 0)),
      }),
      ...(comment !== undefined && { comment }),
      ...(timeout !== undefined && set.timeout !== undefined && { timeout }),
    }));

/** Asks for a key of the set out of constants, so that every type can be asked for. */
function lookup(set: NftSet): readonly NftExpr[] {
  const width =
    set.key.length === 1
      ? NFT_VALUES[set.key[0]!].bytes
      : set.key.reduce((sum, type) => sum + ((NFT_VALUES[type].bytes + 3) & ~3), 0);
  const loads: NftExpr[] = [];
  for (let at = 0; at < width; at += 16)
    loads.push({ expr: 'immediate', dreg: 8 + at / 4, data: '00'.repeat(Math.min(16, width - at)) });
  if (set.dynamic) return [...loads, { expr: 'dynset', set: set.name, op: 'add', sreg: 8 }];
  if (set.value === undefined) return [...loads, { expr: 'lookup', set: set.name, sreg: 8 }];
  return [...loads, { expr: 'lookup', set: set.name, sreg: 8, dreg: set.value === 'verdict' ? 0 : 8 }];
}

/** What any hook allows. */
const SAFE = [
  'payload network',
  'cmp neq',
  'bitwise',
  'counter',
  'limit',
  'log to a group',
  'meta mark',
  'range eq',
];
/** What this kernel may lack, tried by itself elsewhere. */
const DOUBTFUL = /^queue/;
const LOOSE = Object.keys(SAMPLES).filter((name) => !DOUBTFUL.test(name));

const sampled = (names: readonly string[]) => fc.constantFrom(...names).map((name) => SAMPLES[name] ?? []);

const rules = (exprs: fc.Arbitrary<readonly NftExpr[]>): fc.Arbitrary<readonly NftRule[]> =>
  fc.array(
    fc.tuple(fc.array(exprs, { maxLength: 3 }), comment).map(([parts, comment]) => ({
      exprs: parts.flat(),
      ...(comment !== undefined && { comment }),
    })),
    { maxLength: 4 },
  );

const hook: fc.Arbitrary<NftChain['hook']> = fc.oneof(
  fc.record({
    type: fc.constant('filter' as const),
    hook: fc.constantFrom(...(['prerouting', 'input', 'forward', 'output', 'postrouting'] as const)),
    priority: fc.integer({ min: -300, max: 300 }),
    policy: fc.constantFrom(...(['accept', 'drop'] as const)),
  }),
  fc.record({
    type: fc.constant('nat' as const),
    hook: fc.constantFrom(...(['prerouting', 'input', 'output', 'postrouting'] as const)),
    priority: fc.integer({ min: -150, max: 300 }),
    policy: fc.constantFrom(...(['accept', 'drop'] as const)),
  }),
  fc.record({
    type: fc.constant('route' as const),
    hook: fc.constant('output' as const),
    priority: fc.integer({ min: -300, max: 300 }),
    policy: fc.constant('accept' as const),
  }),
  fc.record({
    type: fc.constant('filter' as const),
    hook: fc.constant('ingress' as const),
    device: fc.constant('lo'),
    priority: fc.integer({ min: -300, max: 300 }),
    policy: fc.constant('accept' as const),
  }),
);

const chain = (
  name: string,
  hook: fc.Arbitrary<NftChain['hook']>,
  exprs: fc.Arbitrary<readonly NftExpr[]>,
): fc.Arbitrary<NftChain> =>
  fc.record({ kind: fc.constant('chain' as const), name: fc.constant(name), hook, rules: rules(exprs) });

const jump = fc
  .tuple(fc.constantFrom(...(['jump', 'goto'] as const)), fc.constantFrom(...LEAVES))
  .map(([verdict, chain]): readonly NftExpr[] => [{ expr: 'verdict', verdict: { verdict, chain } }]);

const none: fc.Arbitrary<NftChain['hook']> = fc.constant(undefined);

/** All chains that elements and rules jump to are always there. */
export const state: fc.Arbitrary<State> = fc
  .subarray(SET_NAMES)
  .chain((names) => fc.tuple(...names.map(set)))
  .chain((some) => {
    const plain = some.filter((one) => one.value !== 'verdict').map(lookup);
    const all = some.map(lookup);
    const use = (lookups: readonly (readonly NftExpr[])[], others: fc.Arbitrary<readonly NftExpr[]>) =>
      lookups.length === 0 ? others : fc.oneof(others, fc.constantFrom(...lookups));
    const chains = fc.tuple(
      ...LEAVES.map((name) => chain(name, none, use(plain, sampled(SAFE)))),
      chain('loose', none, use(plain, sampled(LOOSE))),
      fc.option(chain('middle', none, use(all, fc.oneof(sampled(SAFE), jump)))),
      fc.option(chain('base0', hook, use(all, fc.oneof(sampled(SAFE), jump)))),
      fc.option(chain('base1', hook, use(plain, sampled(SAFE)))),
    );
    return fc.tuple(fc.constant(some), fc.tuple(...some.map(elements)), chains);
  })
  .map(([sets, elements, chains]) =>
    rowsByKey([...SAMPLE_SETS, ...sets, ...elements.flat(), ...chains.filter((one) => one !== null)]),
  );

export function rowsByKey(bodies: readonly NftBody[]): State {
  return new Map(bodies.map((body) => [keyOf(body), body]));
}

function keyOf(body: NftBody): string {
  if (body.kind === 'chain') return nftChainKey(body.name);
  return body.kind === 'set' ? nftSetKey(body.name) : nftElementKey(body.set, body.key);
}
