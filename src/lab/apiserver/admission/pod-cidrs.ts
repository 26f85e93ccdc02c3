import { networkOf, nthAddress, splitPrefix } from '../../../model/net/cidr.ts';
import { ipBytes, ipFromBytes } from '../../../model/net/ip.ts';
import { ensure, type JsonObject, meta, sub, text, texts } from '../json.ts';
import { type Cause, notAllowed } from '../status.ts';
import type { Admission } from './admission.ts';

/** Hands out the prefixes of one cluster range: /24 for IPv4, /64 for IPv6, lowest free first. */
class Range {
  readonly #base: string;
  readonly #length: number;
  readonly #size: number;
  readonly #taken = new Map<string, { node: string; index: number }>();
  /** No prefix before this one is free. */
  #lowest = 0;

  constructor(clusterCidr: string) {
    const { address, length, family } = splitPrefix(clusterCidr);
    this.#base = address;
    this.#length = Math.max(length, family === 'ipv4' ? 24 : 64);
    this.#size = 2 ** Math.min(24, this.#length - length);
  }

  take(node: string): string | undefined {
    for (let index = this.#lowest; index < this.#size; index++) {
      const candidate = networkOf(nthPrefix(this.#base, this.#length, index), this.#length);
      if (this.#taken.has(candidate)) continue;
      this.#taken.set(candidate, { node, index });
      this.#lowest = index + 1;
      return candidate;
    }
    return undefined;
  }

  /** A prefix that came with the node is not given to another. */
  claim(prefix: string, node: string): void {
    if (!this.#taken.has(prefix)) this.#taken.set(prefix, { node, index: this.#lowest });
  }

  release(node: string): void {
    for (const [prefix, owner] of this.#taken) {
      if (owner.node !== node) continue;
      this.#taken.delete(prefix);
      this.#lowest = Math.min(this.#lowest, owner.index);
    }
  }
}

function nthPrefix(base: string, length: number, n: number): string {
  if (length % 8 !== 0) return nthAddress(`${base}/${length}`, n * 2 ** (32 - length));
  const bytes = ipBytes(base).slice();
  let carry = n;
  for (let i = length / 8 - 1; i >= 0 && carry > 0; i--) {
    const sum = (bytes[i] ?? 0) + (carry & 0xff);
    bytes[i] = sum & 0xff;
    carry = (carry >>> 8) + (sum >>> 8);
  }
  return ipFromBytes(bytes);
}

const readiness = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' };

/**
 * Nodes, with the pod CIDRs that the controller-manager's node IPAM would give them. Ranges are held by node name, freed when the
 * node is deleted. Without `clusterCidrs` nodes get none.
 */
export function nodes(clusterCidrs: readonly string[]): Admission {
  const ranges = clusterCidrs.map((clusterCidr) => new Range(clusterCidr));
  return {
    create(node, { dryRun }) {
      const spec = ensure(node, 'spec');
      spec.taints ??= [readiness];
      defaultCidr(spec);
      const status = ensure(node, 'status');
      ensure(ensure(status, 'daemonEndpoints'), 'kubeletEndpoint').Port ??= 0;
      const info = ensure(status, 'nodeInfo');
      for (const key of nodeInfo) info[key] ??= '';
      if (dryRun || ranges.length === 0) return;
      const name = text(meta(node).name);
      const own = texts(spec.podCIDRs);
      for (const range of ranges) for (const prefix of own) range.claim(prefix, name);
      if (own.length > 0) return;
      const given = ranges.map((range) => range.take(name)).filter((prefix) => prefix !== undefined);
      if (given.length === 0) return;
      spec.podCIDRs = given;
      defaultCidr(spec);
    },
    update: (node) => defaultCidr(ensure(node, 'spec')),
    validate: (node, old) => (old ? cidrFaults(sub(node, 'spec'), sub(old, 'spec')) : []),
    removed(node) {
      for (const range of ranges) range.release(text(meta(node).name));
    },
  };
}

const nodeInfo =
  'machineID systemUUID bootID kernelVersion osImage containerRuntimeVersion kubeletVersion kubeProxyVersion operatingSystem architecture'.split(
    ' ',
  );

function defaultCidr(spec: JsonObject): void {
  const [first] = texts(spec.podCIDRs);
  if (first !== undefined) spec.podCIDR ??= first;
  else if (text(spec.podCIDR) !== '') spec.podCIDRs = [text(spec.podCIDR)];
}

function cidrFaults(spec: JsonObject, old: JsonObject): Cause[] {
  const before = texts(old.podCIDRs).join();
  if (before === '' || before === texts(spec.podCIDRs).join()) return [];
  return [notAllowed('spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid')];
}
