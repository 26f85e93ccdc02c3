/** Ways around policies where pods are not on our bridge: on pairs of links, and on a bridge of before that no file names any more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, Lab } from '../../src/lab/client.ts';
import { nodeMac } from '../../src/plan/nodes/identity.ts';
import {
  addressesOf,
  befriend,
  FRIEND,
  guarded,
  heard,
  macOf,
  PORT,
  pairOf,
  TAGS,
  VICTIM,
} from './support/attack.ts';
import { agentsReady } from './support/expect.ts';
import type { Forged } from './support/forge.ts';

const NEIGHBOUR = 'default/n1-b';
const typeOf = (address: string): string => (address.includes(':') ? '86dd' : '0800');
const names = (all: readonly Forged[]): string[] => all.map(({ why }) => why).sort();

interface NodeOf {
  readonly spec: { readonly podCIDRs: readonly string[] };
  readonly status: { readonly addresses: readonly { readonly type: string; readonly address: string }[] };
}

const nodeOf = (lab: Lab, name: string) => lab.api.get<NodeOf>(`/api/v1/nodes/${name}`);

/** In the name of the other node, to the tunnel of n1: what the friend would say. */
async function throughTunnel(lab: Lab, via: string): Promise<Forged[]> {
  const [node = '', address = ''] = (await Promise.all(['n1', 'n2'].map((name) => nodeOf(lab, name)))).map(
    ({ status }) =>
      status.addresses.find(({ type, address }) => type === 'InternalIP' && address.includes('.'))?.address,
  );
  const [victims, friends] = await Promise.all([VICTIM, FRIEND].map((pod) => addressesOf(lab, pod)));
  return (victims ?? []).map((to, i) => ({
    why: `through the tunnel ${to}`,
    from: friends?.[i] ?? '',
    to,
    port: PORT,
    mac: nodeMac('n1'),
    wire: { node, as: { address, via } },
  }));
}

/** In the name of that pod, in a frame to that MAC address. */
async function inNameOf(lab: Lab, pod: string, mac: string, source: string): Promise<Forged[]> {
  const [victims, others] = await Promise.all([VICTIM, pod].map((name) => addressesOf(lab, name)));
  return (victims ?? []).map((to, i) => ({
    why: `as ${pod} ${to}`,
    from: others?.[i] ?? '',
    to,
    port: PORT,
    mac,
    source,
    wire: { head: typeOf(to) },
  }));
}

test('a pod on a pair of links: it sends in no other pod’s name, in no node’s, and not to the tunnel; with and without an agent', async () => {
  await using lab = await guarded({ cni: { plugin: 'ptp' } });
  await lab.addPod('n1-friend', 'n1', { is: 'friend' });
  await addressesOf(lab, 'default/n1-friend');
  const pair = await pairOf(lab, NEIGHBOUR, 'n1');
  const source = await macOf(lab, NEIGHBOUR);
  const forged = [
    ...(await inNameOf(lab, FRIEND, pair.mac, source)),
    ...(await inNameOf(lab, 'default/n1-friend', pair.mac, source)),
    ...(await inNameOf(lab, 'default/n1-friend', pair.mac, '02:02:02:02:02:02')).map((one) => ({
      ...one,
      why: `${one.why}, another MAC address`,
    })),
  ];
  const tunnel = await throughTunnel(lab, pair.mac);
  // The node takes tags off, and judges what was behind them: never heard, whatever is deleted here.
  const tagged = await taggedBy(lab, NEIGHBOUR, pair.mac);
  const attack = new Map([[NEIGHBOUR, [...tagged, ...forged, ...tunnel]]]);
  // No help of the kernel's, which has some for IPv4.
  for (const dev of ['all', 'default', pair.name])
    await lab.run('n1', 'sysctl', '-w', `net.ipv4.conf.${dev}.rp_filter=0`);
  assert.deepEqual(await heard(lab, attack), []);
  await lab.fault('agent', 'n1', 'kill');
  assert.deepEqual(await heard(lab, attack), [], 'without an agent');
  await lab.run('n1', 'nft', 'delete', 'chain', 'inet', 'fairlead', 'pairs-of-pods');
  assert.deepEqual(
    await heard(lab, attack),
    names(forged),
    'the holes are real; the tunnel has a guard of its own',
  );
  await lab.run('n1', 'nft', 'delete', 'chain', 'inet', 'fairlead', 'vxlan-from-nodes');
  assert.deepEqual(await heard(lab, attack), names([...forged, ...tunnel]), 'and this one is');
  await lab.fault('agent', 'n1', 'start');
  await agentsReady(lab);
  assert.deepEqual(await heard(lab, attack), [], 'mended');
});

