/** The five laws that every target obeys, and the machine on which the rtnetlink targets are tried. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before } from 'node:test';
import type { Ip } from '../../src/model/net/ip.ts';
import type { Mac } from '../../src/model/net/mac.ts';
import type { LinkBody } from '../../src/model/rows/link.ts';
import type { Change, Target } from '../../src/reconcile/target.ts';
import { linkTarget } from '../../src/targets/linux/link.ts';
import { NETLINK_ROUTE } from '../../src/targets/linux/netlink/constants.ts';
import { RTNLGRP_IPV4_ROUTE } from '../../src/targets/linux/netlink/rtnetlink/constants.ts';
import { readRoute } from '../../src/targets/linux/netlink/rtnetlink/route.ts';
import { openNetlink } from '../../src/targets/linux/netlink/socket.ts';
import type { NetlinkTransport } from '../../src/targets/linux/netlink/transport.ts';
import { fc, runs } from '../support/property.ts';

export const ip = (...args: string[]): string =>
  execFileSync('ip', args, { encoding: 'utf8', stdio: 'pipe' });
export const bridge = (...args: string[]): string =>
  execFileSync('bridge', args, { encoding: 'utf8', stdio: 'pipe' });
export const ipBatch = (lines: readonly string[]): string =>
  execFileSync('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n`, encoding: 'utf8', stdio: 'pipe' });

/** Two underlay links with addresses of both families. */
export function underlay(): void {
  ipBatch([
    'link set lo up',
    'link add eth0 type veth peer name peer0',
    'link add eth1 type veth peer name peer1',
    'link set eth0 addrgenmode none',
    'link set eth0 up',
    'link set eth1 addrgenmode none',
    'link set eth1 up',
    'link set peer0 addrgenmode none',
    'link set peer0 up',
    'link set peer1 addrgenmode none',
    'link set peer1 up',
    'addr add 192.0.2.1/24 dev eth0',
    'addr add 2001:db8::1/64 dev eth0 nodad',
    'addr add 198.51.100.1/24 dev eth1',
    'addr add 2001:db8:1::1/64 dev eth1 nodad',
  ]);
}

/** The machine of a test file: the underlay, our links of these names, and two sockets: what `nl` does is another's to `other`. */
export function routingMachine(names: readonly string[]) {
  const nl = openNetlink(NETLINK_ROUTE);
  const other = openNetlink(NETLINK_ROUTE);
  before(async () => {
    underlay();
    await ownLinks(nl, names);
  });
  after(() => {
    nl.close();
    other.close();
  });
  return { nl, other };
}

/** Types of the notifications (24 RTM_NEWROUTE, 25 RTM_DELROUTE) about routes to this address, from now on. */
export function routeEvents(nl: NetlinkTransport, dst: string) {
  const kinds: number[] = [];
  const subscription = nl.subscribe(
    [RTNLGRP_IPV4_ROUTE],
    (message) => {
      if (readRoute(message)?.dst === dst) kinds.push(message.type);
    },
    () => {},
  );
  return {
    async end(): Promise<readonly number[]> {
      await turns();
      subscription.close();
      return kinds;
    },
  };
}

export function vxlanBody(name: string, vni: number, changes: Partial<LinkBody> = {}): LinkBody {
  return {
    name,
    mtu: 1450,
    mac: `02:00:00:00:00:${(vni & 0xff).toString(16).padStart(2, '0')}` as Mac,
    up: true,
    alias: `fairlead test ${name}`,
    type: { kind: 'vxlan', vni, port: 8472, local: '192.0.2.1' as Ip, underlay: 'eth0' },
    ...changes,
  };
}

/** Makes links of ours for the targets whose rows live on them. */
export async function ownLinks(nl: NetlinkTransport, names: readonly string[]): Promise<void> {
  const changes = names.map((name, i) => ({ key: name, wanted: vxlanBody(name, 100 + i), found: undefined }));
  assertOk(changes, await linkTarget(nl).apply(changes));
}

function changesFor<B>(
  target: Target<B>,
  wanted: ReadonlyMap<string, B>,
  found: ReadonlyMap<string, B>,
): Change<B>[] {
  const surplus = [...found].filter(([key]) => !wanted.has(key));
  const other = [...wanted].filter(([key, body]) => {
    const there = found.get(key);
    return there === undefined || !target.same(body, there);
  });
  return [
    ...surplus.map(([key, body]) => ({ key, wanted: undefined, found: body })),
    ...other.map(([key, body]) => ({ key, wanted: body, found: found.get(key) })),
  ];
}

export function assertOk<B>(
  changes: readonly Change<B>[],
  outcomes: Awaited<ReturnType<Target<B>['apply']>>,
): void {
  outcomes.forEach((outcome, i) => {
    if (!outcome.ok) assert.fail(`${changes[i]?.key}: ${outcome.error.message}`);
  });
  assert.equal(outcomes.length, changes.length);
}

