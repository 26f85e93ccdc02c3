/** The nft target where something goes wrong, and what it notices. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, afterEach, test } from 'node:test';
import type { NftBody, NftChain, NftElement, NftExpr, NftSet } from '../../src/model/rows/nft.ts';
import type { Change, Outcome } from '../../src/reconcile/target.ts';
import { NETLINK_NETFILTER } from '../../src/targets/linux/netlink/constants.ts';
import { readTable } from '../../src/targets/linux/netlink/nftables/readback.ts';
import { openNetlink } from '../../src/targets/linux/netlink/socket.ts';
import type { NetlinkTransport } from '../../src/targets/linux/netlink/transport.ts';
import { nftTarget } from '../../src/targets/linux/nft.ts';
import { until } from '../support/until.ts';
import { rowsByKey } from './nft-states.ts';

const nl = openNetlink(NETLINK_NETFILTER);
after(() => nl.close());
const feed = (input: string) => execFileSync('nft', ['-f', '-'], { input, encoding: 'utf8', stdio: 'pipe' });
const list = () =>
  execFileSync('nft', ['-a', 'list', 'table', 'inet', 'fairlead'], { encoding: 'utf8', stdio: 'pipe' });
afterEach(() => feed('flush ruleset'));

const accept: NftExpr = { expr: 'verdict', verdict: { verdict: 'accept' } };
const source: NftExpr = { expr: 'payload', base: 'network', offset: 12, length: 4, dreg: 8 };
const chain = (name: string, exprs: readonly NftExpr[] = [accept]): NftChain => ({
  kind: 'chain',
  name,
  hook: undefined,
  rules: [{ exprs }],
});
const set = (name: string, more: Partial<NftSet> = {}): NftSet => ({
  kind: 'set',
  name,
  key: ['ipv4_addr'],
  interval: false,
  ...more,
});
const element = (set: string, key: string, more: Partial<NftElement> = {}): NftElement => ({
  kind: 'element',
  set,
  key: [key],
  ...more,
});
const creations = (...bodies: NftBody[]): Change<NftBody>[] =>
  [...rowsByKey(bodies)].map(([key, wanted]) => ({ key, wanted, found: undefined }));
const words = (outcomes: readonly Outcome[]) => outcomes.map((o) => (o.ok ? 'ok' : o.error.message));

test('a refused row says why; what refers to it fails too; all others are done', async () => {
  const outcomes = await nftTarget(nl, 'inet').apply(
    creations(
      chain('good'),
      chain('bad', [source, { expr: 'lookup', set: 'nowhere', sreg: 8 }]),
      set('map', { value: 'verdict' }),
      element('map', '10.0.0.1', { value: { verdict: 'jump', chain: 'good' } }),
      element('map', '10.0.0.2', { value: { verdict: 'jump', chain: 'bad' } }),
      element('map', '10.0.0.03', { value: { verdict: 'accept' } }),
      element('missing', '10.0.0.1'),
    ),
  );
  assert.deepEqual(words(outcomes), [
    'ok',
    'rule 1: no such file or directory (ENOENT)',
    'ok',
    'ok',
    'no such file or directory (ENOENT)',
    '"10.0.0.03" is not an IP address',
    'element 10.0.0.1: there is no set missing',
  ]);
  assert.deepEqual([...(await nftTarget(nl, 'inet').observe()).keys()].sort(), [
    'chain good',
    'element map 10.0.0.1',
    'set map',
  ]);
});

test('of many elements in one message exactly the overlapping one is named', async () => {
  const many = Array.from({ length: 300 }, (_, i) => element('ranges', `10.${i >> 8}.${i & 255}.0/24`));
  const outcomes = await nftTarget(nl, 'inet').apply(
    creations(set('ranges', { interval: true }), ...many, element('ranges', '10.0.7.1')),
  );
  const failed = outcomes.flatMap((outcome, i) => (outcome.ok ? [] : [`${i} ${outcome.error.message}`]));
  assert.deepEqual(failed, ['301 it overlaps another element: file already exists (EEXIST)']);
  assert.equal((await nftTarget(nl, 'inet').observe()).size, 301);
});

test('a chain that cannot be changed keeps its rules', async () => {
  const target = nftTarget(nl, 'inet');
  await target.apply(creations(chain('c')));
  const before = list();
  const found = (await target.observe()).get('chain c');
  const bad = chain('c', [source, { expr: 'lookup', set: 'nowhere', sreg: 8 }]);
  const [outcome] = await target.apply([{ key: 'chain c', wanted: bad, found }]);
  assert.equal(outcome?.ok, false);
  assert.equal(list(), before);
});

test('a policy changes in place, a hook by making the chain again', async () => {
  const target = nftTarget(nl, 'inet');
  const base = (priority: number, policy: 'accept' | 'drop'): NftChain => ({
    ...chain('b'),
    hook: { type: 'filter', hook: 'forward', priority, policy },
  });
  const step = async (wanted: NftChain) => {
    const found = (await target.observe()).get('chain b');
    assert.deepEqual(words(await target.apply([{ key: 'chain b', wanted, found }])), ['ok']);
    assert.ok(target.same(wanted, (await target.observe()).get('chain b') ?? chain('none')));
    return /chain b \{ # handle (\d+)/.exec(list())?.[1];
  };
  const first = await step(base(0, 'accept'));
  assert.equal(await step(base(0, 'drop')), first);
  assert.notEqual(await step(base(1, 'drop')), first);
});

test('a set gets another type under chains that refer to it; what still fits stays', async () => {
  const target = nftTarget(nl, 'inet');
  const user = chain('user', [source, { expr: 'lookup', set: 's', sreg: 8 }, accept]);
  await target.apply(creations(set('s'), element('s', '10.0.0.1'), user));
  const found = (await target.observe()).get('set s');
  const wanted = set('s', { interval: true, comment: 'ranges now' });
  assert.deepEqual(words(await target.apply([{ key: 'set s', wanted, found }])), ['ok']);
  const rows = await target.observe();
  assert.deepEqual([...rows.keys()].sort(), ['chain user', 'element s 10.0.0.1', 'set s']);
  assert.ok(target.same(user, rows.get('chain user') ?? chain('none')));
  assert.ok(target.same(wanted, rows.get('set s') ?? set('none')));
});

test('what is gone already counts as removed', async () => {
  const target = nftTarget(nl, 'inet');
  await target.apply(creations(set('s'), element('s', '10.0.0.1'), element('s', '10.0.0.2'), chain('c')));
  const found = await target.observe();
  feed('delete element inet fairlead s { 10.0.0.1 }; delete chain inet fairlead c');
  const removals = ['element s 10.0.0.1', 'element s 10.0.0.2', 'chain c'].map((key) => ({
    key,
    wanted: undefined,
    found: found.get(key),
  }));
  assert.deepEqual(words(await target.apply(removals)), ['ok', 'ok', 'ok']);
  assert.deepEqual([...(await target.observe()).keys()], ['set s']);
});

test('the table comes with the first row and goes with the last', async () => {
  const target = nftTarget(nl, 'inet');
  assert.equal((await target.observe()).size, 0);
  assert.throws(list);
  await target.apply(creations(chain('c'), set('s'), element('s', '10.0.0.1')));
  assert.match(list(), /comment "written by fairlead/);
  const found = await target.observe();
  await target.apply([...found].map(([key, body]) => ({ key, wanted: undefined, found: body })));
  assert.throws(list);
});

test('a hundred thousand elements are one transaction', async () => {
  const target = nftTarget(nl, 'inet');
  const many = Array.from({ length: 100_000 }, (_, i) =>
    element('s', `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`),
  );
  const outcomes = await target.apply(creations(set('s'), ...many));
  assert.equal(outcomes.filter((outcome) => !outcome.ok).length, 0);
  assert.equal((await target.observe()).size, 100_001);
});

test('others’ changes are drift, ours are not, foreign tables are nobody’s business', async () => {
  const target = nftTarget(nl, 'inet');
  const seen: string[] = [];
  const watch = target.watch?.((keys) => {
    seen.push(typeof keys === 'string' ? keys : [...keys].join(', '));
  });
  try {
    await target.apply(
      creations(
        chain('c'),
        set('s', { key: ['ipv4_addr', 'inet_service'] }),
        set('ranges', { interval: true }),
        set('seen', { dynamic: true }),
      ),
    );
    await target.observe();
    feed('table ip fairlead { chain c { drop; }\n }');
    feed('add rule inet fairlead c drop; add element inet fairlead s { 10.0.0.1 . 80 }');
    await until('1 notifications', () => seen.length >= 1);
    feed('add set inet fairlead strange { type uid; }');
    await until('2 notifications', () => seen.length >= 2);
    feed('add element inet fairlead ranges { 10.0.0.0/8 }');
    await until('3 notifications', () => seen.length >= 3);
    feed('delete table inet fairlead');
    await until('4 notifications', () => seen.length >= 4);
  } finally {
    watch?.close();
  }
  assert.deepEqual(seen, ['chain c, element s 10.0.0.1 . 80', 'set strange', 'unknown', 'unknown']);
});

test('two tables of one name in two families are not taken for each other', async () => {
  const [packets, frames] = [nftTarget(nl, 'inet'), nftTarget(nl, 'bridge')];
  const seen: string[] = [];
  const hear = (name: string) => (keys: Iterable<string> | 'unknown') =>
    void seen.push(`${name}: ${typeof keys === 'string' ? keys : [...keys].join(', ')}`);
  const watches = [packets.watch?.(hear('packets')), frames.watch?.(hear('frames'))];
  const hook = { type: 'filter', hook: 'prerouting', priority: -200, policy: 'accept' } as const;
  try {
    const ports = set('ports', { key: ['ifname', 'ipv4_addr'] });
    const inside = { ...chain('c'), hook };
    const done = await frames.apply(
      creations(inside, ports, element('ports', '', { key: ['veth0', '10.0.0.1'] })),
    );
    assert.deepEqual(words(done), ['ok', 'ok', 'ok']);
    await packets.apply(creations(chain('c'), set('ports')));
    assert.deepEqual([...(await frames.observe()).keys()].sort(), [
      'chain c',
      'element ports veth0 . 10.0.0.1',
      'set ports',
    ]);
    assert.deepEqual([...(await packets.observe()).keys()].sort(), ['chain c', 'set ports']);
    feed('add element bridge fairlead ports { "veth1" . 10.0.0.2 }');
    await until('1 notification', () => seen.length >= 1);
    feed('add rule inet fairlead c drop');
    await until('2 notifications', () => seen.length >= 2);
    feed('delete table bridge fairlead');
    await until('3 notifications', () => seen.length >= 3);
    assert.deepEqual(seen, ['frames: element ports veth1 . 10.0.0.2', 'packets: chain c', 'frames: unknown']);
    assert.equal((await frames.observe()).size, 0);
    assert.equal((await packets.observe()).size, 2);
  } finally {
    for (const watch of watches) watch?.close();
  }
});

test('lost notifications make everything unknown', () => {
  let lose = () => {};
  const deaf: NetlinkTransport = Object.assign(Object.create(nl), {
    port: nl.port,
    subscribe(_groups: readonly number[], _onMessage: unknown, onLost: () => void) {
      lose = onLost;
      return { poll() {}, close() {} };
    },
  });
  const seen: unknown[] = [];
  nftTarget(deaf, 'inet').watch?.((keys) => seen.push(keys));
  lose();
  assert.deepEqual(seen, ['unknown']);
});

test('a change while the table is read makes it be read again', async () => {
  await nftTarget(nl, 'inet').apply(creations(chain('c'), set('s')));
  let dumps = 0;
  const slow: NetlinkTransport = {
    port: nl.port,
    transact: (...args) => nl.transact(...args),
    request: (...args) => nl.request(...args),
    async dump(...args) {
      const result = await nl.dump(...args);
      if (++dumps === 1) feed('add element inet fairlead s { 10.0.0.1 }; add rule inet fairlead c drop');
      return result;
    },
    subscribe: (...args) => nl.subscribe(...args),
    close() {},
  };
  const snapshot = await readTable(slow, 'inet');
  assert.equal(dumps, 8, 'two times rules, chains, sets, elements');
  assert.equal(snapshot.chains.get('c')?.rules.length, 2);
  assert.equal(snapshot.elements.get('s')?.length, 1);
});

test('a table that somebody puts to sleep is not as it is wanted, and wakes', async () => {
  const hook = { type: 'filter', hook: 'forward', priority: 0, policy: 'accept' } as const;
  const rows = creations({ ...chain('guard'), hook }, chain('inner'));
  const target = nftTarget(nl, 'inet');
  assert.deepEqual(words(await target.apply(rows)), ['ok', 'ok']);
  const told: unknown[] = [];
  const watch = target.watch?.((keys) => told.push(keys));
  feed('add table inet fairlead { flags dormant; }');
  await until('it is noticed', () => told.length > 0);
  watch?.close();
  const found = await target.observe();
  const changes = rows
    .map(({ key, wanted }) => ({ key, wanted, found: found.get(key) }))
    .filter(({ wanted, found }) => !wanted || !found || !target.same(wanted, found));
  assert.deepEqual(
    changes.map(({ key }) => key),
    ['chain guard'],
  );
  assert.deepEqual(words(await target.apply(changes)), ['ok']);
  assert.doesNotMatch(list(), /dormant/);
  assert.deepEqual((await target.observe()).get('chain guard'), { ...chain('guard'), hook });
});
