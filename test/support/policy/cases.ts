/** Reads cases of policies of both formats (test/conformance/data/netpol-cases/README.md, cnp-cases/README.md) into one. */
import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Action, actionOf } from './actions.ts';
import { clusterFile } from './cluster-file.ts';
import { CaseError, Field } from './field.ts';
import { type CasePod, type ClusterFile, ClusterState, type Protocol } from './state.ts';

export interface PolicyCase {
  readonly name: string;
  /** Where it was read from, for who must find it again. */
  readonly file: string;
  readonly cluster: ClusterFile;
  /** Pods that are created on the way: their nodes and addresses are known beforehand. */
  readonly laterPods: readonly CasePod[];
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

/** A file of a folder: a case, or why it is none. */
export type CaseOrError =
  | { readonly file: string; readonly one: PolicyCase }
  | { readonly file: string; readonly error: string };

/** All cases of a folder, in order of name. Throws at the first that is none. */
export function readCases(kind: CaseKind, folder: string): readonly PolicyCase[] {
  return readEach(kind, folder).map((read) => {
    if ('error' in read) throw new CaseError(`${read.file}: ${read.error}`);
    return read.one;
  });
}

/** Every file below a folder (or the one file) but those that a case names as its cluster. */
export function readEach(kind: CaseKind, path: string): readonly CaseOrError[] {
  if (!existsSync(path)) throw new CaseError(`no folder ${path}`);
  const files = statSync(path).isDirectory()
    ? globSync('**/*.json', { cwd: path })
        .sort()
        .map((file) => join(path, file))
    : [path];
  const clusters = new Map<string, ClusterFile>();
  const cluster = (place: string): ClusterFile => {
    const known = clusters.get(place) ?? inFile(place, () => clusterFile(parse(place)));
    clusters.set(place, known);
    return known;
  };
  const read = files.map((file): CaseOrError => {
    try {
      const raw = parse(file);
      const place = clusterPath(dirname(file), raw.at('cluster'));
      return { file, one: caseOf(kind, file, raw, cluster(place)) };
    } catch (error) {
      if (!(error instanceof CaseError)) throw error;
      return { file, error: error.message };
    }
  });
  // A cluster file has no steps; nor has it need of any.
  return read.filter((one) => 'one' in one || !(clusters.has(one.file) || isClusterFile(one.file)));
}

function caseOf(kind: CaseKind, file: string, raw: Field, cluster: ClusterFile): PolicyCase {
  const [wanted, other] =
    kind === 'policy' ? (['steps', 'subtests'] as const) : (['subtests', 'steps'] as const);
  if (raw.at(wanted).absent) {
    const hint = raw.at(other).absent ? '' : `; a case with ${other} is one of the other kind`;
    throw new CaseError(`${wanted} is not there: a case of kind ${kind} has it${hint}`);
  }
  const steps = kind === 'policy' ? netpolSteps(raw) : cnpSteps(raw);
  const actions = steps.flatMap((step) => step.actions);
  const laterPods = actions.flatMap(({ pod }) => pod ?? []);
  // What is wrong with the cluster is told here, and not when a lab of all cases is made.
  new ClusterState(cluster, laterPods);
  return {
    name: raw.at('name').absent ? basename(file, '.json') : raw.at('name').text(),
    file,
    cluster,
    laterPods,
    blocks: actions.some(({ body }) => /"(ipBlock|networks)":/.test(JSON.stringify(body))),
    steps,
  };
}

/** `cluster` is said from the folder that holds `cases/`, or from where the case lies. */
function clusterPath(dir: string, field: Field): string {
  const name = field.absent ? 'cluster.json' : field.text();
  const places = [join(dir, '..', name), join(dir, name)];
  return (
    places.find((place) => existsSync(place)) ?? throws(`cluster: there is no ${places.join(' and no ')}`)
  );
}

function isClusterFile(path: string): boolean {
  try {
    const file = parse(path);
    return (
      !file.at('namespaces').absent &&
      !file.at('pods').absent &&
      file.at('steps').absent &&
      file.at('subtests').absent
    );
  } catch {
    return false;
  }
}

function parse(path: string): Field {
  try {
    return new Field(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    return throws(`is no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function inFile<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof CaseError) throw new CaseError(`${path}: ${error.message}`);
    throw error;
  }
}

// NetworkPolicy: tables

function netpolSteps(raw: Field): readonly CaseStep[] {
  return raw
    .at('steps')
    .items()
    .map((step, i) => {
      const name = portNameOf(step.at('probe'));
      const order = step.at('order').absent ? undefined : step.at('order').texts();
      const tables = step
        .at('expected')
        .entries()
        .map(([table, rows]) => ({ field: rows, table, rows: rows.texts() }));
      return {
        title: `step ${i + 1}`,
        actions: step.at('actions').items().map(actionOf),
        cells: (state: ClusterState) => {
          const there = [...state.pods.keys()].sort();
          const named = order ?? there;
          if ([...named].sort().join(' ') !== there.join(' '))
            return step.at('order').fail(`there are ${there.join(', ')}`);
          return tables.flatMap((table) => tableCells(state, { ...table, order: named, name }));
        },
      };
    });
}

/** The container port name that a probe asks for, if it asks for one. Numbers stand in the names of the tables. */
function portNameOf(probe: Field): string | undefined {
  if (probe.absent) return undefined;
  const port = probe.at('port').value;
  return probe.at('kind').oneOf('all-available', 'port') === 'port' && typeof port === 'string'
    ? port
    : undefined;
}

interface VerdictTable {
  readonly field: Field;
  /** `TCP/80`. */
  readonly table: string;
  readonly rows: readonly string[];
  readonly order: readonly string[];
  /** Container port name that is resolved on each destination. */
  readonly name: string | undefined;
}

function tableCells(state: ClusterState, { field, table, rows, order, name }: VerdictTable): readonly Cell[] {
  const [protocol = '', place = ''] = table.split('/');
  if (protocol !== 'TCP' && protocol !== 'UDP' && protocol !== 'SCTP')
    return field.fail(`${protocol} is not TCP, UDP or SCTP`);
  if (rows.length !== order.length || rows.some((row) => row.length !== order.length))
    return field.fail(`must be ${order.length} rows of ${order.length} signs, as there are pods`);
  return rows.flatMap((row, i) =>
    [...row].flatMap((sign, j): Cell[] => {
      const from = order[i] ?? '';
      const to = order[j] ?? '';
      if (sign === '-' || sign === '?') return [];
      if (sign !== '.' && sign !== 'X')
        return field.fail(`sign ${JSON.stringify(sign)} of row ${from} is not one of . X - ?`);
      const port = name === undefined ? Number(place) : numberOf(state, to, protocol, name, Number(place));
      if (port === undefined || !Number.isInteger(port))
        return field.fail(
          `${from} → ${to}: which port? ${to} has no ${protocol} port of name ${name ?? place}`,
        );
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

// ClusterNetworkPolicy: probes

function cnpSteps(raw: Field): readonly CaseStep[] {
  const steps = raw
    .at('subtests')
    .items()
    .flatMap((subtest, n) => {
      const name = subtest.at('name').absent ? `subtest ${n + 1}` : subtest.at('name').text();
      return subtest
        .at('steps')
        .items()
        .map((step, i) => {
          const probes = step.at('probes').items().map(probeOf);
          return {
            title: `${name}, step ${i + 1}`,
            actions: step.at('actions').items().map(actionOf),
            cells: (state: ClusterState) => probes.map((probe) => cnpCell(state, probe)),
          };
        });
    });
  return [{ title: 'setup', actions: raw.at('setup').items().map(actionOf), cells: () => [] }, ...steps];
}

interface CnpProbe extends Omit<Cell, 'name'> {
  readonly field: Field;
}

const probeOf = (field: Field): CnpProbe => ({
  field,
  from: field.at('from').name(),
  to: field.at('to').name(),
  protocol: field.at('protocol').oneOf('TCP', 'UDP', 'SCTP'),
  port: field.at('port').port(),
  expected: field.at('expect').oneOf('allow', 'deny') === 'allow' ? 'allowed' : 'dropped',
});

function cnpCell(state: ClusterState, { field, ...probe }: CnpProbe): Cell {
  for (const end of ['from', 'to'] as const)
    if (!state.pods.has(probe[end])) return field.at(end).fail('there is no such pod');
  return { name: `${probe.protocol}/${probe.port} ${probe.from} → ${probe.to}`, ...probe };
}

function throws(words: string): never {
  throw new CaseError(words);
}
