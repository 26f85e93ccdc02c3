/** Ways around policies that are no fault of a rule: packets that the rules never see, or see as something else. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually, Lab } from '../../src/lab/client.ts';
import { nodeMac } from '../../src/plan/nodes/identity.ts';
import { agentsReady } from './support/expect.ts';
import type { Forged } from './support/forge.ts';

const POLICIES = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies';
const SUPPORT = join(import.meta.dirname, 'support');
const PORT = 9000;
const VICTIM = 'default/n1-a';
const FRIEND = 'default/n2-a';

/** A pod that hears a friend on another node and nobody else, over a tunnel. */
async function guarded(): Promise<Lab> {
  const lab = await Lab.start({ nodes: 2, pods: 2, transport: 'vxlan' });
  await agentsReady(lab);
  await lab.api.patch('/api/v1/namespaces/default/pods/n1-a', { metadata: { labels: { is: 'victim' } } });
  await lab.api.patch('/api/v1/namespaces/default/pods/n2-a', { metadata: { labels: { is: 'friend' } } });
  await lab.api.create(POLICIES, {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'friends' },
    spec: {
      podSelector: { matchLabels: { is: 'victim' } },
      ingress: [{ from: [{ podSelector: { matchLabels: { is: 'friend' } } }] }],
    },
  });
  await eventually(async () => {
    for (const family of ['ipv4', 'ipv6'] as const) {
      const { verdict } = await lab.probe('default/n1-b', VICTIM, { family, timeout: 200 });
      assert.equal(verdict, 'dropped');
    }
  });
  return lab;
}

const addressesOf = (lab: Lab, pod: string): Promise<string[]> =>
  eventually(async () => {
    const path = `/api/v1/namespaces/default/pods/${pod.slice('default/'.length)}`;
    const { status } = await lab.api.get<{ status?: { podIPs?: { ip: string }[] } }>(path);
    return status?.podIPs?.map(({ ip }) => ip) ?? assert.fail(`${pod} has no addresses`);
  });

/** What the victim hears of the forged packets: sends them all, then what the friend says, until that is heard. */
async function heard(lab: Lab, forged: ReadonlyMap<string, readonly Forged[]>): Promise<string[]> {
  const file = join(lab.dir, 'heard');
  const listens = `ss -lnu | grep -q :${PORT}`;
  if ((await lab.exec(VICTIM, 'sh', '-c', listens)).code !== 0) {
    void lab.exec(
      VICTIM,
      'sh',
      '-c',
      `exec ${process.execPath} ${join(SUPPORT, 'hear.ts')} ${PORT} >> ${file}`,
    );
    await eventually(() => lab.run(VICTIM, 'sh', '-c', listens));
  }
  writeFileSync(file, '');
  for (const [from, packets] of forged)
    await lab.run(from, process.execPath, join(SUPPORT, 'forge.ts'), JSON.stringify(packets));
  const victims = await addressesOf(lab, VICTIM);
  const program = victims.map(
    (to) => `s=require("dgram").createSocket("${to.includes(':') ? 'udp6' : 'udp4'}");
    s.send("friend ${to}",${PORT},"${to}",()=>s.close())`,
  );
  await eventually(async () => {
    for (const text of program) await lab.run(FRIEND, process.execPath, '-e', text.replace('s=', 'const s='));
    for (const to of victims) assert.match(readFileSync(file, 'utf8'), new RegExp(`friend ${to}`));
  });
  const words = new Set(readFileSync(file, 'utf8').trim().split('\n'));
  return [...words].filter((word) => !word.startsWith('friend ')).sort();
}

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

/** What a kernel takes for a plain packet and br_netfilter for none: tags of id 0 of both kinds. */
const TAGS = ['81000000', '88a80000', '8100000081000000', '88a8000081000000', '8100a000'];

test('frames of a pod that may make its own: no tags, no forged neighbour, no other MAC; not from a newborn pod, nor without an agent', async () => {
  await using lab = await guarded();
  await lab.addPod('n1-friend', 'n1', { is: 'friend' });
  const macOf = async (pod: string) =>
    /ether (\S+)/.exec(await lab.run(pod, 'ip', 'link', 'show', 'eth0'))?.[1] ?? '';
  const mac = await macOf(VICTIM);
  const [victims, friends] = await Promise.all(
    [VICTIM, 'default/n1-friend'].map((pod) => addressesOf(lab, pod)),
  );
  const forgedBy = async (pod: string): Promise<Forged[]> => {
    const own = await addressesOf(lab, pod);
    const source = await eventually(() => macOf(pod));
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