/** Plain packets in the pod's own name behind VLAN tags, to that MAC address. */
async function taggedBy(lab: Lab, pod: string, mac: string): Promise<Forged[]> {
  const source = await macOf(lab, pod);
  const own = await addressesOf(lab, pod);
  return (await inNameOf(lab, pod, mac, source)).flatMap((one, i): Forged[] =>
    TAGS.map((tag) => ({
      ...one,
      why: `${tag} ${one.to}`,
      from: own[i] ?? '',
      wire: { head: tag + typeOf(one.to) },
    })),
  );
}

/** What kube-router writes: no word of us in it. */
const conflistOf = (ranges: readonly string[]) =>
  JSON.stringify({
    cniVersion: '0.3.0',
    name: 'mynet',
    plugins: [
      {
        type: 'bridge',
        bridge: 'kube-bridge',
        isDefaultGateway: true,
        ipam: { type: 'host-local', ranges: ranges.map((subnet) => [{ subnet }]) },
      },
      { type: 'portmap', capabilities: { snat: true, portMappings: true } },
    ],
  });
const FOLDER = '/run/cni/net.d';

test('a bridge that was taken over, and whose file is gone: what its pods send is looked at as on ours', async () => {
  const config = { cni: { write: false } };
  await using lab = await Lab.start({ nodes: 2, pods: 2, transport: 'vxlan', config, wait: false });
  for (const name of ['n1', 'n2']) {
    const { spec } = await eventually(() => nodeOf(lab, name));
    await lab.run(name, 'sh', '-c', `echo '${conflistOf(spec.podCIDRs)}' > ${FOLDER}/10-kuberouter.conflist`);
  }
  await lab.addPod('n1-friend', 'n1', { is: 'friend' });
  await lab.settled(60_000);
  await lab.set({ 'cni.write': true });
  const ours = (bridge: string) =>
    eventually(async () =>
      assert.match(
        await lab.run('n1', 'cat', `${FOLDER}/05-fairlead.conflist`),
        new RegExp(`"bridge": "${bridge}"`),
      ),
    );
  await ours('kube-bridge');
  await lab.run('n1', 'rm', `${FOLDER}/10-kuberouter.conflist`);
  await ours('fairlead0');
  await befriend(lab);
  // Pods of which nobody told an agent: bound to their addresses by what the runtime has kept of them.
  const known = () => lab.run('n1', 'nft', 'list', 'set', 'bridge', 'fairlead', 'bound-ports');
  await eventually(async () => assert.match(await known(), /"default\/n1-b"/), 30_000);
  const mac = await macOf(lab, VICTIM);
  const source = await macOf(lab, NEIGHBOUR);
  const tagged = await taggedBy(lab, NEIGHBOUR, mac);
  const frames = [...tagged, ...(await inNameOf(lab, 'default/n1-friend', mac, source))];
  const tunnel = await throughTunnel(lab, await macOf(lab, 'n1', 'kube-bridge'));
  const forged = [...frames, ...tunnel];
  const attack = new Map([[NEIGHBOUR, forged]]);
  assert.deepEqual(await heard(lab, attack), []);
  await lab.fault('agent', 'n1', 'kill');
  await lab.run('n1', 'nft', 'delete', 'table', 'bridge', 'fairlead');
  assert.deepEqual(await heard(lab, attack), names(frames), 'the holes are real');
  for (const chain of ['vxlan-from-nodes', 'policy-input-egress'])
    await lab.run('n1', 'nft', 'delete', 'chain', 'inet', 'fairlead', chain);
  assert.deepEqual(await heard(lab, attack), names(forged), 'and the one that two chains see to');
  await lab.fault('agent', 'n1', 'start');
  await agentsReady(lab);
  assert.deepEqual(await heard(lab, attack), [], 'mended');
});
