/** Node peers of ClusterNetworkPolicies are Nodes under all their addresses: those of bridge and tunnel are no way around. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, Lab } from '../../src/lab/client.ts';
import { CLUSTER_POLICIES, installClusterPolicyCrd } from '../support/policy/crd.ts';
import { agentsReady } from './support/expect.ts';

const NO_NODES = {
  apiVersion: 'policy.networking.k8s.io/v1alpha2',
  kind: 'ClusterNetworkPolicy',
  metadata: { name: 'no-nodes' },
  spec: {
    tier: 'Admin',
    priority: 1,
    subject: { namespaces: {} },
    egress: [{ action: 'Deny', to: [{ nodes: {} }] }],
  },
};

test('pods that may not speak to Nodes reach none of them, by none of its addresses', async () => {
  await using lab = await Lab.start({ nodes: 2, pods: 1, transport: 'vxlan' });
  await agentsReady(lab);
  const { nodes } = await lab.status();
  const addresses = nodes.flatMap(({ addresses, podCidrs }, i) => [
    ...addresses,
    ...podCidrs.map((cidr) => cidr.replace(/(?<=[.:])0?\/\d+$/, '1')),
    `10.244.${i}.0`,
  ]);
  assert.equal(addresses.length, 2 * 5, addresses.join());
  const open = async () => {
    const answers = await lab.ask(
      addresses.map((to) => ({
        from: 'default/n1-a',
        to,
        family: to.includes(':') ? ('ipv6' as const) : ('ipv4' as const),
        protocol: 'icmp' as const,
        port: 0,
        timeout: 500,
      })),
    );
    return answers.filter(({ verdict }) => verdict === 'allowed').map(({ to }) => to);
  };
  await eventually(async () => assert.deepEqual(await open(), addresses));
  await installClusterPolicyCrd(lab.api);
  await eventually(() => lab.api.create(CLUSTER_POLICIES, NO_NODES));
  await eventually(async () => assert.deepEqual(await open(), []), 20_000);
  const { verdict } = await lab.probe('default/n1-a', 'default/n2-a');
  assert.equal(verdict, 'allowed');
});
