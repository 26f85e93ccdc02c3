/** Plays a case on something that knows verdicts: the planner with a fake machine, a lab with real packets, the naive evaluator. */
import type { Cell, PolicyCase } from './cases.ts';
import { type Change, ClusterState } from './state.ts';
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
    lines.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  return lines.length === 0 ? undefined : lines.join('\n');
}

async function play(
  one: PolicyCase,
  backend: Backend,
  families: readonly IpFamily[],
): Promise<readonly string[]> {
  const state = new ClusterState(one.cluster, one.nodes);
  const [family = 'ipv4'] = families;
  await backend.start(state);
  const lines: string[] = [];
  for (const step of one.steps) {
    for (const action of step.actions) {
      for (const change of state.apply(action)) {
        const addressOf = (pod: string) => backend.addressOf(pod, family);
        const full =
          change.kind === 'policy' && change.after
            ? { ...change, after: filled(change.after, { state, family, addressOf }) }
            : change;
        await backend.change(full);
      }
    }
    const wrong = await backend.check(step.cells(state), families);
    lines.push(...shortened(wrong.map((line) => `${step.title}: ${line}`)));
  }
  return lines;
}

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

  of(key: string): Readonly<Record<IpFamily, string>> {
    return this.#of.get(key) ?? missing(key);
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
