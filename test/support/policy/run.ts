/** Plays a case on something that knows verdicts: the planner with a fake machine, a lab with real packets, the naive evaluator. */
import { describe, FairleadError } from '../../../src/model/errors.ts';
import type { Action } from './actions.ts';
import type { CaseStep, Cell, PolicyCase } from './cases.ts';
import { CaseError } from './field.ts';
import { type Change, ClusterState, type Policy } from './state.ts';
import { filled, type IpFamily } from './templates.ts';

export interface Backend {
  /** The cluster becomes that of the state: no policies, these namespaces and pods. */
  start(state: ClusterState): Promise<void>;
  addressOf(pod: string, family: IpFamily): string;
  /** Called in order; policies have their addresses filled in. */
  change(change: Change): Promise<void>;
  /** What is otherwise than the cells say, a line each. Called after every step, also one without cells. */
  check(cells: readonly Cell[], families: readonly IpFamily[]): Promise<readonly string[]>;
}

/** All differences of a case, or `undefined` when there are none. Without address blocks both families are asked in one go. */
export async function differenceOf(one: PolicyCase, backend: Backend): Promise<string | undefined> {
  const passes: readonly (readonly IpFamily[])[] = one.blocks ? [['ipv4'], ['ipv6']] : [['ipv4', 'ipv6']];
  const lines: string[] = [];
  try {
    for (const families of passes) lines.push(...(await play(one, backend, families)));
  } catch (error) {
    lines.push(error instanceof CaseError ? `${one.file}: ${error.message}` : stackOf(error));
  }
  return lines.length === 0 ? undefined : lines.join('\n');
}

async function play(
  one: PolicyCase,
  backend: Backend,
  families: readonly IpFamily[],
): Promise<readonly string[]> {
  const state = new ClusterState(one.cluster, one.laterPods);
  await backend.start(state);
  const lines: string[] = [];
  let asked = 0;
  for (const step of one.steps) {
    for (const action of step.actions) await act(step, action, { state, backend, families });
    const cells = step.cells(state);
    asked += cells.length;
    const wrong = await backend.check(cells, families);
    lines.push(...shortened(wrong.map((line) => `${step.title}: ${line}`)));
  }
  if (asked === 0) throw new CaseError('it expects nothing: no cell, no probe');
  return lines;
}

interface Stage {
  readonly state: ClusterState;
  readonly backend: Backend;
  readonly families: readonly IpFamily[];
}

async function act({ title }: CaseStep, action: Action, stage: Stage): Promise<void> {
  const { state, backend } = stage;
  for (const change of action.applyTo(state)) {
    const full =
      change.kind === 'policy' && change.after
        ? { ...change, after: withAddresses(change.after, stage, `${title}, ${action.name}`) }
        : change;
    try {
      await backend.change(full);
    } catch (error) {
      // What an API server refuses is the case's fault.
      if (error instanceof FairleadError) throw new CaseError(`${title}, ${action.name}: ${describe(error)}`);
      throw error;
    }
  }
}

function withAddresses(policy: Policy, { state, backend, families }: Stage, place: string): Policy {
  const [family = 'ipv4'] = families;
  try {
    return filled(policy, { state, family, addressOf: (pod) => backend.addressOf(pod, family) });
  } catch (error) {
    throw new CaseError(`${place}: its addresses: ${describe(error)}`, { cause: error });
  }
}

const stackOf = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error);

const SHOWN = 12;

function shortened(lines: readonly string[]): readonly string[] {
  if (lines.length <= SHOWN) return lines;
  return [...lines.slice(0, SHOWN), `… and ${lines.length - SHOWN} more cells of this step`];
}

/** `ipv4 TCP/80 x/a → y/b: blocked, must be allowed (why)`. */
export function wrongCell(family: IpFamily, { name, expected }: Cell, got: string, why = ''): string {
  return `${family} ${name}: ${got}, must be ${expected}${why === '' ? '' : ` (${why})`}`;
}

/** The name again that each address has in one case. */
export class Addresses {
  readonly #of = new Map<string, Readonly<Record<IpFamily, string>>>();
  readonly #nodes = new Map<string, Readonly<Record<IpFamily, string>>>();
  #count = 0;

  /** The one that the case proposes, and one of the other family in a range of the node's own. */
  add(state: ClusterState, key: string): Readonly<Record<IpFamily, string>> {
    const pod = state.pod(key);
    const node = this.node(state, pod.node);
    const made = pod.hostNetwork ? node : this.#pair(pod.ip, nodeNumber(state, pod.node), ++this.#count);
    this.#of.set(key, made);
    return made;
  }

  /** A pod of its name that comes later has others. */
  remove(key: string): void {
    this.#of.delete(key);
  }

  find(key: string): Readonly<Record<IpFamily, string>> | undefined {
    return this.#of.get(key);
  }

  of(key: string): Readonly<Record<IpFamily, string>> {
    return this.find(key) ?? missing(key);
  }

  node(state: ClusterState, name: string): Readonly<Record<IpFamily, string>> {
    const known = this.#nodes.get(name);
    if (known) return known;
    const n = nodeNumber(state, name);
    const said = state.nodes.get(name)?.addresses ?? [];
    const made = {
      ipv4: said.find((address) => !address.includes(':')) ?? `10.0.0.${10 + n}`,
      ipv6: said.find((address) => address.includes(':')) ?? `2001:db8:0:1::${(10 + n).toString(16)}`,
    };
    this.#nodes.set(name, made);
    return made;
  }

  #pair(written: string, node: number, i: number): Readonly<Record<IpFamily, string>> {
    return written.includes(':')
      ? { ipv4: `10.199.${node}.${i + 1}`, ipv6: written }
      : { ipv4: written, ipv6: `fd00:10:244:${node.toString(16)}::${(i + 1).toString(16)}` };
  }
}

/** From 1, in order of name. */
export const nodeNumber = (state: ClusterState, name: string): number =>
  [...state.nodes.keys()].sort().indexOf(name) + 1;

function missing(key: string): never {
  throw new Error(`${key} has no address`);
}
