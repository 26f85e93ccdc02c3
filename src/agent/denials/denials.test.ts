import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../../test/support/fake-clock.ts';
import { CONFIG, emptyStore, node } from '../../../test/support/plan-worlds.ts';
import type { Denial } from '../../model/api.ts';
import type { Pod } from '../../model/cluster/pod.ts';
import { EVERYTHING } from '../../model/cluster/selector.ts';
import { FairleadError } from '../../model/errors.ts';
import { ip } from '../../model/net/ip.ts';
import type { Problem } from '../../model/problem.ts';
import type { LoggedPacket } from '../../targets/linux/netlink/nflog/log.ts';
import { Registry } from '../metrics/registry.ts';
import { denialOf } from './denial.ts';
import { Denials } from './denials.ts';
import { denialMetrics, logDenial } from './report.ts';
import { denialRoutes } from './start.ts';

const pod = (key: string, address: string): Pod => ({
  key,
  namespace: key.slice(0, key.indexOf('/')),
  name: key.slice(key.indexOf('/') + 1),
  uid: key,
  node: 'n1',
  ips: [ip(address)],
  hostNetwork: false,
  phase: 'Running',
  labels: {},
  ports: [],
});

function storeOfTest() {
  const store = emptyStore();
  store.put('config', 'config', CONFIG);
  store.put('nodes', 'n1', node(1));
  for (const one of [pod('x/a', '10.244.1.11'), pod('y/b', '10.244.1.12')]) store.put('pods', one.key, one);
  store.put('networkPolicies', 'x/closed', {
    key: 'x/closed',
    namespace: 'x',
    name: 'closed',
    uid: 'u',
    pods: EVERYTHING,
    ingress: [],
    audit: false,
    problems: [],
  });
  return store;
}

const packet = (changes: Partial<LoggedPacket> = {}): LoggedPacket => ({
  prefix: 'fairlead deny ingress',
  from: ip('10.244.1.12'),
  to: ip('10.244.1.11'),
  protocol: 6,
  sourcePort: 40_000,
  destinationPort: 80,
  ...changes,
});

test('a packet is named by what the policies say of it', () => {
  const { world } = storeOfTest();
  assert.deepEqual(denialOf(world, packet()), {
    kind: 'deny',
    direction: 'ingress',
    from: { ip: '10.244.1.12', pod: 'y/b' },
    to: { ip: '10.244.1.11', pod: 'x/a' },
    protocol: 'TCP',
    port: 80,
    by: 'network-policy',
    policies: ['NetworkPolicy x/closed'],
    text: 'x/a is selected by NetworkPolicy x/closed for ingress, and no rule of it allows TCP 80 from y/b (10.244.1.12)',
  });
  const unknown = denialOf(
    world,
    packet({ prefix: 'fairlead deny egress unknown', from: ip('10.244.1.99'), protocol: 99 }),
  );
  assert.equal(unknown?.by, 'unknown-pod');
  assert.equal(unknown?.protocol, 'protocol 99');
  const forged = denialOf(world, packet({ prefix: 'fairlead deny egress unknown', from: ip('192.0.2.7') }));
  assert.deepEqual(
    [forged?.by, forged?.text],
    ['unknown-pod', '192.0.2.7 is where our pods are and is the address of none that is known'],
  );
  assert.deepEqual(denialOf(world, packet({ from: ip('10.0.0.1') }))?.from, { ip: '10.0.0.1', node: 'n1' });
  assert.equal(denialOf(world, packet({ prefix: 'somebody else' })), undefined);
});

test('a rule of a ClusterNetworkPolicy is named by the line itself, and disagreement is told', () => {
  const { world } = storeOfTest();
  const admin = denialOf(world, packet({ prefix: 'fairlead audit egress admin/no-web/3' }));
  assert.deepEqual(
    [admin?.kind, admin?.direction, admin?.by, admin?.policies, admin?.rule, admin?.text],
    [
      'audit',
      'egress',
      'admin',
      ['ClusterNetworkPolicy no-web'],
      3,
      'audited by egress[3] of ClusterNetworkPolicy no-web',
    ],
  );
  const wrong = denialOf(world, packet({ prefix: 'fairlead deny egress' }));
  assert.deepEqual([wrong?.by, wrong?.policies], [undefined, []]);
  assert.equal(
    wrong?.text,
    "the kernel's rules did it; what is known now says: no NetworkPolicy selects y/b for egress",
  );
});

class Kernel {
  group = 0;
  refuse = false;
  say: (packet: LoggedPacket) => void = () => assert.fail('nobody listens');
  open = (group: number, say: (packet: LoggedPacket) => void) => {
    if (this.refuse) throw new FairleadError('EPERM', 'operation not permitted');
    this.group = group;
    this.say = say;
    const close = () => {
      this.group = 0;
    };
    return { close };
  };
}

function setUp() {
  const clock = new FakeClock();
  const store = storeOfTest();
  const kernel = new Kernel();
  const told: Denial[] = [];
  const lines: string[] = [];
  const problems: (readonly Problem[])[] = [];
  const registry = new Registry();
  const metrics = denialMetrics(registry);
  const denials = new Denials({
    world: store.world,
    clock,
    open: kernel.open,
    onDenial: (denial) => {
      told.push(denial);
      logDenial(
        { info: (_: unknown, text?: string) => lines.push(text ?? '') } as Parameters<typeof logDenial>[0],
        denial,
      );
    },
    onPacket: metrics.packet,
    onLost: metrics.lost,
    onProblems: (list) => problems.push(list),
  });
  denials.update();
  return { clock, store, kernel, told, lines, problems, registry, denials };
}

