/**
 * One TCP flow between pods of two nodes, through what the agent programmed, against the same path by hand: the same `ip` commands and the
 * two lines of nft that masquerade pods (without them a pod reaches nothing outside). Agents are killed first, so that nothing is
 * repaired; both sides run in turn.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Lab } from '../src/lab/client.ts';
import { median } from './table.ts';

const FLOW = join(import.meta.dirname, 'tcp-flow.ts');
const NODES = ['n1', 'n2'];
const BY_HAND = [
  'add table inet hand; add chain inet hand post { type nat hook postrouting priority 100; };' +
    'add rule inet hand post ip saddr 10.244.0.0/16 ip daddr != 10.244.0.0/16 masquerade;' +
    'add rule inet hand post ip6 saddr fd00:10:244::/48 ip6 daddr != fd00:10:244::/48 masquerade',
];

export async function run(runs = 5, milliseconds = 1500): Promise<void> {
  console.log('transport family   ours MB/s   by hand MB/s   ratio (bar 0.99)');
  for (const transport of ['layer2', 'vxlan'] as const) {
    await using lab = await Lab.start({ nodes: 2, pods: 1, segments: 1, transport });
    const { pods } = await lab.status();
    const [from, to] = ['default/n1-a', 'default/n2-a'];
    const addresses = pods.find((pod) => pod.name === to)?.ips ?? [];
    for (const node of NODES) {
      await lab.fault('agent', node, 'kill');
      writeFileSync(file(lab, node), await lab.run(node, 'nft', 'list', 'table', 'inet', 'fairlead'));
    }
    void lab.exec(to, process.execPath, FLOW, 'receive', '7777');
    await setTimeout(500);
    for (const address of addresses) {
      const speeds: Record<'ours' | 'hand', number[]> = { ours: [], hand: [] };
      for (let i = 0; i < runs; i++) {
        for (const side of ['ours', 'hand'] as const) {
          for (const node of NODES) {
            await lab.exec(node, 'nft', 'delete', 'table', 'inet', 'fairlead');
            await lab.exec(node, 'nft', 'delete', 'table', 'inet', 'hand');
            if (side === 'ours') await lab.run(node, 'nft', '-f', file(lab, node));
            else await lab.run(node, 'nft', ...BY_HAND);
          }
          const printed = await lab.run(
            from,
            process.execPath,
            FLOW,
            'send',
            address,
            '7777',
            String(milliseconds),
          );
          speeds[side].push(Number(printed) / 1e6);
        }
      }
      const [ours, hand] = [median(speeds.ours), median(speeds.hand)];
      const family = address.includes(':') ? 'IPv6' : 'IPv4';
      console.log(
        `${transport.padEnd(9)} ${family}   ${ours.toFixed(0).padStart(9)}   ${hand.toFixed(0).padStart(12)}   ${(ours / hand).toFixed(3)}`,
      );
    }
  }
}

const file = (lab: Lab, node: string): string => join(lab.dir, `${node}.nft`);

if (import.meta.main) await run();
