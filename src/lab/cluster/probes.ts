import { FairleadError } from '../../model/errors.ts';
import { type Family, familyOf, tryIp } from '../../model/net/ip.ts';
import { probe } from '../prober/probe.ts';
import { PROBE_PORT } from '../prober/responder.ts';
import { Stream, type StreamPath } from '../prober/stream.ts';
import type { ProbeRequest, ProbeResult, StreamRequest, StreamResult } from '../prober/types.ts';
import type { NetNs } from '../sockets/netns.ts';
import { OUTSIDE } from '../topology/network.ts';
import { type Cluster, NAMESPACE } from './cluster.ts';

/** Something that can ask and be asked: a pod, a node, `outside`. */
interface Endpoint {
  readonly name: string;
  readonly ns: NetNs;
  readonly addresses: readonly string[];
}

const AT_ONCE = 512;

/** The cluster's prober: names in, verdicts out. */
export class Probes {
  readonly #cluster: Cluster;
  readonly #streams = new Map<number, Stream>();
  #lastStream = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Asks all questions, some at a time; answers in order. */
  async ask(requests: readonly ProbeRequest[]): Promise<readonly ProbeResult[]> {
    const results: ProbeResult[] = new Array(requests.length);
    const queue = requests.entries();
    const worker = async () => {
      for (const [i, request] of queue) results[i] = await this.#one(request);
    };
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, requests.length) }, worker));
    return results;
  }

  /** All running pods to all others, each family. */
  matrix(protocol: ProbeRequest['protocol'] = 'tcp'): Promise<readonly ProbeResult[]> {
    const port = protocol === 'icmp' ? 0 : PROBE_PORT;
    return this.ask(
      this.#pairs().flatMap(([from, to]) =>
        this.#cluster.topology.families.map((family) => ({
          from,
          to,
          family,
          protocol,
          port,
          timeout: 500,
        })),
      ),
    );
  }

  /**
   * Who asks whom in which families: without `from` or `to` all running pods. Names are made whole, `n1-a` to `default/n1-a`. Throws
   * `lab-name` for one that nobody has, `lab-probe` when nobody is left.
   */
  paths(from?: string, to?: string): { pairs: readonly [string, string][]; families: readonly Family[] } {
    const pods = this.#running();
    const askers = from === undefined ? pods : [this.#endpoint(from).name];
    const asked = to === undefined ? pods : [tryIp(to) ? to : this.#endpoint(to).name];
    const pairs = askers.flatMap((a) =>
      asked.filter((b) => a !== b || from === to).map((b): [string, string] => [a, b]),
    );
    if (pairs.length === 0) throw new FairleadError('lab-probe', 'no pods run that could be asked');
    const families = this.#cluster.topology.families;
    return { pairs, families: to !== undefined && tryIp(to) ? [familyOf(to)] : families };
  }

  /** Starts a stream and returns its number. */
  start(request: StreamRequest): number {
    const families = request.families ?? this.#cluster.topology.families;
    const pairs = request.pairs ?? this.#pairs();
    const paths = pairs.flatMap(([from, to]) => families.map((family) => this.#path(from, to, family)));
    if (paths.length === 0) throw new FairleadError('lab-probe', 'no pods to probe between');
    const stream = new Stream(paths, {
      rate: request.rate,
      count: request.count ?? Number.POSITIVE_INFINITY,
      timeout: request.timeout ?? 1000,
      protocol: request.protocol ?? 'udp',
    });
    this.#lastStream++;
    this.#streams.set(this.#lastStream, stream);
    stream.start();
    return this.#lastStream;
  }

  progress(id: number): StreamResult {
    return this.#stream(id).progress();
  }

  /** Waits for a stream's end; `stop` ends it first. */
  async finish(id: number, stop: boolean): Promise<StreamResult> {
    const stream = this.#stream(id);
    if (stop) stream.stop();
    const result = await stream.result;
    this.#streams.delete(id);
    return result;
  }

  #stream(id: number): Stream {
    const stream = this.#streams.get(id);
    if (!stream) throw new FairleadError('lab-probe', `no stream ${id}`);
    return stream;
  }

  async #one(request: ProbeRequest): Promise<ProbeResult> {
    const { from, to, family, protocol, port } = request;
    const question = { from, to, family, protocol, port };
    const address = tryIp(to) ?? this.#addressOf(to, family);
    if (address === undefined)
      return { ...question, verdict: 'dropped', source: '', reason: `${to} has no ${family} address` };
    const answer = await probe(this.#endpoint(from).ns, { ...request, address });
    return { ...question, ...answer };
  }

  #path(from: string, to: string, family: Family): StreamPath {
    const asker = this.#endpoint(from);
    const source = asker.addresses.find((a) => familyOf(a) === family);
    const address = this.#addressOf(to, family);
    if (source === undefined || address === undefined)
      throw new FairleadError('lab-probe', `${source === undefined ? from : to} has no ${family} address`);
    return { from, to, ns: asker.ns, source, address, port: PROBE_PORT };
  }

  #addressOf(name: string, family: Family): string | undefined {
    return this.#endpoint(name).addresses.find((a) => familyOf(a) === family);
  }

  #running(): string[] {
    const pods = this.#cluster.pods.all().filter((pod) => pod.running && !pod.pod.spec.hostNetwork);
    return pods.map((pod) => pod.key).sort();
  }

  #pairs(): [string, string][] {
    const names = this.#running();
    return names.flatMap((from) =>
      names.filter((to) => to !== from).map((to): [string, string] => [from, to]),
    );
  }

  #endpoint(name: string): Endpoint {
    if (name === OUTSIDE) {
      return { name, ns: this.#cluster.network.ns(OUTSIDE), addresses: this.#cluster.outsideAddresses };
    }
    const node = this.#cluster.nodes.get(name);
    if (node) return { name, ns: node.ns, addresses: node.addresses };
    const pod = this.#cluster.pods.get(name.includes('/') ? name : `${NAMESPACE}/${name}`);
    if (!pod?.ns) {
      throw new FairleadError('lab-name', `no pod, node or "outside" is called "${name}"`, {
        hint: 'pods are NAMESPACE/NAME',
      });
    }
    return { name: pod.key, ns: pod.ns, addresses: pod.ips };
  }
}
