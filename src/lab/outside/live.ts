import { join } from 'node:path';
import { paint, table } from '../../cli/table.ts';
import type { PairStatus } from '../../model/api.ts';
import type { LabStatus } from '../cluster/status.ts';
import { ask } from '../control.ts';
import { CONTROL_SOCKET } from '../options.ts';
import type { ProbeResult } from '../prober/types.ts';
import type { LaunchedLab } from './launcher.ts';
import type { LabState } from './state.ts';

const REFRESH = 1000;

/** What a newcomer needs to know once the lab is up. */
export function summary(state: LabState, milliseconds: number): string {
  const name = state.name === 'default' ? '' : ` --name ${state.name}`;
  const kubeconfig = join(state.dir, 'kubeconfig');
  return [
    `Lab "${state.name}" is up after ${(milliseconds / 1000).toFixed(1)} s. In another terminal:`,
    `  export KUBECONFIG=${kubeconfig}`,
    '  kubectl get nodes,pods -A -o wide',
    `  ./fairlead lab exec${name} n1 -- fairlead status`,
    `  ./fairlead lab exec${name} default/n1-a -- ip addr`,
    `  ./fairlead lab fault${name} list        ./fairlead lab down${name}`,
  ].join('\n');
}

/** Shows the lab until it ends: a table that stays live on a terminal, else once in plain lines. */
export async function showLive(lab: LaunchedLab): Promise<void> {
  const words = summary(lab.state, lab.milliseconds);
  const control = join(lab.state.dir, CONTROL_SOCKET);
  let over = false;
  void lab.ended.then(() => {
    over = true;
  });
  if (!process.stdout.isTTY) {
    console.log(`${await picture(control)}\n${words}`);
    await lab.ended;
    return;
  }
  while (!over) {
    const text = await picture(control).catch((error: Error) => error.message);
    if (over) break;
    process.stdout.write(`\x1b[H\x1b[2J${text}\n\n${words}\n\nCtrl-C ends the lab.\n`);
    await Promise.race([lab.ended, new Promise((resolve) => setTimeout(resolve, REFRESH))]);
  }
  console.log(`lab "${lab.state.name}" ended`);
}

/** Nodes, pods, and who reaches whom, as text. */
export async function picture(control: string): Promise<string> {
  const [status, pairs] = await Promise.all([
    ask<LabStatus>(control, 'status'),
    ask<ProbeResult[]>(control, 'matrix'),
  ]);
  return [nodesTable(status), podsTable(status), matrixTable(status, pairs)]
    .filter((part) => part !== '')
    .join('\n\n');
}

function nodesTable({ nodes }: LabStatus): string {
  return table(
    ['NODE', 'READY', 'AGENT', 'RSS', 'POD MTU', 'ADDRESSES', 'POD CIDRS', 'TRANSPORTS'],
    nodes.map((node) => [
      node.name,
      node.ready ? paint('green', 'yes') : paint('red', `no: ${node.reason}`),
      node.agent.state === 'ready' ? paint('green', 'ready') : paint('yellow', node.agent.state),
      node.agent.rss === undefined ? '' : `${node.agent.rss} MB`,
      node.agent.podMtu === undefined ? '' : String(node.agent.podMtu),
      node.addresses.join(' '),
      node.podCidrs.join(' '),
      transportsCell(node.agent.pairs),
    ]),
  );
}

/** Each peer by name, or with many peers how many go by which transport. */
function transportsCell(pairs: readonly PairStatus[]): string {
  if (pairs.length <= 5) return pairs.map((pair) => `${pair.node}:${pair.transport}`).join(' ');
  const counts = new Map<string, number>();
  for (const { transport } of pairs) counts.set(transport, (counts.get(transport) ?? 0) + 1);
  return [...counts].map(([transport, count]) => `${transport}×${count}`).join(' ');
}

function podsTable({ pods }: LabStatus): string {
  return table(
    ['POD', 'NODE', 'STATE', 'ADDRESSES'],
    pods.map((pod) => [
      pod.name,
      pod.node,
      pod.running ? paint('green', 'Running') : paint('yellow', pod.problem || 'starting'),
      pod.ips.join(' '),
    ]),
  );
}

const MARK = { allowed: paint('green', '✓'), dropped: paint('red', '✗'), rejected: paint('yellow', 'r') };
const MAX_COLUMNS = 16;

/** One row an asker, one column an asked; a mark each family. */
function matrixTable({ pods }: LabStatus, pairs: readonly ProbeResult[]): string {
  const names = pods.filter((pod) => pod.running).map((pod) => pod.name);
  const good = pairs.filter((pair) => pair.verdict === 'allowed').length;
  const line = `${good} of ${pairs.length} TCP probes between pods answered`;
  if (names.length > MAX_COLUMNS || names.length === 0) return line;
  const short = (name: string) => name.replace(/^default\//, '');
  const cell = (from: string, to: string) =>
    from === to
      ? '·'
      : pairs
          .filter((pair) => pair.from === from && pair.to === to)
          .map((pair) => MARK[pair.verdict])
          .join('');
  const rows = names.map((from) => [short(from), ...names.map((to) => cell(from, to))]);
  return `${table(['FROM \\ TO', ...names.map(short)], rows)}\n${line} (each cell: IPv4, IPv6)`;
}
