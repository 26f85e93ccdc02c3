/**
 * Connections that a change of policies denies, with real packets: they end and stay ended though the server goes on sending, and their
 * neighbours lose nothing. The rules are as many as it takes; the real ones are in test/lab/policy-flows.test.ts.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { systemClock } from '../../src/agent/clock.ts';
import { Deadline } from '../../src/lab/deadline.ts';
import { probe } from '../../src/lab/prober/probe.ts';
import type { NetNs } from '../../src/lab/sockets/netns.ts';
import { FAMILIES, type Family, type Ip } from '../../src/model/net/ip.ts';
import { Reconciler } from '../../src/reconcile/reconciler.ts';
import { type Connection, conntrackTarget, type FlowJudge } from '../../src/targets/linux/conntrack.ts';
import { forgetFlows } from '../../src/targets/linux/forget-flows.ts';
import { NETLINK_NETFILTER } from '../../src/targets/linux/netlink/constants.ts';
import { openNetlink } from '../../src/targets/linux/netlink/socket.ts';
import type { Touch } from '../../src/targets/linux/touched.ts';
import { seeded } from '../support/fake-clock.ts';
import {
  CLIENT,
  type Download,
  downloadTcp,
  downloadUdp,
  makeMachine,
  run,
  SERVER,
  SERVICE,
  serveTcp,
  serveUdp,
} from './flow-machine.ts';

const TUPLE = { ipv4: 'ip', ipv6: 'ip6' };
const rulesOf = (family: Family) => {
  const [v, a] = [family === 'ipv4' ? 'v4' : 'v6', TUPLE[family]];
  const packet = `meta l4proto . ${a} saddr . th sport . ${a} daddr . th dport`;
  return `${packet} @ended-${v} update @ended-${v} { ${packet} timeout 5m } drop
    ${a} daddr ${SERVER[family]} th dport @denied drop`;
};
const set = (version: 4 | 6) => `set ended-v${version} {
    type inet_proto . ipv${version}_addr . inet_service . ipv${version}_addr . inet_service
    flags dynamic,timeout; timeout 5m; size 131072
  }`;
const RULESET = `
table inet fairlead {
  ${set(4)}
  ${set(6)}
  set denied {
    type inet_service
  }
  set pings {
    type ipv4_addr
  }
  chain forward {
    type filter hook forward priority 0
    ct state established,related accept
    ${rulesOf('ipv4')}
    ${rulesOf('ipv6')}
    icmp type echo-request ip daddr @pings drop
  }
}
table inet service {
  chain prerouting {
    type nat hook prerouting priority -100
    ip daddr ${SERVICE.ipv4} dnat ip to ${SERVER.ipv4}
    ip6 daddr ${SERVICE.ipv6} dnat ip6 to ${SERVER.ipv6}
  }
}`;

const DENIED = 80;
const NEIGHBOUR = 81;

let client: NetNs;
let server: NetNs;
let denied = new Set<number>();
let pingsDenied = false;
let gone: Ip | undefined;
const closers: (() => void)[] = [];
const downloads: Download[] = [];
const nl = openNetlink(NETLINK_NETFILTER, { dumpsAside: true });

const judge: FlowJudge = {
  ready: true,
  pods: () => [CLIENT.ipv4, CLIENT.ipv6, SERVER.ipv4, SERVER.ipv6],
  isGone: (address) => address === gone,
  denies({ protocol, to, port }: Connection) {
    const isServer = to === SERVER.ipv4 || to === SERVER.ipv6;
    if (pingsDenied && protocol === 1) return { why: 'no pings', silence: true };
    return isServer && port !== undefined && denied.has(port)
      ? { why: 'denied by test', silence: true }
      : undefined;
  },
};
const target = conntrackTarget({ nl, clock: systemClock, judge });
const told: string[] = [];
let looks = 0;
const observe = () =>
  target.observe().finally(() => {
    looks++;
  });
const reconciler = new Reconciler({
  targets: [{ ...target, observe }],
  clock: systemClock,
  random: seeded(1),
  hooks: {
    decided: (_, decisions) =>
      told.push(...decisions.map(({ key, why, error }) => `${key}: ${error ?? why}`)),
    drifted: ({ key }) => told.push(`drift ${key}`),
  },
});

before(async () => {
  ({ client, server } = makeMachine());
  run('nft', RULESET);
  reconciler.gate(() => undefined);
  reconciler.step();
});
beforeEach(async () => {
  for (const download of downloads.splice(0)) download.close();
  for (const close of closers.splice(0)) close();
  for (const family of FAMILIES)
    for (const port of [DENIED, NEIGHBOUR]) {
      closers.push(await serveTcp(server, SERVER[family], port));
      closers.push(await serveUdp(server, SERVER[family], port));
    }
  [denied, pingsDenied, gone] = [new Set(), false, undefined];
  run('nft', 'flush set inet fairlead denied; flush set inet fairlead pings');
  run('nft', 'flush set inet fairlead ended-v4; flush set inet fairlead ended-v6');
  run('conntrack', '-F');
  await look('everything');
  told.length = 0;
});
after(() => {
  for (const download of downloads) download.close();
  for (const close of closers) close();
  reconciler.close();
  nl.close();
});

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = new Deadline(10_000);
  for (; !condition(); await wait(5)) assert.ok(!deadline.passed, `in time: ${what}`);
}
async function look(touch: Touch): Promise<void> {
  const before = looks;
  target.touch(touch);
  await until('looked, and acted', () => looks > before && reconciler.settled);
}

/** What the agent does: the rule first, then what it touched. */
async function deny(touch: Touch): Promise<void> {
  denied = new Set([DENIED]);
  run('nft', `add element inet fairlead denied { ${DENIED} }`);
  await look(touch);
}
async function allow(touch: ReadonlySet<Ip>): Promise<void> {
  denied = new Set();
  run('nft', `delete element inet fairlead denied { ${DENIED} }`);
  await look(touch);
}
const ended = () =>
  run('nft', 'list set inet fairlead ended-v4') + run('nft', 'list set inet fairlead ended-v6');
