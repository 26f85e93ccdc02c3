/** Policies beside another network (`--run-router=false`): its bridge, its conflist, its routes; only the rules are ours. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, Lab } from '../../src/lab/client.ts';

const POLICIES = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies';

interface NodeObject {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly podCIDRs: readonly string[] };
  readonly status: { readonly addresses: readonly { readonly type: string; readonly address: string }[] };
}

/** What kubenet and the like do: one bridge, host-local, static routes to the other nodes. */
async function otherNetwork(lab: Lab): Promise<void> {
  const nodes = await lab.api.list<NodeObject>('/api/v1/nodes');
  for (const { metadata, spec } of nodes) {
    const { name } = metadata;
    const conflist = {
      cniVersion: '1.0.0',
      name: 'other',
      plugins: [
        {
          type: 'bridge',
          bridge: 'cni0',
          isGateway: true,
          hairpinMode: true,
          ipam: {
            type: 'host-local',
            ranges: spec.podCIDRs.map((subnet) => [{ subnet }]),
            routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
          },
        },
      ],
    };
    const file = '/run/cni/net.d/10-other.conflist';
    await lab.run(
      name,
      'sh',
      '-c',
      `mkdir -p /run/cni/net.d && cat > ${file} <<'END'\n${JSON.stringify(conflist)}\nEND`,
    );
    await lab.run(name, 'sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1');
    for (const peer of nodes.filter((node) => node.metadata.name !== name))
      for (const cidr of peer.spec.podCIDRs) {
        const via = peer.status.addresses.find(
          ({ type, address }) => type === 'InternalIP' && address.includes(':') === cidr.includes(':'),
        );
        await lab.run(name, 'ip', 'route', 'replace', cidr, 'via', via?.address ?? '', 'proto', 'static');
      }
  }
}

test("policies hold on another network's pods, and nothing else of it is touched", async () => {
  const config = { router: { enabled: false } };
  await using lab = await Lab.start({ nodes: 2, pods: 2, segments: 1, agents: false, config });
  await otherNetwork(lab);
  await lab.settled();
  const before = await lab.run(
    'n1',
    'sh',
    '-c',
    'ip route; ip -6 route | grep -v linkdown; ip -br link; ls /run/cni/net.d',
  );
  const told = async () => JSON.stringify(await lab.api.get<{ status: unknown }>('/api/v1/nodes/n1'));
  for (const node of ['n1', 'n2']) await lab.fault('agent', node, 'start');
  await eventually(async () => {
    for (const node of ['n1', 'n2']) assert.equal((await lab.agent(node)).state, 'ready');
  });
  await lab.api.patch('/api/v1/namespaces/default/pods/n2-a', { metadata: { labels: { role: 'friend' } } });
  await lab.api.create(POLICIES, {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'friends' },
    spec: {
      podSelector: {},
      policyTypes: ['Ingress'],
      ingress: [{ from: [{ podSelector: { matchLabels: { role: 'friend' } } }] }],
    },
  });
  const verdicts = async () => {
    const allowed = (await lab.matrix()).filter(({ verdict }) => verdict === 'allowed');
    return allowed.map(({ from, to, family }) => `${from} ${to} ${family}`.replaceAll('default/', '')).sort();
  };
  const friend = ['n1-a', 'n1-b', 'n2-b'].flatMap((to) =>
    ['ipv4', 'ipv6'].map((family) => `n2-a ${to} ${family}`),
  );
  await eventually(async () => assert.deepEqual(await verdicts(), friend));
  assert.equal((await lab.probe('n1', 'default/n1-a')).verdict, 'allowed', 'a node reaches its own pods');
  const after = await lab.run(
    'n1',
    'sh',
    '-c',
    'ip route; ip -6 route | grep -v linkdown; ip -br link; ls /run/cni/net.d',
  );
  assert.equal(after, before);
  const node = await told();
  assert.doesNotMatch(node, /fairlead\.io/, 'no annotation of ours');
  assert.match(
    node,
    /"type":"NetworkUnavailable","status":"True"/,
    'its condition is the other network’s to clear',
  );
  await lab.api.delete(`${POLICIES}/friends`);
  await eventually(async () => assert.equal((await verdicts()).length, 24));
});
