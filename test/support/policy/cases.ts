/** Reads cases of policies of both formats (test/conformance/data/netpol-cases/README.md, cnp-cases/README.md) into one. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Action, ClusterFile, ClusterState, Protocol } from './state.ts';

export interface PolicyCase {
  readonly name: string;
  readonly cluster: ClusterFile;
  /** Nodes that pods created later ask for, too. */
  readonly nodes: readonly string[];
  /** An address block appears in one of its policies: then each family is a case of its own. */
  readonly blocks: boolean;
  readonly steps: readonly CaseStep[];
}

export interface CaseStep {
  readonly title: string;
  readonly actions: readonly Action[];
  /** What must then be, after the actions were done to `state`. */
  readonly cells: (state: ClusterState) => readonly Cell[];
}

/** One question of a case and its answer. `blocked`: dropped or rejected, `dropped`: no answer at all. */
export interface Cell {
  /** `TCP/80 x/a → y/b`. */
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly expected: 'allowed' | 'blocked' | 'dropped';
}

export type CaseKind = 'policy' | 'cluster-policy';

/** All cases of a folder, in order of name. */
export function readCases(kind: CaseKind, folder: string): readonly PolicyCase[] {
  if (!existsSync(folder)) throw new Error(`no folder ${folder}`);
  const files = globSync('**/*.json', { cwd: folder }).sort();
  const clusters = new Map<string, ClusterFile>();
  const cluster = (path: string): ClusterFile => {
    const known = clusters.get(path) ?? parse<ClusterFile>(path);
    clusters.set(path, known);
    return known;
  };
  return files.flatMap((file) => {
    const path = join(folder, file);
    const raw = parse<Partial<NetpolCase & CnpCase>>(path);
    if (kind === 'policy' ? raw.steps === undefined : raw.subtests === undefined) return [];
    const name = raw.name ?? basename(file, '.json');
    const place = clusterPath(dirname(path), raw.cluster ?? 'cluster.json');
    const steps = kind === 'policy' ? netpolSteps(raw as NetpolCase) : cnpSteps(raw as CnpCase);
    const created = steps.flatMap(({ actions }) =>
      actions.map((action) => action['create-pod'] as { node?: string }),
    );
    return [
      {
        name,
        cluster: cluster(place),
        nodes: created.flatMap((pod) => (pod?.node === undefined ? [] : [pod.node])),
        blocks: steps.some(({ actions }) => /"(ipBlock|networks)":/.test(JSON.stringify(actions))),
        steps,
      },
    ];
  });
}

/** `cluster` is said from the folder that holds `cases/`, or from where the case lies. */
function clusterPath(dir: string, name: string): string {
  const places = [join(dir, '..', name), join(dir, name)];
  return places.find((place) => existsSync(place)) ?? throws(`${dir}: no ${name}`);
}

const parse = <T>(path: string): T => JSON.parse(readFileSync(path, 'utf8')) as T;

interface NetpolCase {
  readonly name?: string;
  readonly cluster?: string;
  readonly steps: readonly {
    readonly actions?: readonly Action[];
    readonly probe: { readonly kind: string; readonly protocol?: string; readonly port?: number | string };
    readonly order: readonly string[];
    readonly expected: Readonly<Record<string, readonly string[]>>;
  }[];
}

function netpolSteps({ steps }: NetpolCase): readonly CaseStep[] {
  return steps.map((step, i) => ({
    title: `step ${i + 1}`,
    actions: step.actions ?? [],
    cells: (state) => {
      const { kind, port } = step.probe;
      if (kind !== 'all-available' && kind !== 'port')
        return throws(`unknown probe ${JSON.stringify(step.probe)}`);
      const name = typeof port === 'string' ? port : undefined;
      const there = [...state.pods.keys()].sort().join(' ');
      if ([...step.order].sort().join(' ') !== there)
        return throws(`order is ${step.order}, but there are ${there}`);
      return Object.entries(step.expected).flatMap(([table, rows]) =>
        tableCells(state, { table, rows, order: step.order, name }),
      );
    },
  }));
}

interface VerdictTable {
  /** `TCP/80`. */
  readonly table: string;
  readonly rows: readonly string[];
  readonly order: readonly string[];
  /** Container port name that is resolved on each destination. */
  readonly name: string | undefined;
}

function tableCells(state: ClusterState, { table, rows, order, name }: VerdictTable): readonly Cell[] {
  const [protocol = '', place = ''] = table.split('/');
  if (protocol !== 'TCP' && protocol !== 'UDP' && protocol !== 'SCTP')
    return throws(`unknown table ${table}`);
  if (rows.length !== order.length || rows.some((row) => row.length !== order.length))
    return throws(`${table} is not ${order.length} by ${order.length}`);
  return rows.flatMap((row, i) =>
    [...row].flatMap((sign, j): Cell[] => {
      const from = order[i] ?? '';
      const to = order[j] ?? '';
      if (sign === '-' || sign === '?') return [];
      if (sign !== '.' && sign !== 'X') return throws(`${table}: unknown sign ${JSON.stringify(sign)}`);
      const port = name === undefined ? Number(place) : numberOf(state, to, protocol, name, Number(place));
      if (port === undefined || !Number.isInteger(port))
        return throws(`${table} ${from} → ${to}: which port? ${to} has no ${protocol} port of name ${name}`);
      return [
        {
          name: `${table} ${from} → ${to}`,
          from,
          to,
          protocol,
          port,
          expected: sign === '.' ? 'allowed' : 'blocked',
        },
      ];
    }),
  );
}

/** The number of a port name on a pod; of several the one that the table is called by. */
function numberOf(
  state: ClusterState,
  pod: string,
  protocol: Protocol,
  name: string,
  wanted: number,
): number | undefined {
  const ports = state
    .portsOf(state.pod(pod))
    .filter((port) => port.name === name && port.protocol === protocol);
  return (ports.find(({ port }) => port === wanted) ?? ports[0])?.port;
}

interface CnpCase {
  readonly name?: string;
  readonly cluster?: string;
  readonly setup?: readonly Action[];
  readonly subtests: readonly {
    readonly name: string;
    readonly steps: readonly { readonly actions?: readonly Action[]; readonly probes: readonly CnpProbe[] }[];
  }[];
}

interface CnpProbe {
  readonly from: string;
  readonly to: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly expect: string;
}

function cnpSteps({ setup = [], subtests }: CnpCase): readonly CaseStep[] {
  const steps = subtests.flatMap(({ name, steps }) =>
    steps.map(({ actions = [], probes }, i) => ({
      title: `${name}, step ${i + 1}`,
      actions,
      cells: (state: ClusterState) => probes.map((probe) => cnpCell(state, probe)),
    })),
  );
  return [{ title: 'setup', actions: setup, cells: () => [] }, ...steps];
}

function cnpCell(state: ClusterState, { from, to, protocol, port, expect }: CnpProbe): Cell {
  for (const name of [from, to]) state.pod(name);
  if (expect !== 'allow' && expect !== 'deny') return throws(`unknown expectation ${JSON.stringify(expect)}`);
  const name = `${protocol}/${port} ${from} → ${to}`;
  return { name, from, to, protocol, port, expected: expect === 'allow' ? 'allowed' : 'dropped' };
}

function throws(words: string): never {
  throw new Error(words);
}