test('equal packets within 10 s are one denial; it is told at once and at the end', async () => {
  const { clock, kernel, told, lines, registry, denials } = setUp();
  for (let i = 0; i < 3; i++) {
    kernel.say(packet({ sourcePort: 40_000 + i }));
    await clock.advance(1_000);
  }
  kernel.say(packet({ destinationPort: 81 }));
  assert.deepEqual(
    told.map(({ id, count }) => [id, count]),
    [
      [1, 1],
      [2, 1],
    ],
  );
  await clock.advance(20_000);
  assert.deepEqual(
    told.map(({ id, count }) => [id, count]),
    [
      [1, 1],
      [2, 1],
      [1, 3],
    ],
  );
  assert.deepEqual(
    denials.list().map(({ count, port }) => [port, count]),
    [
      [80, 3],
      [81, 1],
    ],
  );
  assert.deepEqual([denials.list('y').length, denials.list('z').length], [2, 0]);
  kernel.say(packet());
  assert.equal(told.at(-1)?.id, 3, 'a new window');
  assert.match(
    lines[2] ?? '',
    /^denied 3 times ingress TCP 80 from y\/b \(10\.244\.1\.12\) to x\/a \(10\.244\.1\.11\): x\/a is selected by/,
  );
  assert.match(
    registry.text(),
    /^fairlead_policy_denied_packets_total\{direction="ingress",kind="deny",namespace="x"\} 5$/m,
  );
});

test('what is kept is bounded, so are what is told a second, and labels', async () => {
  const { clock, kernel, denials, store, registry, told } = setUp();
  const policy = { ...CONFIG.policy, logRate: 2_000 };
  store.put('config', 'config', { ...CONFIG, policy });
  for (let n = 0; n < 150; n++) {
    const one = pod(`ns${n}/a`, `10.244.1.${100 + n}`);
    store.put('pods', one.key, one);
    kernel.say(packet({ to: ip(`10.244.1.${100 + n}`) }));
  }
  const labels = () => [...registry.text().matchAll(/namespace="([^"]*)"/g)].map((m) => m[1]);
  assert.equal(labels().length, 101);
  assert.ok(labels().includes('other'));
  for (let i = 0; i < 1_100; i++) kernel.say(packet({ destinationPort: i }));
  assert.equal(denials.list().length, 1_000);
  assert.equal(denials.list().at(-1)?.port, 1_099);
  kernel.say(packet({ destinationPort: 200 }));
  await clock.advance(20_000);
  const ids = denials.list().map(({ id }) => id);
  assert.deepEqual(
    ids,
    ids.map((_, i) => (ids[0] ?? 0) + i),
  );

  store.put('config', 'config', { ...CONFIG, policy: { ...policy, logRate: 5 } });
  const before = told.length;
  for (let second = 0; second < 2; second++) {
    for (let i = 0; i < 50; i++) kernel.say(packet({ destinationPort: 5_000 + 100 * second + i }));
    await clock.advance(1_000);
  }
  assert.equal(told.length - before, 10);
  assert.equal(sumOf(registry.text()), 150 + 1_100 + 1 + 100, 'all are counted');
});

const sumOf = (text: string): number =>
  [...text.matchAll(/^fairlead_policy_denied_packets_total\{.*\} (\d+)$/gm)].reduce(
    (sum, m) => sum + Number(m[1]),
    0,
  );

test('the group follows the settings; one that is taken is a problem and tried again', async () => {
  const { clock, kernel, denials, store, problems } = setUp();
  assert.equal(kernel.group, CONFIG.policy.logGroup);
  const use = (policy: Partial<typeof CONFIG.policy>) => {
    store.put('config', 'config', { ...CONFIG, policy: { ...CONFIG.policy, ...policy } });
    denials.update();
  };
  use({ logGroup: 0 });
  assert.equal(kernel.group, 0);
  use({ logGroup: 7, enabled: false });
  assert.equal(kernel.group, 0);
  kernel.refuse = true;
  use({ logGroup: 7 });
  assert.equal(
    problems.at(-1)?.[0]?.message,
    'log group 7 cannot be read, so denied packets are not told: operation not permitted',
  );
  kernel.refuse = false;
  denials.update();
  assert.equal(kernel.group, 0, 'not at once');
  await clock.advance(10_000);
  denials.update();
  assert.equal(kernel.group, 7);
  assert.deepEqual(problems.at(-1), []);
});

test('the API tells what is kept and what comes, of one namespace when asked', async () => {
  const { kernel, denials } = setUp();
  const routes = denialRoutes(denials);
  const call = async (path: string, query: Record<string, string>) =>
    await routes[`GET ${path}`]?.({ query: new URLSearchParams(query), body: () => Promise.resolve({}) });
  const heard: unknown[] = [];
  const stream = async (namespace: string) => {
    const reply = await call('/v1/denials/watch', { namespace });
    assert.ok(reply && 'stream' in reply);
    return reply.stream((line) => heard.push([namespace, (line as Denial).id]));
  };
  const closers = [await stream('x'), await stream('z')];
  kernel.say(packet());
  for (const closer of closers) closer.close();
  kernel.say(packet({ destinationPort: 81 }));
  assert.deepEqual(heard, [['x', 1]]);
  const ids = async (query: Record<string, string>) => {
    const reply = await call('/v1/denials', query);
    assert.ok(reply && 'json' in reply);
    return (reply.json as Denial[]).map(({ id }) => id);
  };
  assert.deepEqual([await ids({}), await ids({ namespace: 'z' })], [[1, 2], []]);
});
