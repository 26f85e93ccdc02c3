/** The layout of policy on the real kernel: real packets of both families, and the walker of the fakes says the same. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import type { Verdict } from '../../src/lab/prober/types.ts';
import { AF_INET, AF_INET6, SOCK_DGRAM, SOCK_RAW, sockaddr } from '../../src/lab/sockets/address.ts';
import { FAMILIES, type Family, ipBytes } from '../../src/model/net/ip.ts';
import type { NftBody } from '../../src/model/rows/nft.ts';
import type { Row } from '../../src/model/rows/row.ts';
import { tableView } from '../../src/plan/nft/walk/packets.ts';
import { socketAddon } from '../../src/targets/linux/netlink/addon.ts';
import { NETLINK_NETFILTER } from '../../src/targets/linux/netlink/constants.ts';
import { openNetlink } from '../../src/targets/linux/netlink/socket.ts';
import { nftTarget } from '../../src/targets/linux/nft.ts';
import { until } from '../support/until.ts';
import { ADDRESS, PARTIES, type Party, PolicyNet } from './policy-net.ts';
import { extremeTable, policyTable, walk } from './policy-rows.ts';
import { ip } from './rt-laws.ts';

const IPPROTO_RAW = 255;

const nl = openNetlink(NETLINK_NETFILTER);
const net = await PolicyNet.make();
after(() => {
  net.close();
  nl.close();
});
afterEach(() => nft('flush ruleset'));

const nft = (input: string) => execFileSync('nft', ['-f', '-'], { input, encoding: 'utf8', stdio: 'pipe' });
const list = (...what: string[]) =>
  execFileSync('nft', ['list', ...what], { encoding: 'utf8', stdio: 'pipe' });

async function program(rows: readonly Row[]): Promise<void> {
  const changes = rows.map(({ key, body }) => ({ key, wanted: body as NftBody, found: undefined }));
  const outcomes = await nftTarget(nl, 'inet').apply(changes);
  for (const [i, outcome] of outcomes.entries())
    assert.ok(outcome.ok, `${rows[i]?.key}: ${'error' in outcome && outcome.error.message}`);
}

const PROBES = [
  ['tcp', 8080],
  ['tcp', 8081],
  ['udp', 8080],
  ['icmp', 0],
] as const;
/** Whether the kernel takes what nft makes of `meta l4proto` beside ranges: nft 1.0.6 swaps two bytes of one, which 6.12 refuses. */
const NFT_FITS_KERNEL = fits();
const SILENCE = 400;
const PATIENCE = 5000;
const SIGNS = { allowed: '.', accepted: '.', dropped: 'X', rejected: 'R' } as const;

/** One line a sender and probe, one sign a receiver, in the order of PARTIES: `.` allowed, `X` dropped, `R` rejected. */
async function everybody(ask: (...probe: Probe) => Promise<keyof typeof SIGNS>): Promise<string[]> {
  const lines = PARTIES.flatMap((from) =>
    FAMILIES.flatMap((family) =>
      PROBES.map(async ([protocol, port]) => {
        const signs = PARTIES.map(async (to) =>
          from === to || (from !== 'node' && !inside(from) && !inside(to))
            ? ' '
            : SIGNS[await ask(from, to, family, protocol, port)],
        );
        return `${from} ${family} ${protocol} ${port}: ${(await Promise.all(signs)).join('')}`;
      }),
    ),
  );
  return await Promise.all(lines);
}
type Probe = [from: Party, to: Party, family: Family, protocol: 'tcp' | 'udp' | 'icmp', port: number];
const inside = (party: Party) => ['a', 'b', 'c'].includes(party);

for (const denied of ['drop', 'reject'] as const) {
  test(`everybody to everybody, denied: ${denied}: the kernel and the walker agree`, async () => {
    const rows = policyTable({ denied });
    await program(rows);
    const table = tableView(rows);
    const real = await everybody((from, to, family, protocol, port) => {
      // Silence is waited for a moment, an answer as long as it takes.
      const silent = walk(table, from, to, family, protocol, port).verdict === 'dropped';
      return net.ask(from, ADDRESS[to][family], protocol, port, silent ? SILENCE : PATIENCE);
    });
    const walked = await everybody(async (...probe) => walk(table, ...probe).verdict);
    assert.deepEqual(real, walked);
    const no = denied === 'drop' ? 'X' : 'R';
    // Receivers:                               abc(node)(outside)(remote)
    const expected = EXPECTED.map((line) => line.replaceAll('-', no));
    assert.deepEqual(
      real.filter((line) => line.includes('ipv4')).map((line) => line.replace('ipv4 ', '')),
      expected,
    );
    assert.deepEqual(
      real.filter((line) => line.includes('ipv6')).map((line) => line.replace('ipv6 ', '')),
      expected,
      'both families alike',
    );
  });
}

