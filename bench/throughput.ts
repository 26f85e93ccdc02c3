/**
 * One TCP flow between pods of two nodes, through what the agent programmed, against the same path by hand: the same `ip` commands and the
 * two lines of nft that masquerade pods (without them a pod reaches nothing outside). Agents are killed first, so that nothing is
 * repaired.
 *
 *   npm run bench -- throughput [--pairs 60] [--ms 300]
 *
 * Both sides run in turn, shortly and often (in-turn.ts). Sender and receiver are pinned to a processor each. The bar is that of the network alone;
 * what its user sees with network policy on, which by hand nobody has, stands below it (what policy may cost has its own bar: policy-path.ts).
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Lab } from '../src/lab/client.ts';
import { inTurn } from './in-turn.ts';

const FLOW = join(import.meta.dirname, 'tcp-flow.ts');
const NODES = ['n1', 'n2'];
const TO = 'default/n2-a';

const BY_HAND = `table inet hand {
  chain post {
    type nat hook postrouting priority 100;
    ip saddr 10.244.0.0/16 ip daddr != 10.244.0.0/16 masquerade
    ip6 saddr fd00:10:244::/48 ip6 daddr != fd00:10:244::/48 masquerade
  }
}
`;

type Side = 'ours' | 'hand';

async function run(pairs: number, milliseconds: number): Promise<void> {
  console.log('transport policy family   ours MB/s   by hand MB/s   ratio (bar 0.99)   standard error');
  for (const policy of [false, true]) {
    for (const transport of ['layer2', 'vxlan'] as const) {
      const config = { policy: { enabled: policy } };
      await using lab = await Lab.start({ nodes: 2, pods: 1, segments: 1, transport, config });
      for (const { family, to } of await prepare(lab)) {
        const speed = (side: Side) => () => flow(lab, side, to, milliseconds);
        const { ours, other, ratio, error } = await inTurn(pairs, speed('ours'), speed('hand'));
        const numbers = [ours.toFixed(0).padStart(9), other.toFixed(0).padStart(12)];
        console.log(
          `${transport.padEnd(9)} ${policy ? 'on ' : 'off'}    ${family}   ${numbers.join('   ')}   ${ratio.toFixed(3).padStart(16)}   ${error.toFixed(3).padStart(14)}`,
        );
      }
    }
  }
}

/** Somebody who receives, and the path by hand. Gives where to send to. */
async function prepare(lab: Lab): Promise<{ family: string; to: string }[]> {
  writeFileSync(join(lab.dir, 'hand.nft'), BY_HAND);
  for (const node of NODES) {
    await lab.fault('agent', node, 'kill');
    await lab.run(node, 'nft', '-f', join(lab.dir, 'hand.nft'));
  }
  const { pods } = await lab.status();
  void lab.exec(TO, ...pinned(1), FLOW, 'receive', '7777');
  await setTimeout(500);
  const ips = pods.find((pod) => pod.name === TO)?.ips ?? [];
  return ips.map((to) => ({ family: to.includes(':') ? 'IPv6' : 'IPv4', to }));
}

/** MB/s. */
async function flow(lab: Lab, side: Side, to: string, milliseconds: number): Promise<number> {
  for (const node of NODES) await turnTo(lab, node, side);
  // What is left to do for the kernel, and the end of nft.
  await setTimeout(50);
  const send = [FLOW, 'send', to, '7777', String(milliseconds)];
  return Number(await lab.run('default/n1-a', ...pinned(0), ...send)) / 1e6;
}

/** Tables that sleep have no chain in any hook; they wake by being named without the flag. */
async function turnTo(lab: Lab, node: string, side: Side): Promise<void> {
  const tables = (await lab.run(node, 'nft', 'list', 'tables')).trim().split('\n');
  const flags = (table: string) =>
    table.endsWith(' hand') === (side === 'hand') ? '' : ' { flags dormant; }';
  await lab.run(node, 'nft', tables.map((table) => `add ${table}${flags(table)}`).join('; '));
}

const pinned = (processor: number): string[] => ['taskset', '-c', String(processor), process.execPath];

if (import.meta.main) {
  const { values } = parseArgs({
    options: { pairs: { type: 'string', default: '60' }, ms: { type: 'string', default: '300' } },
  });
  await run(Number(values.pairs), Number(values.ms));
}
