/**
 * Frames of pods on a bridge, as they come in on the real kernel: what no policy would see does not pass, nor what is another's. Each test
 * sends the same without the table, or without the port in it, and all of it arrives.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { FAMILIES, type Family, ipBytes } from '../../src/model/net/ip.ts';
import { mac, macBytes } from '../../src/model/net/mac.ts';
import type { NftBody } from '../../src/model/rows/nft.ts';
import { birthRows, portRows, tableRows } from '../../src/plan/frames/rows.ts';
import { NETLINK_NETFILTER } from '../../src/targets/linux/netlink/constants.ts';
import { openNetlink } from '../../src/targets/linux/netlink/socket.ts';
import { nftTarget } from '../../src/targets/linux/nft.ts';
import { type Forged, icmpv6Packet } from '../lab/support/forge.ts';
import { until } from '../support/until.ts';
import { ADDRESS, BRIDGE, type Party, PolicyNet } from './policy-net.ts';
import { ip } from './rt-laws.ts';

const SUPPORT = join(import.meta.dirname, '../lab/support');
const PORT = 9000;
const nl = openNetlink(NETLINK_NETFILTER);
const net = await PolicyNet.make();
const nft = (...words: string[]) => execFileSync('nft', words, { encoding: 'utf8', stdio: 'pipe' });
const listeners: ChildProcess[] = [];
const heard = new Map<Party, string>();
for (const party of ['b', 'node'] as const) await listen(party);
after(() => {
  for (const listener of listeners) listener.kill();
  net.close();
  nl.close();
});
afterEach(() => void nft('flush ruleset'));

async function listen(party: Party): Promise<void> {
  const hear = spawn('ip', ['netns', 'exec', party, process.execPath, join(SUPPORT, 'hear.ts'), `${PORT}`]);
  listeners.push(hear);
  hear.stdout.on('data', (bytes) => heard.set(party, (heard.get(party) ?? '') + bytes));
  await until(`${party} listens`, () => ip('netns', 'exec', party, 'ss', '-lnu').includes(`:${PORT}`));
}

const hasMac = (party: Party): string => {
  const text = party === 'node' ? ip('link', 'show', BRIDGE) : ip('-n', party, 'link', 'show', 'eth0');
  return mac(/ether (\S+)/.exec(text)?.[1] ?? '');
};
const MACS = { a: hasMac('a'), b: hasMac('b'), c: hasMac('c'), node: hasMac('node') } as const;

const TYPE: Readonly<Record<Family, string>> = { ipv4: '0800', ipv6: '86dd' };
const [Q, AD] = ['81000000', '88a80000'];
/** What stands between MAC addresses and packet. */
const WRAPS: Readonly<Record<string, (type: string) => string>> = {
  '802.1Q': (type) => Q + type,
  '802.1ad': (type) => AD + type,
  'two 802.1Q': (type) => Q + Q + type,
  '802.1Q in 802.1ad': (type) => AD + Q + type,
  '802.1ad in 802.1Q': (type) => Q + AD + type,
  'three 802.1Q': (type) => Q + Q + Q + type,
  'with a priority': (type) => `8100a000${type}`,
};
/** These no kernel here unwraps; they are dropped all the same. */
const OTHERS: Readonly<Record<string, (type: string) => string>> = {
  'VLAN 7': (type) => `81000007${type}`,
  'VLAN 7 in VLAN 0': (type) => `${Q}81000007${type}`,
  'LLC and SNAP': (type) => `LLLLaaaa03000000${type}`,
  'LLC and SNAP in 802.1Q': (type) => `${Q}LLLLaaaa03000000${type}`,
  MPLS: () => '884700000140',
  PPPoE: (type) => `886411000001LLLL${type === TYPE.ipv4 ? '0021' : '0057'}`,
};

const plain = (to: 'b' | 'node', family: Family, why: string, changes: Partial<Forged> = {}): Forged => ({
  why,
  from: ADDRESS.a[family],
  to: ADDRESS[to][family],
  port: PORT,
  mac: MACS[to],
  source: MACS.a,
  wire: { head: TYPE[family] },
  ...changes,
});

