/** What fails is made up for, in the right order; and a full table costs what it must and not more. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, beforeEach, test } from 'node:test';
import { systemClock } from '../../src/agent/clock.ts';
import { Deadline } from '../../src/lab/deadline.ts';
import { type Ip, ip } from '../../src/model/net/ip.ts';
import { ENDED_SETS } from '../../src/model/rows/ended.ts';
import { nftSetKey } from '../../src/model/rows/nft.ts';
import { Reconciler } from '../../src/reconcile/reconciler.ts';
import { conntrackTarget, type FlowJudge } from '../../src/targets/linux/conntrack.ts';
import { listEnded, putEnded, removeEnded } from '../../src/targets/linux/ended.ts';
import {
  ip as address,
  attributes,
  be16,
  be32,
  encode,
  nested,
  u8,
} from '../../src/targets/linux/netlink/attributes.ts';
import { countFlows, listFlows } from '../../src/targets/linux/netlink/conntrack/flows.ts';
import { listFlowsTouching } from '../../src/targets/linux/netlink/conntrack/touching.ts';
import { NETLINK_NETFILTER } from '../../src/targets/linux/netlink/constants.ts';
import { openNetlink } from '../../src/targets/linux/netlink/socket.ts';
import { NetlinkError, type NetlinkTransport } from '../../src/targets/linux/netlink/transport.ts';
import { nftTarget } from '../../src/targets/linux/nft.ts';
import type { Touch } from '../../src/targets/linux/touched.ts';
import { seeded } from '../support/fake-clock.ts';

const real = openNetlink(NETLINK_NETFILTER, { dumpsAside: true });
after(() => real.close());
const run = (command: string, ...args: string[]) =>
  execFileSync(command, args, { encoding: 'utf8', stdio: 'pipe' });

const POD = ip('10.244.1.5');
const POD6 = ip('fd00:244:1::5');

/** CTA_… of a new entry, as much of it as an entry needs. */
const TUPLE = attributes({
  addresses: [
    1,
    nested(attributes({ from4: [1, address], to4: [2, address], from6: [3, address], to6: [4, address] })),
  ],
  protocol: [2, nested(attributes({ number: [1, u8], from: [2, be16], to: [3, be16] }))],
});
const ENTRY = attributes({
  original: [1, nested(TUPLE)],
  reply: [2, nested(TUPLE)],
  status: [3, be32],
  timeout: [7, be32],
});
const CTNETLINK_NEW = 0x0100;
const REQUEST_CREATE = 0x401;
const CONFIRMED_SEEN_REPLY = 0xe;
const UDP = 17;

function entry(from: string, to: string, port: number): Buffer {
  const v6 = from.includes(':');
  const tuple = (a: string, b: string, x: number, y: number) => ({
    addresses: v6 ? { from6: a, to6: b } : { from4: a, to4: b },
    protocol: { number: UDP, from: x, to: y },
  });
  const head = (out: { u8(n: number): void; be16(n: number): void }) => {
    out.u8(v6 ? 10 : 2);
    out.u8(0);
    out.be16(0);
  };
  return encode(CTNETLINK_NEW, REQUEST_CREATE, head, ENTRY, {
    original: tuple(from, to, 4000, port),
    reply: tuple(to, from, port, 4000),
    status: CONFIRMED_SEEN_REPLY,
    timeout: 600,
  });
}
async function insert(...entries: readonly Buffer[]): Promise<void> {
  for (const outcome of await real.transact(entries)) assert.ok(outcome.ok, String(outcome));
}

/** The sets as the planner's rows make them. */
async function makeSets(): Promise<void> {
  const rows = ENDED_SETS.map((set) => ({ key: nftSetKey(set.name), wanted: set, found: undefined }));
  const target = nftTarget(real, 'inet');
  await target.observe();
  for (const outcome of await target.apply(rows)) assert.ok(outcome.ok, String(outcome));
}

beforeEach(async () => {
  run('conntrack', '-F');
  run('nft', 'flush ruleset');
  await makeSets();
});

const deniesPort80: FlowJudge = {
  ready: true,
  pods: () => [POD, POD6],
  isGone: () => false,
  denies: ({ port }) => (port === 80 ? { why: 'denied', silence: true } : undefined),
};

