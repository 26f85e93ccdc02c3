/** What the API server gives to Services and takes back: addresses and ports, each to one owner. A dry run has no owner and takes nothing. */
import { contains, nthAddress, splitPrefix } from '../../../model/net/cidr.ts';
import { type JsonObject, objects, text, texts } from '../json.ts';

const FIRST_NODE_PORT = 30000;
const LAST_NODE_PORT = 32767;

/** The first ten addresses stay free for clusters' fixed ones. */
const FIRST_ADDRESS = 10;
const LAST_ADDRESS = 65_000;

const familyName = (address: string): string => (address.includes(':') ? 'IPv6' : 'IPv4');

export class ClusterIps {
  readonly #primary: string;
  readonly #ranges: ReadonlyMap<string, string>;
  readonly #owners = new Map<string, string>();
  /** Where the search in a range last ended; the next goes on there, and once around. */
  readonly #next = new Map<string, number>();

  constructor(ranges: readonly string[]) {
    this.#ranges = new Map(ranges.map((range) => [familyName(splitPrefix(range).address), range]));
    this.#primary = ranges[0] === undefined ? 'IPv4' : familyName(ranges[0]);
  }

  /** Fills in `clusterIPs` and what goes with them. */
  give(spec: JsonObject, owner: string | undefined): void {
    const list = texts(spec.clusterIPs);
    const given = list.length > 0 ? list : [text(spec.clusterIP)].filter(Boolean);
    const headless = given[0] === 'None';
    spec.ipFamilyPolicy ??= 'SingleStack';
    const families = this.#families(spec, headless ? [] : given);
    spec.ipFamilies = families;
    spec.clusterIPs = headless ? ['None'] : families.map((family, i) => given[i] ?? this.#unused(family));
    spec.clusterIP = texts(spec.clusterIPs)[0] ?? '';
    if (headless || owner === undefined) return;
    for (const address of texts(spec.clusterIPs)) if (address !== '') this.#owners.set(address, owner);
  }

  free(owner: string): void {
    for (const [address, other] of this.#owners) if (other === owner) this.#owners.delete(address);
  }

  #families(spec: JsonObject, given: readonly string[]): string[] {
    const wanted = texts(spec.ipFamilies);
    const families =
      wanted.length > 0 ? [...wanted] : given.length > 0 ? given.map(familyName) : [this.#primary];
    const other = families[0] === 'IPv4' ? 'IPv6' : 'IPv4';
    if (spec.ipFamilyPolicy !== 'SingleStack' && families.length === 1 && this.#ranges.has(other))
      families.push(other);
    return families;
  }

  /** '' when the cluster has no range of this family, or none of it is left. */
  #unused(family: string): string {
    const range = this.#ranges.get(family);
    if (range === undefined) return '';
    let offset = this.#next.get(range) ?? FIRST_ADDRESS;
    for (let tried = 0; tried < LAST_ADDRESS; tried++, offset++) {
      if (offset > LAST_ADDRESS || !contains(range, nthAddress(range, offset))) offset = FIRST_ADDRESS;
      const candidate = nthAddress(range, offset);
      if (!contains(range, candidate)) return '';
      if (this.#owners.has(candidate)) continue;
      this.#next.set(range, offset + 1);
      return candidate;
    }
    return '';
  }
}

export class NodePorts {
  readonly #owners = new Map<number, string>();

  give(spec: JsonObject, owner: string | undefined): void {
    const wants =
      spec.type === 'NodePort' ||
      (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false);
    if (!wants) return;
    for (const port of objects(spec.ports)) {
      const number = Number(port.nodePort ?? 0) || this.#unused();
      port.nodePort = number;
      if (owner !== undefined) this.#owners.set(number, owner);
    }
  }

  free(owner: string): void {
    for (const [port, other] of this.#owners) if (other === owner) this.#owners.delete(port);
  }

  #unused(): number {
    for (let n = FIRST_NODE_PORT; n <= LAST_NODE_PORT; n++) if (!this.#owners.has(n)) return n;
    return 0;
  }
}
