import { join } from 'node:path';
import { clip, paint, table } from '../../cli/table.ts';
import type { PairStatus } from '../../model/api.ts';
import type { LabStatus } from '../cluster/status.ts';
import { ask } from '../control.ts';
import { CONTROL_SOCKET } from '../options.ts';
import type { ProbeResult } from '../prober/types.ts';
import type { Topology } from '../topology/topology.ts';
import type { LaunchedLab } from './launcher.ts';
import { flagsOf, type LabState } from './state.ts';

const REFRESH = 1000;

/** What a newcomer needs to know once the lab is up. */
export function summary(state: LabState, { nodes }: Topology, milliseconds: number): string {
  const flags = flagsOf(state);
  const kubeconfig = join(state.dir, 'kubeconfig');
  const node = nodes[0]?.name ?? 'n1';
  const podded = nodes.find(({ pods }) => pods > 0);
  const first = podded && `default/${podded.name}-a`;
  return [
    `Lab "${state.name}" is up after ${(milliseconds / 1000).toFixed(1)} s. In another terminal:`,
    `  export KUBECONFIG=${kubeconfig}`,
    '  kubectl get nodes,pods -A -o wide',
    `  ./fairlead lab exec${flags} ${node} -- fairlead status`,
    ...(first ? [`  ./fairlead lab exec${flags} ${first} -- ip addr`] : []),
    `  ./fairlead lab fault${flags} list        ./fairlead lab down${flags}`,
  ].join('\n');
}

/** Shows the lab until it ends: a table that stays live on a terminal, else once in plain lines. */
export async function showLive(lab: LaunchedLab, topology: Topology): Promise<void> {
  const words = summary(lab.state, topology, lab.milliseconds);
  const control = join(lab.state.dir, CONTROL_SOCKET);
  let over = false;
  void lab.ended.then(() => {
    over = true;
  });
  if (!process.stdout.isTTY) {
    console.log(`${onePage(await picture(control))}\n${words}`);
    await lab.ended;
    return;
  }
  process.stdout.write('\x1b[2J');
  while (!over) {
    const { columns } = process.stdout;
    const parts = await picture(control, columns).catch(async (error: Error) => {
      // The lab may be ending, and then there is nothing more to show.
      await Promise.race([lab.ended, pause()]);
      return [error.message];
    });
    if (over) break;
    process.stdout.write(frame([...parts, words, 'Ctrl-C ends the lab.'], process.stdout));
    await Promise.race([lab.ended, pause()]);
  }
  console.log(`lab "${lab.state.name}" ended`);
}

const pause = () => new Promise<void>((resolve) => setTimeout(resolve, REFRESH));

/** Parts one below the other, each after an empty line. */
export const onePage = (parts: readonly string[]): string => parts.filter(Boolean).join('\n\n');

/** The part that a low terminal goes without: the matrix names the pods, too. */
const PODS = 1;

/**
 * The text drawn over the one before, without wiping the screen in between. What does not fit is cut: at the right, and below, where the
 * terminal would scroll it away line by line.
 */
function frame(parts: readonly string[], { columns, rows }: { columns: number; rows: number }): string {
  const fit = (some: readonly string[]) => clip(onePage(some), columns).split('\n');
  const all = fit(parts);
  const lines = all.length < rows ? all : fit(parts.filter((_, i) => i !== PODS));
  const shown = lines.length < rows ? lines : [...lines.slice(0, rows - 2), '…'];
  return `\x1b[H${shown.map((line) => `${line}\x1b[K\n`).join('')}\x1b[J`;
}

/** Three texts: nodes, pods, who reaches whom. In fewer columns some of it is left out. */
export async function picture(control: string, columns = Number.POSITIVE_INFINITY): Promise<string[]> {
  const [status, pairs] = await Promise.all([
    ask<LabStatus>(control, 'status'),
    ask<ProbeResult[]>(control, 'matrix'),
  ]);
  return [nodesTable(status, columns), podsTable(status), matrixTable(status, pairs, columns)];
}

/** The first of these that a narrow terminal goes without. */
const EXPENDABLE = ['RSS', 'POD MTU', 'ADDRESSES', 'POD CIDRS'];

function nodesTable({ nodes }: LabStatus, columns: number): string {
  const cells = nodes.map((node) => ({
    NODE: node.name,
    READY: node.ready ? paint('green', 'yes') : paint('red', `no: ${node.reason}`),
    AGENT: node.agent.state === 'ready' ? paint('green', 'ready') : paint('yellow', node.agent.state),
    RSS: node.agent.rss === undefined ? '' : `${node.agent.rss} MB`,
    'POD MTU': node.agent.podMtu === undefined ? '' : String(node.agent.podMtu),
    ADDRESSES: node.addresses.join(' '),
    'POD CIDRS': node.podCidrs.join(' '),
    TRANSPORTS: transportsCell(node.agent.pairs),
  }));
  for (let left = 0; ; left++) {
    const without: readonly string[] = EXPENDABLE.slice(0, left);
    const head = Object.keys(cells[0] ?? {}).filter((name) => !without.includes(name));
    const text = table(
      head,
      cells.map((row) => Object.entries(row).flatMap(([name, cell]) => (head.includes(name) ? [cell] : []))),
    );
    if (left === EXPENDABLE.length || fits(text, columns)) return text;
  }
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
const FAMILY_NAMES = { ipv4: 'IPv4', ipv6: 'IPv6' };

/** One row an asker, one column an asked; a mark each family. */
function matrixTable({ pods }: LabStatus, pairs: readonly ProbeResult[], columns: number): string {
  const names = pods.filter((pod) => pod.running).map((pod) => pod.name);
  const good = pairs.filter((pair) => pair.verdict === 'allowed').length;
  const line = `${good} of ${pairs.length} TCP probes between pods answered`;
  if (pairs.length === 0) return line;
  const short = (name: string) => name.replace(/^default\//, '');
  const cell = (from: string, to: string) =>
    from === to
      ? '·'
      : pairs
          .filter((pair) => pair.from === from && pair.to === to)
          .map((pair) => MARK[pair.verdict])
          .join('');
  const rows = names.map((from) => [short(from), ...names.map((to) => cell(from, to))]);
  const matrix = table(['FROM \\ TO', ...names.map(short)], rows);
  if (names.length > MAX_COLUMNS || !fits(matrix, columns)) return [line, ...unanswered(pairs)].join('\n');
  const families = [...new Set(pairs.map(({ family }) => FAMILY_NAMES[family]))];
  return `${matrix}\n${line} (each cell: ${families.join(', ')})`;
}

const MOST_UNANSWERED = 10;

/** Instead of a matrix that would be too large: the first pairs that it would be read for. */
function unanswered(pairs: readonly ProbeResult[]): string[] {
  const bad = pairs.filter((pair) => pair.verdict !== 'allowed');
  const lines = bad
    .slice(0, MOST_UNANSWERED)
    .map(({ from, to, family, verdict }) => `  ${from} → ${to} ${FAMILY_NAMES[family]} ${verdict}`);
  return bad.length > MOST_UNANSWERED ? [...lines, `  and ${bad.length - MOST_UNANSWERED} more`] : lines;
}

const fits = (text: string, columns: number): boolean => clip(text, columns) === text;
