/** Ways around policies that are no fault of a rule: packets that the rules never see, or see as something else. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
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

const addressesOf = async (lab: Lab, pod: string): Promise<string[]> => {
  const path = `/api/v1/namespaces/default/pods/${pod.slice('default/'.length)}`;
  const { status } = await lab.api.get<{ status: { podIPs: { ip: string }[] } }>(path);
  return status.podIPs.map(({ ip }) => ip);
};

/** Sends it all, then what the friend says, until that is heard: of the forged packets nothing is. */
async function nothingHeard(lab: Lab, forged: ReadonlyMap<string, readonly Forged[]>): Promise<void> {
  const heard = join(lab.dir, 'heard');
  const hear = `exec ${process.execPath} ${join(SUPPORT, 'hear.ts')} ${PORT} > ${heard}`;
  void lab.exec(VICTIM, 'sh', '-c', hear);
  await eventually(() => lab.run(VICTIM, 'sh', '-c', `ss -lnu | grep -q :${PORT}`));
  for (const [from, packets] of forged)
    await lab.run(from, process.execPath, join(SUPPORT, 'forge.ts'), JSON.stringify(packets));
  const victims = await addressesOf(lab, VICTIM);
  const program = victims.map(
    (to) => `s=require("dgram").createSocket("${to.includes(':') ? 'udp6' : 'udp4'}");
    s.send("friend ${to}",${PORT},"${to}",()=>s.close())`,
  );
  await eventually(async () => {
    for (const text of program) await lab.run(FRIEND, process.execPath, '-e', text.replace('s=', 'const s='));
    for (const to of victims) assert.match(readFileSync(heard, 'utf8'), new RegExp(`friend ${to}`));
  });
  const words = readFileSync(heard, 'utf8').trim().split('\n');
  assert.deepEqual([...new Set(words)].sort(), victims.map((to) => `friend ${to}`).sort());
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
  await nothingHeard(lab, new Map(senders.map((from) => [from, forged ?? []])));
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
  // A deny-all pod's way out, if there is one: an ICMPv6 neighbour advertisement (136) or listener report (143) for somebody beyond this link.
  const rules = () => lab.run('n1', 'nft', 'list', 'chain', 'inet', 'fairlead', 'policy-denied-ingress');
  const denied = async () => Number(/counter packets (\d+)/.exec(await rules())?.[1]);
  const program = join(SUPPORT, 'forge.ts');
  for (const type of [136, 143]) {
    const before = await denied();
    await lab.run('default/n2-b', process.execPath, program, JSON.stringify([{ icmpv6: type, to }]));
    await eventually(async () => assert.equal(await denied(), before + 1, `type ${type}`));
  }
});
