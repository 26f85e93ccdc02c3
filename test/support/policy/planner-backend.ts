import type { Cell } from './cases.ts';
import { namespaceManifest, nodeManifest, podManifest } from './manifests.ts';
import { PlannerCluster } from './planner-cluster.ts';
import { Addresses, type Backend, nodeNumber, wrongCell } from './run.ts';
import type { Change, ClusterState } from './state.ts';
import { type IpFamily, inBlock } from './templates.ts';

/** Plays cases on the planners of all nodes; state is carried over from change to change, and compared with planning from scratch. */
export class PlannerBackend implements Backend {
  #state: ClusterState | undefined;
  #cluster = new PlannerCluster([]);
  #addresses = new Addresses();

  async start(state: ClusterState): Promise<void> {
    this.#state = state;
    this.#addresses = new Addresses();
    this.#cluster = new PlannerCluster([...state.nodes.keys()]);
    for (const key of state.pods.keys()) this.#addresses.add(state, key);
    for (const node of state.nodes.values()) {
      const addresses = Object.values(this.#addresses.node(state, node.name));
      this.#cluster.put('Node', nodeManifest({ ...node, addresses }, this.#podCidrs(state, node.name)));
    }
    for (const [name, labels] of state.namespaces)
      this.#cluster.put('Namespace', namespaceManifest(name, labels));
    for (const key of state.pods.keys()) this.#putPod(state, key);
    await Promise.resolve();
  }

  addressOf(pod: string, family: IpFamily): string {
    return this.#addresses.of(pod)[family];
  }

  async change(change: Change): Promise<void> {
    const state = this.#state;
    if (!state) throw new Error('not started');
    if (change.kind === 'namespace') {
      if (change.after) this.#cluster.put('Namespace', namespaceManifest(change.key, change.after));
      else this.#cluster.remove('Namespace', change.key);
    } else if (change.kind === 'pod') {
      if (change.after) this.#putPod(state, change.key);
      else {
        this.#cluster.remove('Pod', change.key);
        this.#addresses.remove(change.key);
      }
    } else {
      const [kind = '', key = ''] = change.key.split(' ');
      if (kind !== 'NetworkPolicy' && kind !== 'ClusterNetworkPolicy')
        throw new Error(`unknown kind ${kind}`);
      if (change.after) this.#cluster.put(kind, change.after);
      else this.#cluster.remove(kind, key);
    }
    await Promise.resolve();
  }

  async check(cells: readonly Cell[], families: readonly IpFamily[]): Promise<readonly string[]> {
    this.#cluster.assertAsFromScratch();
    const lines: string[] = [];
    for (const family of families) {
      for (const cell of cells) {
        const { from, to, protocol, port, expected } = cell;
        const packet = { from: this.addressOf(from, family), to: this.addressOf(to, family), protocol, port };
        const { verdict, by } = this.#cluster.walk(packet);
        const wanted =
          expected === 'allowed'
            ? ['accepted']
            : expected === 'dropped'
              ? ['dropped']
              : ['dropped', 'rejected'];
        if (!wanted.includes(verdict)) lines.push(wrongCell(family, cell, verdict, by));
      }
    }
    return Promise.resolve(lines);
  }

  #putPod(state: ClusterState, key: string): void {
    const pod = state.pod(key);
    // A pod that only changes keeps its addresses.
    const ips = Object.values(this.#addresses.find(key) ?? this.#addresses.add(state, key));
    this.#cluster.put('Pod', podManifest(pod, state.portsOf(pod), ips));
  }

  /** The range of the other family, and as written the /24 of its pods unless others lie in it, now or later. */
  #podCidrs(state: ClusterState, node: string): readonly string[] {
    const n = nodeNumber(state, node);
    const pods = [...state.pods.values(), ...state.laterPods].filter((pod) => !pod.hostNetwork);
    const own = pods.filter((pod) => pod.node === node).map((pod) => pod.ip);
    const foreign = pods.filter((pod) => pod.node !== node).map((pod) => pod.ip);
    if ((pods[0]?.ip ?? '').includes(':')) return [`10.199.${n}.0/24`];
    const v6 = `fd00:10:244:${n.toString(16)}::/64`;
    const v4 = `${(own[0] ?? '').split('.').slice(0, 3).join('.')}.0/24`;
    const fits =
      own.length > 0 && own.every((one) => inBlock(v4, one)) && !foreign.some((one) => inBlock(v4, one));
    return fits ? [v4, v6] : [v6];
  }
}