/** `-` is denied by a NetworkPolicy, `X` by what always drops. Receivers: a, b, c (unknown), node, outside, remote. */
const EXPECTED = [
  // It may speak to web ports and by UDP; TCP to `remote` is passed on to its NetworkPolicy, all else there is denied for good.
  'a tcp 8080:  .----',
  'a tcp 8081:  -----',
  'a udp 8080:  -X..X',
  'a icmp 0:  ----X',
  // No NetworkPolicy on what it sends: what a Baseline policy would deny, audited, passes.
  'b tcp 8080: - X...',
  'b tcp 8081: - X...',
  'b udp 8080: - X..X',
  'b icmp 0: - X..X',
  'c tcp 8080: XX XXX',
  'c tcp 8081: XX XXX',
  'c udp 8080: XX XXX',
  'c icmp 0: XX XXX',
  'node tcp 8080: ... ..',
  'node tcp 8081: ... ..',
  'node udp 8080: ... ..',
  'node icmp 0: ... ..',
  'outside tcp 8080: --X   ',
  'outside tcp 8081: --X   ',
  'outside udp 8080: --X   ',
  'outside icmp 0: --X   ',
  'remote tcp 8080: -.X   ',
  'remote tcp 8081: -.X   ',
  'remote udp 8080: -.X   ',
  'remote icmp 0: --X   ',
];

const both = (verdict: Verdict): Verdict[] => FAMILIES.map(() => verdict);
const inBoth = (ask: (family: Family) => Promise<Verdict>) => Promise.all(FAMILIES.map(ask));

test('errors about an allowed packet pass, whatever the sender may receive', async () => {
  await program(policyTable({}));
  const ask = (timeout: number) =>
    inBoth((family) => net.ask('a', ADDRESS.outside[family], 'udp', 8099, timeout));
  assert.deepEqual(await ask(PATIENCE), both('rejected'), 'the port is closed, and the sender learns it');
  const untold = [...policyTable({})].map(judgingReplies);
  nft('flush ruleset');
  await program(untold);
  assert.deepEqual(await ask(SILENCE), both('dropped'), 'that one rule does it');
});

test('neighbour discovery over the bridge is no traffic that a policy judges', async () => {
  const forget = () => {
    for (const pod of ['a', 'b']) ip('-n', pod, 'neigh', 'flush', 'all');
  };
  const ask = (timeout = PATIENCE) => net.ask('a', ADDRESS.b.ipv6, 'tcp', 8080, timeout);
  await program(policyTable({}));
  forget();
  assert.equal(await ask(), 'allowed');
  nft('flush ruleset');
  await program([...policyTable({})].map((row) => withoutRules(row, /^neighbour discovery/)));
  forget();
  assert.equal(await ask(SILENCE), 'dropped', 'that one rule does it');
  forget();
});

test('traffic to a Service is judged by the pod that gets it', async () => {
  await program(policyTable({}));
  nft(`table inet services {
    chain destinations {
      type nat hook prerouting priority dstnat;
      ip daddr 10.96.0.1 tcp dport 80 dnat ip to ${ADDRESS.b.ipv4}:8080
      ip6 daddr fd00:96::1 tcp dport 80 dnat ip6 to [${ADDRESS.b.ipv6}]:8080
      ip daddr 10.96.0.2 tcp dport 8080 dnat ip to ${ADDRESS.outside.ipv4}:8081
      ip6 daddr fd00:96::2 tcp dport 8080 dnat ip6 to [${ADDRESS.outside.ipv6}]:8081
    }
  }`);
  const service = { ipv4: '10.96.0.1', ipv6: 'fd00:96::1' };
  const other = { ipv4: '10.96.0.2', ipv6: 'fd00:96::2' };
  const ask = (from: Party, to: typeof service, port: number, timeout = PATIENCE) =>
    inBoth((family) => net.ask(from, to[family], 'tcp', port, timeout));
  assert.deepEqual(await ask('a', service, 80), both('allowed'), 'b has the port');
  assert.deepEqual(await ask('remote', service, 80), both('allowed'));
  assert.deepEqual(await ask('outside', service, 80, SILENCE), both('dropped'), 'b does not let it in');
  assert.deepEqual(await ask('a', other, 8080, SILENCE), both('dropped'), 'a may not go there');
  assert.deepEqual(await ask('b', other, 8080), both('allowed'));
});