/** Runs the target in a reconciler until everything denied is gone. */
async function endAll(nl: NetlinkTransport, judge = deniesPort80): Promise<string[]> {
  const told: string[] = [];
  const reconciler = new Reconciler({
    targets: [conntrackTarget({ nl, clock: systemClock, judge })],
    clock: systemClock,
    random: seeded(1),
    hooks: {
      decided: (_, rows) => told.push(...rows.map(({ error }) => error ?? 'done')),
      torn: (_, error) => told.push(`torn: ${error}`),
    },
  });
  reconciler.gate(() => undefined);
  reconciler.step();
  const deadline = new Deadline(60_000);
  try {
    while (told.filter((word) => word === 'done').length < 2) {
      assert.ok(!deadline.passed, told.join('\n'));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  } finally {
    reconciler.close();
  }
  return told;
}

/** Which netlink subsystem a message is for. */
const CTNETLINK = 1;
const NFTABLES = 10;
const subsystemOf = (messages: readonly Uint8Array[]): number | undefined => messages.at(-2)?.[5];

const broken = (n: number, subsystem: number, how: 'refused' | 'thrown'): NetlinkTransport => {
  let left = n;
  return {
    port: real.port,
    dump: (message, read) => real.dump(message, read),
    request: (message, read) => real.request(message, read),
    subscribe: (...args) => real.subscribe(...args),
    close() {},
    async transact(messages, options) {
      const which = messages.length > 1 ? subsystemOf(messages) : messages[0]?.[5];
      if (which !== subsystem || left-- <= 0) return real.transact(messages, options);
      if (how === 'thrown') throw new Error('the answer was lost');
      return messages.map(() => ({ ok: false, error: new NetlinkError(105, '') }));
    },
  };
};

for (const [what, subsystem] of [
  ['noting its server', NFTABLES],
  ['deleting it', CTNETLINK],
] as const)
  for (const how of ['refused', 'thrown'] as const)
    test(`a denied connection goes although ${what} is ${how} at first`, async () => {
      await insert(entry('10.0.0.9', POD, 80), entry('fd00::9', POD6, 80), entry('10.0.0.9', POD, 81));
      const told = await endAll(broken(2, subsystem, how));
      assert.ok(told.length > 2, told.join());
      assert.deepEqual(
        (await listFlows(real)).map(({ reply }) => reply.sourcePort),
        [81],
      );
      assert.equal((await listEnded(real)).length, 2);
    });

test('as long as its server cannot be noted, a connection is not deleted', async () => {
  await insert(entry('10.0.0.9', POD, 80));
  run('nft', 'delete set inet fairlead ended-v4');
  const target = conntrackTarget({ nl: real, clock: systemClock, judge: deniesPort80 });
  const found = await target.observe();
  const changes = [...found].map(([key, body]) => ({ key, wanted: undefined, found: body }));
  const [outcome] = await target.apply(changes);
  assert.equal(outcome?.ok, false);
  assert.equal((await listFlows(real)).length, 1);
  assert.deepEqual([...(await target.observe()).keys()], [...found.keys()], 'and it is not forgotten');
});

test('a set that is full keeps no connection alive', async () => {
  run('nft', 'delete set inet fairlead ended-v4');
  run(
    'nft',
    'add set inet fairlead ended-v4 { type inet_proto . ipv4_addr . inet_service . ipv4_addr . inet_service; flags dynamic,timeout; timeout 5m; size 1; }',
  );
  await insert(entry('10.0.0.9', POD, 80), entry('10.0.0.10', POD, 80));
  await endAll(real);
  assert.deepEqual(await listFlows(real), []);
});

test('what policies allow again between the look and the deed stays', async () => {
  await insert(entry('10.0.0.9', POD, 80));
  let denied = true;
  const judge: FlowJudge = {
    ...deniesPort80,
    denies: () => (denied ? { why: '', silence: true } : undefined),
  };
  const target = conntrackTarget({ nl: real, clock: systemClock, judge });
  const found = await target.observe();
  denied = false;
  const changes = [...found].map(([key, body]) => ({ key, wanted: undefined, found: body }));
  assert.deepEqual(await target.apply(changes), [{ ok: true }]);
  assert.equal((await listFlows(real)).length, 1);
  assert.deepEqual(await listEnded(real), []);
});

test('notes are written, read and removed as nft shows them', async () => {
  const flows = ['10.0.0.1', 'fd00::1'].map((source) => ({
    protocol: 6,
    source: source as Ip,
    sourcePort: 443,
    destination: (source === '10.0.0.1' ? '10.0.0.2' : 'fd00::2') as Ip,
    destinationPort: 50_000,
  }));
  for (const outcome of await putEnded(real, flows)) assert.ok(outcome.ok);
  for (const outcome of await putEnded(real, flows)) assert.ok(outcome.ok, 'twice is once');
  assert.match(
    run('nft', 'list set inet fairlead ended-v4'),
    /tcp \. 10\.0\.0\.1 \. 443 \. 10\.0\.0\.2 \. 50000 expires/,
  );
  assert.match(
    run('nft', 'list set inet fairlead ended-v6'),
    /tcp \. fd00::1 \. 443 \. fd00::2 \. 50000 expires/,
  );
  assert.deepEqual(await listEnded(real), flows);
  for (const outcome of await removeEnded(real, flows)) assert.ok(outcome.ok);
  for (const outcome of await removeEnded(real, flows)) assert.ok(outcome.ok, 'gone already is as wanted');
  assert.deepEqual(await listEnded(real), []);
});

test('entries of an address are found in each place and family, by the kernel and by looking through all', async () => {
  await insert(entry('10.0.0.9', POD, 80), entry(POD, '10.0.0.9', 53), entry('10.0.0.8', '10.0.0.9', 1));
  await insert(entry('fd00::9', POD6, 80), entry(POD6, 'fd00::9', 53), entry('fd00::8', 'fd00::9', 1));
  const many = Array.from({ length: 20 }, (_, i) => ip(`192.0.2.${i}`));
  const none = new Set<Ip>();
  for (const [ends, anywhere] of [
    [new Set([POD, POD6]), none],
    [none, new Set([POD, POD6])],
    [new Set([POD, POD6, ...many]), none],
    [none, new Set([POD, POD6, ...many])],
  ] as const) {
    const ports = (await listFlowsTouching(real, ends, anywhere)).map(({ reply }) => reply.sourcePort);
    assert.deepEqual(ports.sort(), [53, 53, 80, 80]);
  }
});

test('100,000 connections of others: few addresses cost little, and no look holds up the loop', async () => {
  const crowd: Buffer[] = [];
  for (let i = 0; i < 100_000; i++)
    crowd.push(entry(`10.${10 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`, '10.244.9.9', 81));
  await insert(...crowd);
  await insert(entry('10.0.0.9', POD, 80), entry('fd00::9', POD6, 80));
  assert.equal(await countFlows(real), 100_002);
  for (const [few, some] of [
    [new Set([POD]), new Set<Ip>()],
    [new Set<Ip>(), new Set([POD])],
  ] as const)
    assert.equal((await listFlowsTouching(real, few, some)).length, 1, 'picked by the kernel');
  const target = conntrackTarget({ nl: real, clock: systemClock, judge: deniesPort80 });
  await target.observe();
  const look = (touch: Touch) =>
    measured(async () => {
      target.touch(touch);
      assert.equal((await target.observe()).size, 2);
    });
  const few = await look(new Set([POD]));
  const pods = await look('pods');
  const many = new Set(Array.from({ length: 50 }, (_, i) => ip(`192.0.2.${i}`)));
  const through = await measured(async () => {
    assert.equal((await listFlowsTouching(real, many, new Set())).length, 0);
  });
  const words = JSON.stringify({ few, pods, through });
  // A fifth to a twentieth of what looking through all of them takes.
  assert.ok(few.took < through.took / 2 && pods.took < through.took / 2, words);
  assert.ok(
    [few, pods, through].every(({ longest }) => longest < 500_000),
    words,
  );
});

/**
 * Microseconds of processor time of this thread, in all and between two turns of its loop. Not by the clock: where others need the processor, or there is
 * one only and the kernel walks its table on it, the loop stands still without any fault of ours.
 */
async function measured(work: () => Promise<void>): Promise<{ took: number; longest: number }> {
  const spent = () => {
    const { user, system } = process.threadCpuUsage();
    return user + system;
  };
  const began = spent();
  let [longest, last] = [0, began];
  const look = () => {
    const now = spent();
    [longest, last] = [Math.max(longest, now - last), now];
  };
  const tick = setInterval(look, 1);
  await work();
  look();
  clearInterval(tick);
  return { took: last - began, longest };
}

test('20,000 connections end together, and the loop goes on', async () => {
  const crowd: Buffer[] = [];
  for (let i = 0; i < 20_000; i++) crowd.push(entry(`10.10.${i >> 8}.${i & 255}`, POD, 80));
  await insert(...crowd);
  const target = conntrackTarget({ nl: real, clock: systemClock, judge: deniesPort80 });
  const found = await target.observe();
  assert.equal(found.size, 20_000);
  const changes = [...found].map(([key, body]) => ({ key, wanted: undefined, found: body }));
  const { longest } = await measured(async () => {
    const outcomes = await target.apply(changes);
    assert.ok(outcomes.every(({ ok }) => ok));
  });
  assert.equal(await countFlows(real), 0);
  assert.equal((await listEnded(real)).length, 20_000);
  assert.ok(longest < 500_000, `the loop stood still for ${longest} µs`);
});

test('what is spared goes on, and what was ended before does not begin anew', async () => {
  await insert(entry('10.0.0.9', POD, 80));
  const ended = [
    { protocol: 17, source: POD, sourcePort: 80, destination: ip('10.0.0.7'), destinationPort: 4000 },
  ];
  await putEnded(real, ended);
  const judge: FlowJudge = {
    ...deniesPort80,
    denies: () => ({ why: 'denied', silence: true, spared: true }),
  };
  const target = conntrackTarget({ nl: real, clock: systemClock, judge });
  assert.equal((await target.observe()).size, 0);
  assert.deepEqual(await listEnded(real), ended);
});
