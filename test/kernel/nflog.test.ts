/** The kernel's log groups: what a rule with `log group` tells, of real packets. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { after, beforeEach, test } from 'node:test';
import { NETLINK_NETFILTER } from '../../src/targets/linux/netlink/constants.ts';
import { followLog, type LoggedPacket } from '../../src/targets/linux/netlink/nflog/log.ts';
import { openNetlink } from '../../src/targets/linux/netlink/socket.ts';
import { until } from '../support/until.ts';

const GROUP = 31;
const nl = openNetlink(NETLINK_NETFILTER);
after(() => nl.close());
const run = (command: string, input?: string) =>
  execFileSync('sh', ['-c', command], { encoding: 'utf8', ...(input === undefined ? {} : { input }) });
const never = () => assert.fail('packets were lost');

run('ip link set lo up; ip addr add 192.0.2.1/32 dev lo; ip addr add 2001:db8::1/128 dev lo nodad');

beforeEach(() => {
  run(
    'nft -f -',
    `flush ruleset
table inet t {
  chain out {
    type filter hook output priority 0;
    meta l4proto { tcp, udp } th dport 4000 log prefix "fairlead deny egress" group ${GROUP} drop
    icmp type destination-unreachable log prefix "fairlead audit egress admin/no-icmp/0" group ${GROUP}
  }
}
`,
  );
});

const send = (to: string, port = 4000) =>
  new Promise<void>((resolve) => {
    const socket = createSocket(to.includes(':') ? 'udp6' : 'udp4');
    socket.send('x'.repeat(900), port, to, () => socket.close(() => resolve()));
  });

test('prefix, addresses, protocol and ports come as they are, of both families', async () => {
  const got: LoggedPacket[] = [];
  const subscription = followLog(nl, GROUP, (packet) => got.push(packet), never);
  try {
    await send('192.0.2.1');
    await send('2001:db8::1');
    const tcp = connect({ host: '2001:db8::1', port: 4000 });
    tcp.on('error', () => undefined);
    // Nobody listens there: the answer is an ICMP error.
    await send('192.0.2.1', 4001);
    const text = ({ prefix, from, to, protocol, destinationPort }: LoggedPacket) =>
      `${prefix}: ${from} ${to} ${protocol} ${destinationPort}`;
    const kinds = () => new Set(got.map(text));
    await until('four kinds of packets are told', () => kinds().size >= 4);
    tcp.destroy();
    assert.deepEqual(
      kinds(),
      new Set([
        'fairlead deny egress: 192.0.2.1 192.0.2.1 17 4000',
        'fairlead deny egress: 2001:db8::1 2001:db8::1 17 4000',
        'fairlead deny egress: 2001:db8::1 2001:db8::1 6 4000',
        'fairlead audit egress admin/no-icmp/0: 192.0.2.1 192.0.2.1 1 undefined',
      ]),
    );
  } finally {
    subscription.close();
  }
});

test('a group has one reader, and is free when that one leaves', async () => {
  const first = followLog(nl, GROUP, () => undefined, never);
  const other = openNetlink(NETLINK_NETFILTER);
  const again = () => followLog(other, GROUP, () => undefined, never);
  assert.throws(again, { code: 'EPERM' });
  first.close();
  again().close();
  other.close();
});

test('a flood loses packets and says so, or tells all', async () => {
  let told = 0;
  let lost = 0;
  const subscription = followLog(
    nl,
    GROUP,
    () => told++,
    () => lost++,
  );
  try {
    const socket = createSocket('udp4').on('error', () => undefined);
    for (let i = 0; i < 2_000; i++) socket.send('x', 4000, '192.0.2.1');
    await until('all are told, or that some are lost', () => told === 2_000 || lost > 0);
    socket.close();
  } finally {
    subscription.close();
  }
});