/** Without those that a reset ended (CLOSE): a server of the last test may still ask, and is told that nobody is there any more. */
const entries = (port: number) =>
  [...`${run('conntrack', '-L', '-f', 'ipv4')}${run('conntrack', '-L', '-f', 'ipv6')}`.split('\n')].filter(
    (line) => new RegExp(`[sd]port=${port}\\b`).test(line) && !/ CLOSE /.test(line),
  );

type Open = (port: number) => Promise<Download>;
const KINDS: [string, Open][] = FAMILIES.flatMap((family): [string, Open][] => [
  [`TCP ${family}`, (port) => downloadTcp(client, SERVER[family], port)],
  [`UDP ${family}`, (port) => downloadUdp(client, CLIENT[family], SERVER[family], port)],
  [`TCP ${family} through a service`, (port) => downloadTcp(client, SERVICE[family], port)],
  [`UDP ${family} through a service`, (port) => downloadUdp(client, CLIENT[family], SERVICE[family], port)],
]);

async function flowing(open: Open, port: number): Promise<Download> {
  const download = await open(port);
  downloads.push(download);
  await until(`${port} flows`, () => download.arrived() > 0);
  return download;
}

for (const [kind, open] of KINDS) {
  test(`${kind}: a denied download ends and stays ended, its neighbour loses nothing`, async () => {
    const victim = await flowing(open, DENIED);
    const neighbour = await flowing(open, NEIGHBOUR);
    await deny('pods');
    const atEnd = victim.arrived();
    const neighbourThen = neighbour.arrived();
    await wait(1_500);
    assert.equal(victim.arrived(), atEnd, 'nothing arrives any more');
    assert.deepEqual(entries(DENIED), [], 'the server has not opened it anew');
    assert.match(ended(), /elements/);
    await until('the neighbour flows', () => neighbour.arrived() > neighbourThen + 50);
    assert.equal(neighbour.gaps(), 0);
    assert.equal(entries(NEIGHBOUR).length, 1);
    assert.equal(told.length, 1, told.join('\n'));
    assert.match(told[0] ?? '', /^flow .*: denied by test$/);
  });
}

