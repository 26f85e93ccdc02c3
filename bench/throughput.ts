/**
 * One TCP flow between pods of two nodes, through what the agent programmed, against the same path by hand: the same `ip` commands and the
 * two lines of nft that masquerade pods (without them a pod reaches nothing outside). Agents are killed first, so that nothing is
 * repaired.
 *
 *   npm run bench -- throughput [--pairs 60] [--ms 300]
 *
 * Both sides run in turn, shortly and often (in-turn.ts). Sender and receiver are pinned to a processor each.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Lab } from '../src/lab/client.ts';
import { inTurn } from './in-turn.ts';

const FLOW = join(import.meta.dirname, 'tcp-flow.ts');
const NODES = ['n1', 'n2'];

const WITHOUT = ['fairlead', 'hand']
  .map((name) => `table inet ${name} {}\ndelete table inet ${name}\n`)
  .join('');
const BY_HAND = `table inet hand {
  chain post {
    type nat hook postrouting priority 100;
    ip saddr 10.244.0.0/16 ip daddr != 10.244.0.0/16 masquerade
    ip6 saddr fd00:10:244::/48 ip6 daddr != fd00:10:244::/48 masquerade
  }
}
`;

export async function run(pairs: number, milliseconds: number): Promise<void> {
  console.log('transport family   ours MB/s   by hand MB/s   ratio (bar 0.99)   standard error');
  for (const transport of ['layer2', 'vxlan'] as const) {
    await using lab = await Lab.start({ nodes: 2, pods: 1, segments: 1, transport });
    const { pods } = await lab.status();
    const to = 'default/n2-a';
    for (const node of NODES) {
      await lab.fault('agent', node, 'kill');
      const ours = await lab.run(node, 'nft', 'list', 'table', 'inet', 'fairlead');
      writeFileSync(file(lab, node, 'ours'), WITHOUT + ours);
      writeFileSync(file(lab, node, 'hand'), WITHOUT + BY_HAND);
    }
    void lab.exec(to, ...pinned(1), FLOW, 'receive', '7777');
    await setTimeout(500);
    for (const address of pods.find((pod) => pod.name === to)?.ips ?? []) {
      const speed = (side: 'ours' | 'hand') => async () => {
        for (const node of NODES) await lab.run(node, 'nft', '-f', file(lab, node, side));
        const flow = [FLOW, 'send', address, '7777', String(milliseconds)];
        return Number(await lab.run('default/n1-a', ...pinned(0), ...flow)) / 1e6;
      };
      const { ours, other, ratio, error } = await inTurn(pairs, speed('ours'), speed('hand'));
      const family = address.includes(':') ? 'IPv6' : 'IPv4';
      const numbers = [ours.toFixed(0).padStart(9), other.toFixed(0).padStart(12)];
      console.log(
        `${transport.padEnd(9)} ${family}   ${numbers.join('   ')}   ${ratio.toFixed(3).padStart(16)}   ${error.toFixed(3).padStart(14)}`,
      );
    }
  }
}

const pinned = (processor: number): string[] => ['taskset', '-c', String(processor), process.execPath];
const file = (lab: Lab, node: string, side: 'ours' | 'hand'): string => join(lab.dir, `${node}-${side}.nft`);

if (import.meta.main) {
  const { values } = parseArgs({
    options: { pairs: { type: 'string', default: '60' }, ms: { type: 'string', default: '300' } },
  });
  await run(Number(values.pairs), Number(values.ms));
}
