/** Our view of connection tracking against the `conntrack` tool's. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, beforeEach, test } from 'node:test';
import {
  deleteFlows,
  type Flow,
  flowMatches,
  listFlows,
} from '../../src/targets/linux/netlink/conntrack/flows.ts';
import { NETLINK_NETFILTER } from '../../src/targets/linux/netlink/constants.ts';
import { openNetlink } from '../../src/targets/linux/netlink/socket.ts';

const nl = openNetlink(NETLINK_NETFILTER);
after(() => nl.close());
const conntrack = (...args: string[]) => execFileSync('conntrack', args, { encoding: 'utf8', stdio: 'pipe' });

/** protocol, source, destination, port, and more arguments of `conntrack -I`. */
const ENTRIES = [
  ['udp', '10.0.0.1', '10.96.0.10', '53', '--dst-nat', '10.1.0.5'],
  ['udp', '10.0.0.2', '10.96.0.10', '53'],
  ['udp', 'fd00::1', 'fd00::10', '53'],
  ['udp', '10.0.0.1', '10.96.0.10', '54', '--zone', '7', '--mark', '9'],
] as const;

beforeEach(() => {
  conntrack('-F');
  for (const [protocol, source, destination, port, ...more] of ENTRIES)
    conntrack(
      ...['-I', '-p', protocol, '-s', source, '-d', destination, '--sport', '1000', '--dport', port],
      ...['-t', '600', ...more],
    );
});

const short = ({ protocol, original, reply, zone, mark }: Flow) =>
  `${protocol} ${original.source}:${original.sourcePort} ${original.destination}:${original.destinationPort} ${reply.source} zone ${zone} mark ${mark}`;

/** What the tool says, in our words. */
function theirs(): string[] {
  const lines = [conntrack('-L', '-f', 'ipv4'), conntrack('-L', '-f', 'ipv6')]
    .join('')
    .split('\n')
    .filter(Boolean);
  return lines
    .map((line) => {
      const all = (name: string) => [...line.matchAll(new RegExp(`\\b${name}=(\\S+)`, 'g'))].map((m) => m[1]);
      const [src, replySrc] = all('src');
      const number = /^\S+\s+(\d+)/.exec(line)?.[1];
      return `${number} ${src}:${all('sport')[0]} ${all('dst')[0]}:${all('dport')[0]} ${replySrc} zone ${all('zone')[0] ?? 0} mark ${all('mark')[0]}`;
    })
    .sort();
}
const ours = async () => (await listFlows(nl)).map(short).sort();

test('entries are listed as conntrack lists them', async () => {
  assert.deepEqual(await ours(), theirs());
  assert.equal((await ours()).length, ENTRIES.length);
});

test('entries are deleted by address, port, zone, who serves', async () => {
  const remove = async (filter: Parameters<typeof flowMatches>[0]) => {
    const flows = (await listFlows(nl)).filter((flow) => flowMatches(filter, flow));
    for (const outcome of await deleteFlows(nl, flows)) assert.ok(outcome.ok);
    assert.deepEqual(await ours(), theirs());
    return flows.length;
  };
  assert.equal(await remove({ protocol: 6 }), 0);
  assert.equal(await remove({ zone: 7 }), 1);
  assert.equal(await remove({ protocol: 17, replySource: '10.1.0.5' }), 1);
  assert.equal(await remove({ source: 'fd00::1' }), 1);
  assert.equal(await remove({ destination: '10.96.0.10', destinationPort: 53 }), 1);
  assert.deepEqual(theirs(), []);
});
