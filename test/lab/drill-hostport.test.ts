/** hostPort, through the CNI plugin portmap in our conflist. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { eventually, Lab } from '../../src/lab/client.ts';
import { agentsReady, line } from './support/expect.ts';

const iptables = ['/usr/sbin/iptables', '/sbin/iptables', '/usr/bin/iptables'].some(existsSync);
const skip = !iptables && 'cannot: no iptables here, which portmap calls';

test('hostPort: a pod is reached at its node, from outside and from another node, both families', {
  skip,
}, async () => {
  await using lab = await Lab.start({ nodes: 2, pods: 0 });
  await agentsReady(lab);
  await lab.api.create('/api/v1/namespaces/default/pods', {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      nodeName: 'n1',
      containers: [
        { name: 'c', image: 'i', ports: [{ containerPort: 8080, hostPort: 9090, protocol: 'TCP' }] },
      ],
    },
  });
  for (const family of ['ipv4', 'ipv6'] as const) {
    for (const from of ['outside', 'n2']) {
      await eventually(async () => {
        const result = await lab.probe(from, 'n1', { family, port: 9090 });
        assert.equal(result.verdict, 'allowed', line(result));
      });
    }
  }
});
