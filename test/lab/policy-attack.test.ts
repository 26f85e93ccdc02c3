/** Ways around policies that are no fault of a rule: packets that the rules never see, or see as something else. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually } from '../../src/lab/client.ts';
import { nodeMac } from '../../src/plan/nodes/identity.ts';
import { addressesOf, FRIEND, guarded, heard, macOf, PORT, SUPPORT, TAGS, VICTIM } from './support/attack.ts';
import { agentsReady } from './support/expect.ts';
import type { Forged } from './support/forge.ts';

test('packets that somebody else than a node puts into the tunnel', async () => {
  await using lab = await guarded();
  const [friends, neighbours, victims] = await Promise.all(
    [FRIEND, 'default/n1-b', VICTIM].map((pod) => addressesOf(lab, pod)),
  );
  const node = '192.0.2.11';
  const forged = victims?.flatMap((to, i): Forged[] => [
    { why: 'as the friend', from: friends?.[i] ?? '', to, port: PORT, mac: nodeMac('n1'), wire: { node } },
    {
      why: 'as a pod of here',
      from: neighbours?.[i] ?? '',
      to,
      port: PORT,
      mac: nodeMac('n1'),
      wire: { node },
    },
  ]);
  const senders = ['default/n1-b', 'default/n2-b', 'outside'];
  assert.deepEqual(await heard(lab, new Map(senders.map((from) => [from, forged ?? []]))), []);
});

test('frames of a pod that may make its own: no tags, no forged neighbour, no other MAC; not from a newborn pod, nor without an agent', async () => {
  await using lab = await guarded();
  await lab.addPod('n1-friend', 'n1', { is: 'friend' });
  const mac = await macOf(lab, VICTIM);
  const [victims, friends] = await Promise.all(
    [VICTIM, 'default/n1-friend'].map((pod) => addressesOf(lab, pod)),
  );
  const forgedBy = async (pod: string): Promise<Forged[]> => {
    const own = await addressesOf(lab, pod);
    const source = await eventually(() => macOf(lab, pod));
    return (victims ?? []).flatMap((to, i): Forged[] => {
      const type = to.includes(':') ? '86dd' : '0800';
      const common = { to, port: PORT, mac, source };
      const tagged = TAGS.map(
        (tags): Forged => ({
          ...common,
          why: `${tags} ${to}`,
          from: own[i] ?? '',
          wire: { head: tags + type },
        }),
      );
      const friendly = { ...common, from: friends?.[i] ?? '', wire: { head: type } };
      return [
        ...tagged,
        { ...friendly, why: `as the friend ${to}` },
        { ...friendly, why: `as the friend, and with another MAC ${to}`, source: '02:02:02:02:02:02' },
      ];
    });
  };
  const neighbour = 'default/n1-b';
  const frames = await forgedBy(neighbour);
  const by = (pod: string) => new Map([[pod, frames]]);
  assert.deepEqual(await heard(lab, by(neighbour)), []);
  await lab.fault('agent', 'n1', 'kill');
  assert.deepEqual(await heard(lab, by(neighbour)), [], 'without an agent');
  await lab.run('n1', 'nft', 'delete', 'table', 'bridge', 'fairlead');
  assert.deepEqual(
    await heard(lab, by(neighbour)),
    frames.map(({ why }) => why).sort(),
    'the holes are real',
  );
  await lab.fault('agent', 'n1', 'start');
  await agentsReady(lab);
  assert.deepEqual(await heard(lab, by(neighbour)), [], 'mended');
  await lab.addPod('stranger', 'n1');
  assert.deepEqual(await heard(lab, new Map([['default/stranger', await forgedBy('default/stranger')]])), []);
});

const ASK = 'const s = require("dgram").createSocket("udp4"); s.send("?", 9, "172.17.0.2", () => s.close())';

test('frames of other bridges of the node are nobody’s business here', async () => {
  await using lab = await guarded();
  const make = [
    'ip netns add x; ip netns add y; ip link add docker0 type bridge; ip link set docker0 up',
    ...['x', 'y'].map(
      (
        name,
        i,
      ) => `ip link add veth${name} type veth peer name eth0 netns ${name}; ip link set veth${name} master docker0 up;
      ip -n ${name} addr add 172.17.0.${i + 1}/24 dev eth0; ip -n ${name} link set eth0 up`,
    ),
  ].join(';');
  await lab.run(
    'n1',
    'sh',
    '-c',
    `mount -t tmpfs tmpfs /run/netns 2>/dev/null; mkdir -p /run/netns; ${make}`,
  );
  await lab.run('n1', 'ip', 'netns', 'exec', 'x', process.execPath, '-e', ASK);
  await eventually(async () =>
    assert.match(await lab.run('n1', 'ip', '-n', 'x', 'neigh', 'show', '172.17.0.2'), /REACHABLE/),
  );
  const ports = await lab.run('n1', 'nft', 'list', 'set', 'bridge', 'fairlead', 'ports');
  assert.doesNotMatch(ports, /vethx|vethy/);
  assert.match(ports, /veth/);
});

test('a bridge that is told to call no rules does so again within a second', async () => {
  await using lab = await guarded();
  const calls = ['iptables', 'ip6tables'].map((which) => `net.bridge.bridge-nf-call-${which}`);
  for (const call of calls) {
    await lab.run('n1', 'sysctl', '-w', `${call}=0`);
    // The sweep comes every minute: nothing but a watch is that quick.
    const again = async () => assert.equal(await lab.run('n1', 'sysctl', '-n', call), '1\n');
    await eventually(again, 3_000);
  }
  for (const family of ['ipv4', 'ipv6'] as const) {
    const { verdict } = await lab.probe('default/n1-b', VICTIM, { family, timeout: 200 });
    assert.equal(verdict, 'dropped');
  }
});

test('what only looks like neighbour discovery is not let out of an isolated pod, nor into one', async () => {
  await using lab = await guarded();
  const [, to = ''] = await addressesOf(lab, VICTIM);
  const [, about = ''] = await addressesOf(lab, 'default/n2-b');
  // A deny-all pod's way out, if there is one: an ICMPv6 neighbour advertisement (136) or listener report (143) for somebody beyond this link.
  const rules = () => lab.run('n1', 'nft', 'list', 'chain', 'inet', 'fairlead', 'policy-denied-ingress');
  const denied = async () => Number(/counter packets (\d+)/.exec(await rules())?.[1]);
  const program = join(SUPPORT, 'forge.ts');
  for (const type of [136, 143]) {
    const before = await denied();
    await lab.run('default/n2-b', process.execPath, program, JSON.stringify([{ icmpv6: type, to, about }]));
    await eventually(async () => assert.equal(await denied(), before + 1, `type ${type}`));
  }
});