test('without the note of its server an ended download begins anew: why there are such notes', async () => {
  const victim = await flowing((port) => downloadUdp(client, CLIENT.ipv4, SERVER.ipv4, port), DENIED);
  run('nft', `add element inet fairlead denied { ${DENIED} }`);
  run('conntrack', '-D', '-p', 'udp', '--orig-port-dst', String(DENIED));
  const then = victim.arrived();
  await until('it flows again', () => victim.arrived() > then + 20);
});

test('what may flow again flows again, though its client says nothing', async () => {
  const victim = await flowing((port) => downloadUdp(client, CLIENT.ipv6, SERVER.ipv6, port), DENIED);
  await deny(new Set([SERVER.ipv6]));
  const then = victim.arrived();
  await wait(200);
  assert.equal(victim.arrived(), then);
  await allow(new Set([SERVER.ipv6]));
  assert.doesNotMatch(ended(), /elements/);
  await until('it flows again', () => victim.arrived() > then + 20);
});

test('only what was touched is looked at; what was not waits for its turn', async () => {
  const victim = await flowing((port) => downloadUdp(client, CLIENT.ipv4, SERVER.ipv4, port), DENIED);
  await deny(new Set(['10.244.2.3' as Ip]));
  const then = victim.arrived();
  await until('it still flows', () => victim.arrived() > then + 20);
  await deny(new Set([CLIENT.ipv4]));
  const atEnd = victim.arrived();
  await wait(300);
  assert.equal(victim.arrived(), atEnd);
});

test('pings: the entry goes, and the next ping is judged anew', async () => {
  const ping = () =>
    probe(client, { address: SERVER.ipv4, protocol: 'icmp', port: 0, timeout: 200 }).then(
      ({ verdict }) => verdict,
    );
  assert.equal(await ping(), 'allowed');
  assert.match(run('conntrack', '-L', '-p', 'icmp'), /icmp/);
  pingsDenied = true;
  run('nft', `add element inet fairlead pings { ${SERVER.ipv4} }`);
  await look(new Set([SERVER.ipv4]));
  assert.doesNotMatch(run('conntrack', '-L', '-p', 'icmp'), /icmp/);
  assert.doesNotMatch(ended(), /elements/, 'there are no ports to note');
  assert.equal(await ping(), 'dropped');
});

test('all that mentions a vanished pod goes, and a new one inherits nothing', async () => {
  const victim = await flowing((port) => downloadUdp(client, CLIENT.ipv4, SERVICE.ipv4, port), DENIED);
  gone = SERVER.ipv4;
  victim.close();
  downloads.splice(0);
  await look(new Set([SERVER.ipv4]));
  assert.match(told.join(), /the pod of 10.244.2.2 is gone/);
  assert.doesNotMatch(ended(), /elements/);
  gone = undefined;
  const next = await flowing((port) => downloadUdp(client, CLIENT.ipv4, SERVICE.ipv4, port), DENIED);
  await deny('pods');
  assert.match(ended(), /10.244.1.2/);
  await forgetFlows(nl, new Set([CLIENT.ipv4]));
  assert.doesNotMatch(ended(), /10.244.1.2/);
  const other = await flowing((port) => downloadUdp(client, CLIENT.ipv4, SERVICE.ipv4, port), NEIGHBOUR);
  for (const close of closers.splice(0)) close();
  for (const download of [next, other]) download.close();
  downloads.splice(0);
  assert.notDeepEqual(entries(NEIGHBOUR), []);
  await forgetFlows(nl, new Set([CLIENT.ipv4]));
  assert.deepEqual(entries(NEIGHBOUR), []);
});