/** What `to` hears of them: a plain packet behind them is heard last. */
async function hears(to: 'b' | 'node', frames: readonly Forged[]): Promise<string[]> {
  heard.set(to, '');
  const last = FAMILIES.map((family) => plain(to, family, `last ${family}`));
  const program = [process.execPath, join(SUPPORT, 'forge.ts'), JSON.stringify([...frames, ...last])];
  ip('netns', 'exec', 'a', ...program);
  await until('the last are heard', () => last.every(({ why }) => heard.get(to)?.includes(`${why}\n`)));
  const words = heard.get(to)?.trim().split('\n') ?? [];
  return words.filter((word) => !word.startsWith('last ')).sort();
}

const wrapped = (to: 'b' | 'node', wraps: typeof WRAPS): Forged[] =>
  FAMILIES.flatMap((family) =>
    Object.entries(wraps).map(([name, head]) =>
      plain(to, family, `${name} ${family}`, { wire: { head: head(TYPE[family]) } }),
    ),
  );
const names = (frames: readonly Forged[]) => frames.map(({ why }) => why).sort();

const birth = (pod: 'a' | 'b' | 'c') => ({
  pod: `x/${pod}`,
  uid: '',
  containerId: pod,
  ips: FAMILIES.map((family) => ADDRESS[pod][family]),
  attached: { bridge: BRIDGE, port: `veth${pod}`, mac: mac(MACS[pod]) },
});

/** The table with these pods known and these ports besides. */
async function guard(pods: readonly ('a' | 'b' | 'c')[], ports: readonly string[] = []): Promise<void> {
  const rows = [
    ...tableRows(true),
    ...pods.flatMap((pod) => birthRows(birth(pod), true)),
    ...ports.flatMap(portRows),
  ];
  for (const [table, family] of [
    ['nft', 'inet'],
    ['nft-bridge', 'bridge'],
  ] as const) {
    const changes = rows
      .filter(({ target }) => target === table)
      .map(({ key, body }) => ({ key, wanted: body as NftBody, found: undefined }));
    for (const [i, outcome] of (await nftTarget(nl, family).apply(changes)).entries())
      assert.ok(outcome.ok, `${changes[i]?.key}: ${'error' in outcome && outcome.error.message}`);
  }
}

for (const to of ['b', 'node'] as const) {
  test(`what is wrapped reaches ${to} without the table, and not with it; plain packets pass`, async () => {
    const [frames, others] = [wrapped(to, WRAPS), wrapped(to, OTHERS)];
    assert.deepEqual(await hears(to, [...frames, ...others]), names(frames), 'the hole is real');
    await guard([], ['vetha']);
    assert.deepEqual(await hears(to, [...frames, ...others]), []);
    const dropped = Number(
      /counter packets (\d+).*VLAN tags/.exec(nft('list', 'table', 'bridge', 'fairlead'))?.[1],
    );
    assert.equal(dropped, frames.length + others.length, 'every one of them by this rule');
    nft('flush', 'ruleset');
    await guard(['a', 'b']);
    assert.deepEqual(await hears(to, [...frames, ...others]), [], 'also of a pod that is known');
  });
}

test('ports that are not ours are let be', async () => {
  const frames = wrapped('b', WRAPS);
  await guard(['b', 'c'], ['veth9']);
  assert.deepEqual(await hears('b', frames), names(frames));
});

test('frames to the addresses that bridges keep for themselves do not go past them to the node', async () => {
  const frames = FAMILIES.flatMap((family) =>
    ['01:80:c2:00:00:02', '01:80:c2:00:00:0e'].map((to) =>
      plain('node', family, `${to} ${family}`, { mac: to }),
    ),
  );
  assert.deepEqual(await hears('node', frames), names(frames), 'the way is real');
  await guard([], ['vetha']);
  assert.deepEqual(await hears('node', frames), []);
});

test('a pod sends under its own addresses only: not its neighbour’s, not another node’s, not with another’s MAC', async () => {
  const frames = FAMILIES.flatMap((family) => [
    plain('b', family, `as c ${family}`, { from: ADDRESS.c[family] }),
    plain('b', family, `as remote ${family}`, { from: ADDRESS.remote[family] }),
    plain('b', family, `as the node ${family}`, { from: ADDRESS.node[family] }),
    plain('b', family, `with c's MAC ${family}`, { source: MACS.c }),
  ]);
  // Without the table two of these would leave the bridge with wrong ideas of where c is: that is what is told from.
  const all = names(frames);
  await guard([], ['vetha']);
  assert.deepEqual(await hears('b', frames), all, 'a pod that is not known is not bound');
  nft('flush', 'ruleset');
  await guard(['a', 'b', 'c']);
  assert.deepEqual(await hears('b', frames), []);
});

