import type { Cell } from './cases.ts';
import { namespaceManifest, nodeManifest, podManifest } from './manifests.ts';
import { naiveVerdict, type Objects } from './naive.ts';
import { Addresses, type Backend, wrongCell } from './run.ts';
import type { Change, ClusterState, Policy } from './state.ts';
import type { IpFamily } from './templates.ts';

/** The judge judged: the naive evaluator plays cases, too. */
export class NaiveBackend implements Backend {
  #state: ClusterState | undefined;
  #addresses = new Addresses();
  readonly #policies = new Map<string, Policy>();

  async start(state: ClusterState): Promise<void> {
    this.#state = state;
    this.#policies.clear();
    this.#addresses = new Addresses();
    for (const key of state.pods.keys()) this.#addresses.add(state, key);
    await Promise.resolve();
  }

  addressOf(pod: string, family: IpFamily): string {
    return this.#addresses.of(pod)[family];
  }

  async change(change: Change): Promise<void> {
    if (change.kind === 'pod' && change.after && this.#state) this.#addresses.add(this.#state, change.key);
    if (change.kind === 'policy') {
      if (change.after) this.#policies.set(change.key, change.after);
      else this.#policies.delete(change.key);
    }
    await Promise.resolve();
  }

  async check(cells: readonly Cell[], families: readonly IpFamily[]): Promise<readonly string[]> {
    const objects = this.#objects();
    const lines: string[] = [];
    for (const family of families) {
      for (const cell of cells) {
        const { allowed } = this.verdict(cell, family, objects);
        if (allowed !== (cell.expected === 'allowed'))
          lines.push(wrongCell(family, cell, allowed ? 'allowed' : 'blocked'));
      }
    }
    return Promise.resolve(lines);
  }

  verdict(
    { from, to, protocol, port }: Omit<Cell, 'name' | 'expected'>,
    family: IpFamily,
    objects = this.#objects(),
  ) {
    return naiveVerdict(objects, {
      from: this.addressOf(from, family),
      to: this.addressOf(to, family),
      protocol,
      port,
    });
  }

  #objects(): Objects {
    const state = this.#state;
    if (!state) throw new Error('not started');
    return {
      namespaces: [...state.namespaces].map(([name, labels]) => namespaceManifest(name, labels)),
      pods: [...state.pods].map(([key, pod]) =>
        podManifest(pod, state.portsOf(pod), Object.values(this.#addresses.of(key))),
      ),
      nodes: [...state.nodes.values()].map((node) =>
        nodeManifest({ ...node, addresses: Object.values(this.#addresses.node(state, node.name)) }, []),
      ),
      policies: [...this.#policies.values()],
    };
  }
}
