/** When connection tracking is looked at, and that nothing touched is lost. What is found and done is in test/kernel/conntrack-*.test.ts. */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { FakeClock, seeded, settle } from '../../../test/support/fake-clock.ts';
import { type Ip, ip, ipBytes } from '../../model/net/ip.ts';
import { Reconciler } from '../../reconcile/reconciler.ts';
import { type ConntrackTarget, conntrackTarget } from './conntrack.ts';
import type { NetlinkTransport } from './netlink/transport.ts';

const A = ip('10.244.1.5');
const B = ip('10.244.1.6');

let clock: FakeClock;
let ready: boolean;
/** Milliseconds that a dump takes, and how many of the next ones fail. */
let slow: number;
let failing: number;
/** When connection tracking was asked, and what about. */
let asked: { at: number; about: string }[];
let target: ConntrackTarget;
let reconciler: Reconciler;

const CTNETLINK_DUMP = 0x0101;

/** A kernel without connections that notes what it is asked. */
const kernel: NetlinkTransport = {
  port: 0,
  async dump(message) {
    const bytes = Buffer.from(message);
    if (bytes.readUInt16LE(4) !== CTNETLINK_DUMP) return [];
    const about = [A, B].filter((address) => bytes.includes(Buffer.from(ipBytes(address))));
    asked.push({ at: clock.monotonic(), about: about.join() || 'all' });
    if (slow > 0) await new Promise<void>((resolve) => clock.after(slow, resolve));
    if (failing-- > 0) throw new Error('no buffer space');
    return [];
  },
  transact: async (messages) => messages.map(() => ({ ok: true })),
  // So many connections that filtered dumps are worth it.
  request: async <T>() => [1_000_000 as T],
  subscribe: () => assert.fail('nothing to subscribe to'),
  close() {},
};

beforeEach(async () => {
  clock = new FakeClock();
  [ready, slow, failing, asked] = [true, 0, 0, []];
  const judge = {
    get ready() {
      return ready;
    },
    pods: () => [A],
    isGone: () => false,
    denies: () => undefined,
  };
  target = conntrackTarget({ nl: kernel, clock, judge });
});

async function start(): Promise<void> {
  const targets = [target];
  reconciler = new Reconciler({ targets, clock, random: seeded(1) });
  reconciler.gate(() => undefined);
  reconciler.step();
  await turns();
}
async function turns(): Promise<void> {
  for (let i = 0; i < 20; i++) await settle();
}
async function pass(ms: number): Promise<void> {
  for (let i = 0; i < ms; i += 10) {
    await clock.advance(10);
    await turns();
  }
}
const touch = (...addresses: Ip[]) => target.touch(new Set(addresses));
/** When it was asked and what about, each look once, and forget it. */
const looks = () => [...new Set(asked.splice(0).map(({ at, about }) => `${at} ${about}`))];

test('at start everything is looked at, once the judge knows enough', async () => {
  ready = false;
  await start();
  await pass(1_000);
  assert.deepEqual(looks(), []);
  ready = true;
  touch(A);
  await turns();
  assert.deepEqual(looks(), ['1000 all']);
});

test('the first touch is looked at at once, those that follow together 250 ms later', async () => {
  await start();
  await pass(1_000);
  looks();
  touch(A);
  await turns();
  assert.deepEqual(looks(), ['1000 10.244.1.5']);
  for (let i = 0; i < 10; i++) {
    touch(B);
    await pass(10);
  }
  await pass(900);
  assert.deepEqual(looks(), ['1250 10.244.1.6']);
});

test('nothing is looked at when nothing was touched', async () => {
  await start();
  looks();
  await pass(130_000);
  assert.deepEqual(looks(), []);
});

test('but once in ten minutes, all of our pods', async () => {
  await start();
  looks();
  await clock.advance(700_000);
  await turns();
  // One dump for each end of a connection; the fake time runs on between them.
  assert.deepEqual(
    asked.map(({ about }) => about),
    [A, A],
  );
});

test('a look that fails is made up for, with all that was touched since', async () => {
  await start();
  await pass(1_000);
  looks();
  failing = 2;
  touch(A);
  await pass(50);
  touch(B);
  await pass(8_000);
  const made = looks();
  assert.ok(failing < 0 && made.length >= 3, made.join());
  const last = made.at(-1)?.split(' ')[0];
  for (const address of [A, B]) assert.ok(made.includes(`${last} ${address}`), made.join('\n'));
  await pass(8_000);
  assert.deepEqual(looks(), []);
});

test('what is touched during a look is looked at after it', async () => {
  await start();
  await pass(1_000);
  looks();
  slow = 50;
  touch(A);
  await pass(20);
  touch(A, B);
  await pass(2_000);
  assert.ok(looks().some((look) => look.endsWith(B)));
});

test('long looks rest three times as long as they took', async () => {
  await start();
  await pass(1_000);
  looks();
  slow = 500;
  for (let i = 0; i < 60; i++) {
    target.touch('everything');
    await pass(100);
  }
  const began = looks().map((look) => Number(look.split(' ')[0]));
  assert.ok(began.length >= 2 && began.length <= 4, `looked ${began.length} times in 6 s: ${began.join()}`);
});

test('looks that take some milliseconds take a fiftieth of the time, and are a second apart at most', async () => {
  await start();
  await pass(1_000);
  looks();
  slow = 10;
  for (let i = 0; i < 600; i++) {
    target.touch('everything');
    await pass(10);
  }
  const began = looks().map((look) => Number(look.split(' ')[0]));
  const apart = began.slice(1).map((at, i) => at - (began[i] ?? 0));
  assert.ok(apart.length >= 4, began.join());
  for (const ms of apart) assert.ok(ms >= 400 && ms <= 1_200, began.join());
});