const hex = (...parts: readonly (string | Uint8Array)[]) =>
  parts.map((part) => (typeof part === 'string' ? part : Buffer.from(part).toString('hex'))).join('');
const onWire = (to: string, type: string, packet: string | Uint8Array) => ({
  raw: hex(macBytes(to), macBytes(MACS.a), type, packet),
});
const LINK_LOCAL = 'fe80::a';

/** `c is at a`, to b. */
const SPOOFS = {
  ipv4: onWire(
    MACS.b,
    '0806',
    hex(
      '0001080006040002',
      macBytes(MACS.a),
      ipBytes(ADDRESS.c.ipv4),
      macBytes(MACS.b),
      ipBytes(ADDRESS.b.ipv4),
    ),
  ),
  ipv6: onWire(
    MACS.b,
    '86dd',
    icmpv6Packet(
      LINK_LOCAL,
      ADDRESS.b.ipv6,
      // RFC 4861 section 4.4: solicited, override, target, and its link-layer address.
      Buffer.from(hex('8800000060000000', ipBytes(ADDRESS.c.ipv6), '0201', macBytes(MACS.a)), 'hex'),
    ),
  ),
} as const;
/** `I am a router`, to all: RFC 4861 section 4.2. */
const ROUTER = onWire(
  '33:33:00:00:00:01',
  '86dd',
  icmpv6Packet(LINK_LOCAL, 'ff02::1', Buffer.from('86000000400007080000000000000000', 'hex')),
);

function send(...frames: readonly { readonly raw: string }[]): void {
  const program = [process.execPath, join(SUPPORT, 'forge.ts'), JSON.stringify(frames)];
  ip('netns', 'exec', 'a', ...program);
}

for (const family of FAMILIES) {
  test(`a pod cannot tell its neighbours that it has another's address: ${family}`, async () => {
    const entry = [ADDRESS.c[family], 'dev', 'eth0'];
    const knows = () => ip('-n', 'b', 'neigh', 'show', ...entry);
    const right = () => ip('-n', 'b', 'neigh', 'replace', ...entry, 'lladdr', MACS.c, 'nud', 'stale');
    net.namespace('b').sysctls({ 'net/ipv4/neigh/eth0/locktime': '0' });
    right();
    send(SPOOFS[family]);
    await until('b believes it', () => knows().includes(MACS.a));
    await guard(['a', 'b', 'c']);
    right();
    send(SPOOFS[family]);
    await hears('b', []);
    assert.match(knows(), new RegExp(MACS.c));
  });
}

test('a pod cannot tell its neighbours that it is a router', async () => {
  const routes = () => ip('-n', 'b', '-6', 'route', 'show', 'default', 'proto', 'ra');
  send(ROUTER);
  await until('b believes it', () => routes() !== '');
  ip('-n', 'b', '-6', 'route', 'del', 'default', 'proto', 'ra');
  await guard([], ['vetha']);
  send(ROUTER);
  await hears('b', []);
  assert.equal(routes(), '');
});

test('what pods say to each other, to the node and to others goes on, neighbour discovery included', async () => {
  await guard(['a', 'b', 'c']);
  for (const party of ['a', 'b', 'node'] as const) ip('-n', party, 'neigh', 'flush', 'all');
  for (const [from, to] of [
    ['a', 'b'],
    ['a', 'node'],
    ['node', 'b'],
    ['b', 'outside'],
    ['remote', 'a'],
  ] as const) {
    for (const family of FAMILIES)
      for (const protocol of ['tcp', 'udp', 'icmp'] as const)
        assert.equal(
          await net.ask(from, ADDRESS[to][family], protocol, 8080, 3000),
          'allowed',
          `${from} to ${to}: ${protocol} over ${family}`,
        );
  }
  const table = nft('list', 'table', 'bridge', 'fairlead');
  const dropped = [...table.matchAll(/counter packets (\d+)/g)].map(([, n]) => n);
  assert.deepEqual([...new Set(dropped)], ['0'], table);
});