test('what IPVS sends on from this node is judged, although it never was forwarded', async () => {
  await program(policyTable({}));
  const packet = packetFrom(ADDRESS.outside.ipv4, ADDRESS.a.ipv4);
  const addon = socketAddon();
  const fd = addon.socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  const sent = () => addon.send(fd, packet, 0, packet.length, 0, sockaddr(ADDRESS.a.ipv4, 0));
  assert.throws(sent, { code: 'EPERM' });
  addon.close(fd);
  assert.equal(packets('ingress-of/x/deny-all'), 1);
});

test('a neighbour on the bridge is not reached by other addresses than its own', async () => {
  await program(policyTable({}));
  const { index } = eth0('b');
  const { linkLocal } = eth0('a');
  send('b', AF_INET6, scoped(linkLocal, index));
  await until('link-local', () => packets('policy-unknown-egress') > 0);
  send('b', AF_INET, sockaddr('224.0.0.1', 8080));
  await until('multicast', () => packets('policy-ingress') > 0);
  assert.equal(packets('policy-unknown-ingress'), 0);
});

test('a forged source is no way around a policy', async () => {
  await program(policyTable({}));
  const packet = packetFrom('203.0.113.7', ADDRESS.outside.ipv4);
  const addon = socketAddon();
  const fd = net.namespace('a').inside(() => addon.socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
  addon.send(fd, packet, 0, packet.length, 0, sockaddr(ADDRESS.outside.ipv4, 0));
  addon.close(fd);
  await until('it is dropped', () => packets('policy-unknown-egress') === 1);
});

test('unknown addresses can be left open; known pods stay closed to them', async () => {
  await program(policyTable({ unknownPods: 'open' }));
  const ask = (from: Party, to: Party) =>
    inBoth((family) => net.ask(from, ADDRESS[to][family], 'tcp', 8080, PATIENCE));
  assert.deepEqual(await ask('c', 'outside'), both('allowed'));
  assert.deepEqual(await ask('outside', 'c'), both('allowed'));
  const closed = inBoth((family) => net.ask('c', ADDRESS.b[family], 'tcp', 8080, SILENCE));
  assert.deepEqual(await closed, both('dropped'));
});

test('audit tells and lets pass; a counter says which rule denied', async () => {
  await program(policyTable({}));
  assert.equal(await net.ask('b', ADDRESS.outside.ipv4, 'tcp', 8080, PATIENCE), 'allowed');
  assert.equal(packets('policy-audit-egress/baseline/nosy/0'), 1);
  assert.equal(await net.ask('b', ADDRESS.remote.ipv4, 'icmp', 0, SILENCE), 'dropped');
  assert.equal(packets('policy-denied-egress/admin/no-remote/1'), 1);
});

test('a refused packet is counted once', async () => {
  await program(policyTable({ denied: 'reject' }));
  for (const protocol of ['tcp', 'udp'] as const)
    assert.equal(await net.ask('outside', ADDRESS.a.ipv4, protocol, 8080, PATIENCE), 'rejected');
  assert.equal(packets('policy-denied-ingress'), 2);
});

test('an ended connection stays ended from the other side, and each packet keeps it so', async () => {
  await program(policyTable({}));
  const { b, outside } = ADDRESS;
  nft(`add element inet fairlead ended-v4 { udp . ${b.ipv4} . 8090 . ${outside.ipv4} . 5555 timeout 1m }`);
  send('b', AF_INET, sockaddr(outside.ipv4, 5555), sockaddr(b.ipv4, 8090));
  await until('it is dropped', () => packets('policy-ended') === 1);
  assert.match(list('set', 'inet', 'fairlead', 'ended-v4'), /expires 4m5\d/);
  send('b', AF_INET, sockaddr(outside.ipv4, 5556), sockaddr(b.ipv4, 8090));
  await until('another one passes', () => packets('policy-audit-egress/baseline/nosy/0') === 1);
});

/** Sends one UDP packet. */
function send(from: Party, family: number, to: Buffer, source?: Buffer): void {
  const addon = socketAddon();
  const fd = net.namespace(from).inside(() => addon.socket(family, SOCK_DGRAM, 0));
  if (source) addon.bind(fd, source);
  addon.send(fd, Buffer.from('hello'), 0, 5, 0, to);
  addon.close(fd);
}

/** Index and link-local address of a pod's interface. */
function eth0(pod: Party): { index: number; linkLocal: string } {
  const text = ip('-n', pod, '-6', 'addr', 'show', 'dev', 'eth0');
  const found = /^(\d+):[\s\S]*inet6 (fe80::[^/]+)/.exec(text);
  return { index: Number(found?.[1]), linkLocal: found?.[2] ?? assert.fail(text) };
}

function scoped(address: string, index: number): Buffer {
  const bytes = sockaddr(address, 8080);
  bytes.writeUInt32LE(index, 24);
  return bytes;
}

/** A UDP packet with its IPv4 header, as a raw socket sends it; the kernel fills in the checksum. */
function packetFrom(from: string, to: string): Buffer {
  const packet = Buffer.alloc(28);
  packet.set([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17]);
  packet.set(ipBytes(from), 12);
  packet.set(ipBytes(to), 16);
  packet.writeUInt16BE(40_000, 20);
  packet.writeUInt16BE(8080, 22);
  packet.writeUInt16BE(8, 24);
  return packet;
}

/** What the counters of a chain have counted. */
function packets(chain: string): number {
  const found = [...list('chain', 'inet', 'fairlead', chain).matchAll(/counter packets (\d+)/g)];
  return found.reduce((sum, [, count]) => sum + Number(count), 0);
}

function fits(): boolean {
  try {
    nft(
      'table inet try { chain c { meta l4proto . th dport { tcp . 80-90 } accept; }; }; delete table inet try',
    );
    return true;
  } catch {
    return false;
  }
}

/** Base chains that hand on everything. */
function judgingReplies(row: Row): Row {
  if (row.target !== 'nft' || row.body.kind !== 'chain') return row;
  const rules = row.body.rules.map((rule) =>
    /^all but replies/.test(rule.comment ?? '') ? { ...rule, exprs: rule.exprs.slice(-1) } : rule,
  );
  return { ...row, body: { ...row.body, rules } };
}

function withoutRules(row: Row, comment: RegExp): Row {
  if (row.target !== 'nft' || row.body.kind !== 'chain') return row;
  const rules = row.body.rules.filter((rule) => !comment.test(rule.comment ?? ''));
  return { ...row, body: { ...row.body, rules } };
}

test('whatever the names and ranges: the kernel takes it, says it back as it was wanted, and nft reads it', async () => {
  for (const rows of [policyTable({}), extremeTable()]) {
    await program(rows);
    const target = nftTarget(nl, 'inet');
    const found = await target.observe();
    for (const { key, body } of rows) {
      const there = found.get(key);
      assert.ok(there && target.same(body as NftBody, there), key);
    }
    assert.equal(found.size, new Set(rows.map(({ key }) => key)).size);
    const text = list('table', 'inet', 'fairlead');
    readBack(text);
    nft('flush ruleset');
  }
});

test('the table reads well, and nft reads it back', async () => {
  await program(policyTable({}));
  const text = list('table', 'inet', 'fairlead').replaceAll(/packets \d+ bytes \d+/g, 'packets 0 bytes 0');
  const golden = join(import.meta.dirname, '../support/policy-table.nft');
  if (process.env.UPDATE_GOLDEN) writeFileSync(golden, text);
  assert.equal(text, readFileSync(golden, 'utf8'), 'UPDATE_GOLDEN=1 rewrites it');
  readBack(text);
});

function readBack(text: string): void {
  const check = (input: string) =>
    execFileSync('nft', ['-c', '-f', '-'], { input, stdio: ['pipe', 'pipe', 'pipe'] });
  if (NFT_FITS_KERNEL) check(text);
  else assert.throws(() => check(text), /Operation not supported/);
}
