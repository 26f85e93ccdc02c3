/** Cases of policies in every way in which this machine can play them. */
import { join } from 'node:path';
import { kubeBinary } from '../../../scripts/kube.ts';
import { preflight } from '../../../src/lab/outside/preflight.ts';
import { describe } from '../../../src/model/errors.ts';
import { type CaseKind, type PolicyCase, readEach } from './cases.ts';
import { CaseError } from './field.ts';
import { LabBackend } from './lab-backend.ts';
import { PlannerBackend } from './planner-backend.ts';
import { differenceOf } from './run.ts';

export interface EverywhereFlags {
  readonly 'planner-only': boolean;
  readonly 'lab-only': boolean;
  readonly transport?: string | undefined;
  readonly api: string;
  /** Only cases whose name holds this. */
  readonly only: string;
}

const DATA = join(import.meta.dirname, '../../conformance/data');

/** The folders of cases that come with the product, and how many are in each. */
export const TABLES: readonly { readonly kind: CaseKind; readonly folder: string; readonly count: number }[] =
  [
    { kind: 'policy', folder: join(DATA, 'netpol-cases'), count: 230 },
    { kind: 'policy', folder: join(DATA, 'own-policy'), count: 51 },
    { kind: 'cluster-policy', folder: join(DATA, 'cnp-cases'), count: 24 },
    { kind: 'cluster-policy', folder: join(DATA, 'own-cluster-policy'), count: 32 },
  ];

interface Played {
  readonly name: string;
  readonly difference: string | undefined;
}

/** One verdict a case and way of playing it. */
export async function* policyCases(
  kind: CaseKind,
  folder: string,
  flags: EverywhereFlags,
): AsyncIterable<Played> {
  const { api, only, transport } = flags;
  if (api !== 'lab' && api !== 'real') throw new CaseError(`--api ${api}: lab or real`);
  const transports = transport === undefined ? (['layer2', 'vxlan'] as const) : [transportNamed(transport)];
  const read = readEach(kind, folder);
  for (const one of read)
    if ('error' in one && one.file.includes(only)) yield { name: one.file, difference: one.error };
  const cases = read.flatMap((one) => ('one' in one && one.one.name.includes(only) ? [one.one] : []));
  if (!flags['lab-only']) yield* onPlanner(cases);
  if (flags['planner-only'] || cases.length === 0) return;
  const lacks = labLacks();
  if (lacks !== undefined) {
    console.log(`NOT COVERED: real packets: ${lacks}`);
    if (flags['lab-only']) yield { name: 'lab', difference: lacks };
    return;
  }
  for (const one of transports) yield* orWhyNot(`lab of ${one}`, inLab(cases, one, api));
}

/** All cases through the planner of every node. */
async function* onPlanner(cases: readonly PolicyCase[]): AsyncIterable<Played> {
  const backend = new PlannerBackend();
  for (const one of cases)
    yield { name: `${one.name} (planner)`, difference: await differenceOf(one, backend) };
}

/** All cases in one lab, with real packets. */
export async function* inLab(
  cases: readonly PolicyCase[],
  transport: 'layer2' | 'vxlan',
  api: 'lab' | 'real',
): AsyncIterable<Played> {
  if (api === 'real') useRealServer();
  await using backend = await LabBackend.open(cases, { transport, api });
  for (const one of cases)
    yield {
      name: `${one.name} (${transport}, ${api} API server)`,
      difference: await differenceOf(one, backend),
    };
}

/** What ends a lab is one failure more, and not the end of what else there is to run. */
async function* orWhyNot(name: string, played: AsyncIterable<Played>): AsyncIterable<Played> {
  try {
    yield* played;
  } catch (error) {
    yield { name, difference: describe(error) };
  }
}

function transportNamed(name: string): 'layer2' | 'vxlan' {
  if (name !== 'layer2' && name !== 'vxlan') throw new CaseError(`--transport ${name}: layer2 or vxlan`);
  return name;
}

/** Why no lab can be had here; `undefined` = it can. */
export function labLacks(): string | undefined {
  try {
    preflight();
    return undefined;
  } catch (error) {
    return describe(error);
  }
}

function useRealServer(): void {
  if (process.env.FAIRLEAD_KUBE) return;
  const kube = kubeBinary();
  if ('missing' in kube) throw new Error(`no real kube-apiserver: ${kube.missing}`);
  process.env.FAIRLEAD_KUBE = kube.path;
}
