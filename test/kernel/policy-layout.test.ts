/** The layout of policy on the real kernel: real packets of both families, and the walker of the fakes says the same. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { FAMILIES, type Family } from '../../src/model/net/ip.ts';
import type { NftBody } from '../../src/model/rows/nft.ts';
import type { Row } from '../../src/model/rows/row.ts';
import { tableView } from '../../src/targets/fake/packets.ts';
import { NETLINK_NETFILTER } from '../../src/targets/linux/netlink/constants.ts';
import { openNetlink } from '../../src/targets/linux/netlink/socket.ts';
import { nftTarget } from '../../src/targets/linux/nft.ts';
import { ADDRESS, PARTIES, type Party, PolicyNet } from './policy-net.ts';
import { policyTable, walk } from './policy-rows.ts';

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
  const outcomes = await nftTarget(nl).apply(changes);
  for (const [i, outcome] of outcomes.entries())
    assert.ok(outcome.ok, `${rows[i]?.key}: ${'error' in outcome && outcome.error.message}`);
}

const PROBES = [
  ['tcp', 8080],
  ['tcp', 8081],
  ['udp', 8080],
  ['icmp', 0],
] as const;
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
    const real = await everybody((from, to, family, protocol, port) =>
      net.ask(from, ADDRESS[to][family], protocol, port),
    );
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

test('the table reads well, and nft reads it back', async () => {
  await program(policyTable({}));
  const text = list('table', 'inet', 'fairlead').replaceAll(/packets \d+ bytes \d+/g, 'packets 0 bytes 0');
  const golden = join(import.meta.dirname, '../support/policy-table.nft');
  if (process.env.UPDATE_GOLDEN) writeFileSync(golden, text);
  assert.equal(text, readFileSync(golden, 'utf8'), 'UPDATE_GOLDEN=1 rewrites it');
  execFileSync('nft', ['-c', '-f', '-'], { input: text, stdio: ['pipe', 'pipe', 'pipe'] });
});