/** One pass of a reconciler. Returns what it had to change. */
export async function pass<B>(
  target: Target<B>,
  wanted: ReadonlyMap<string, B>,
  refused: (key: string) => boolean = () => false,
): Promise<Change<B>[]> {
  const changes = changesFor(target, wanted, await target.observe());
  const outcomes = await target.apply(changes);
  assert.equal(outcomes.length, changes.length);
  outcomes.forEach((outcome, i) => {
    const change = changes[i]!;
    const expected = change.wanted !== undefined && refused(change.key);
    if (expected) assert.equal(outcome.ok, false, `${change.key} is somebody else's and must be refused`);
    else if (!outcome.ok) assert.fail(`${change.key}: ${outcome.error.message}`);
  });
  return changes;
}

export interface TargetLaws<B, F> {
  readonly target: Target<B>;
  /** A second instance on another socket, to which the first one's changes are another's: it sees what was touched. */
  readonly witness: Target<B>;
  readonly state: fc.Arbitrary<ReadonlyMap<string, B>>;
  /** Random things of others: made before, taken away after. */
  readonly foreign: fc.Arbitrary<F>;
  make(foreign: F): void;
  unmake(foreign: F): void;
  /** All that is not ours, as an operator sees it. */
  others(): string;
  /** A row that was right and that the kernel takes along when these keys change. */
  dragged?(key: string, changed: ReadonlySet<string>): boolean;
  /** Rows that cannot be because a foreign thing stands in their place. */
  refused?(key: string, foreign: F): boolean;
  /** Disturbs what is ours from outside, or adds to it. */
  disturb?(state: ReadonlyMap<string, B>, seed: number): void;
}

/**
 * 1 round trip · 2 idempotence · 3 minimality (no notification of a row that was right) · 4 convergence from any owned state ·
 * 5 ownership (others' things are the same before, between and after).
 */
export async function checkTargetLaws<B, F>(laws: TargetLaws<B, F>): Promise<void> {
  const { target, witness } = laws;
  await fc.assert(
    fc.asyncProperty(
      fc.array(laws.state, { minLength: 1, maxLength: 3 }),
      laws.foreign,
      fc.nat(),
      async (states, foreign, seed) => {
        laws.make(foreign);
        const refused = (key: string) => laws.refused?.(key, foreign) ?? false;
        try {
          const others = laws.others();
          for (const state of [...states, new Map<string, B>()]) {
            const touched = new Set<string>();
            // It tells rows by the links that it knows, and what is new by what stood there.
            await witness.observe();
            const watch = witness.watch?.((keys) => {
              if (keys !== 'unknown') for (const key of keys) touched.add(key);
            });
            const changed = await pass(target, state, refused);
            await turns();
            watch?.close();
            const changedKeys = new Set(changed.map(({ key }) => key));
            for (const key of touched) {
              const why = changedKeys.has(key) || laws.dragged?.(key, changedKeys);
              assert.ok(why, `${key} was right and was touched`);
            }
            await assertState(target, state, refused);
            assert.deepEqual(
              (await pass(target, state, refused)).filter(({ key }) => !refused(key)),
              [],
              'a second pass changes something',
            );
            assertSameLines(laws.others(), others, "somebody else's things changed");
            if (laws.disturb) {
              laws.disturb(new Map([...state].filter(([key]) => !refused(key))), seed);
              await pass(target, state, refused);
              await assertState(target, state, refused);
              assertSameLines(laws.others(), others, "somebody else's things changed by a repair");
            }
          }
          assert.equal((await target.observe()).size, 0);
        } finally {
          laws.unmake(foreign);
        }
      },
    ),
    { numRuns: runs(40), endOnFailure: true },
  );
}

async function assertState<B>(
  target: Target<B>,
  state: ReadonlyMap<string, B>,
  refused: (key: string) => boolean,
): Promise<void> {
  const found = await target.observe();
  for (const [key, body] of state) {
    if (refused(key)) continue;
    const there = found.get(key);
    assert.ok(there !== undefined, `${key} is missing`);
    assert.ok(
      target.same(body, there),
      `${key}: wanted ${JSON.stringify(body)}, found ${JSON.stringify(there)}`,
    );
  }
  for (const key of found.keys()) assert.ok(state.has(key), `${key} is surplus`);
}

function assertSameLines(actual: string, expected: string, message: string): void {
  if (actual === expected) return;
  const lines = (text: string, without: string) =>
    text
      .split('\n')
      .filter((line) => !without.split('\n').includes(line))
      .join('\n');
  assert.fail(`${message}\nwas:\n${lines(expected, actual)}\nis:\n${lines(actual, expected)}`);
}

/** Lets pending notifications arrive: they are in the socket already, so a few turns of the loop suffice. */
export async function turns(): Promise<void> {
  for (let i = 0; i < 6; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** A map with keys from rows. */
export const keyed = <B>(
  body: fc.Arbitrary<B>,
  keyOf: (body: B) => string,
  maxLength = 12,
): fc.Arbitrary<ReadonlyMap<string, B>> =>
  fc
    .uniqueArray(body, { selector: keyOf, maxLength })
    .map((bodies) => new Map(bodies.map((b) => [keyOf(b), b])));
