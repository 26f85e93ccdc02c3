import type { Cidr } from '../net/cidr.ts';
import type { Ip } from '../net/ip.ts';
import type { Mac } from '../net/mac.ts';

/** A Kubernetes Node, trimmed to what we use. Invalid fields are left out and told in `problems`. */
export interface Node {
  readonly name: string;
  readonly uid: string;
  readonly created: string;
  /** InternalIPs in the order of the API, canonical; either family. */
  readonly addresses: readonly Ip[];
  /** Other addresses (ExternalIP), never masqueraded towards. */
  readonly externalAddresses: readonly Ip[];
  /** spec.podCIDRs, canonical. */
  readonly podCidrs: readonly Cidr[];
  readonly labels: Readonly<Record<string, string>>;
  /** What that node's own agent said of itself; absent when it has not spoken or we cannot read it. */
  readonly facts: NodeFacts | undefined;
  /**
   * Only of our own Node: carriers in facts that we wrote and that the watch has not shown us yet. Others may have seen them and rely
   * on them already.
   */
  readonly unseen?: readonly string[];
  /** status.conditions NetworkUnavailable, when present. */
  readonly networkUnavailable:
    | { readonly status: 'True' | 'False' | 'Unknown'; readonly reason: string; readonly message: string }
    | undefined;
  /** Clear words about fields of this Node that could not be used, each naming the field. */
  readonly problems: readonly string[];
}

/** The annotation in which each agent tells the others about its own node. */
export const FACTS_ANNOTATION = 'fairlead.io/node-facts';

/** The value of that annotation (JSON). Each agent writes only its own Node's. Unknown fields are ignored. */
export interface NodeFacts {
  readonly version: 1;
  /**
   * Carriers that this node is ready to receive by: devices and addresses are in place. A carrier is a transport together
   * with all that must be equal at both ends: `layer2`, `vxlan/ipv4/1/8472`. Strings that are not known are ignored.
   */
  readonly accepts: readonly string[];
  /** Carriers that this node sends by or is about to, so that peers keep receiving by them. */
  readonly uses: readonly string[];
  /** Those of `uses` that it has stopped sending by and will take out next. */
  readonly leaves?: readonly string[];
  /** Addresses of the underlay link with their prefix length, as `10.0.0.5/24`: what is on-link is decided from these. */
  readonly underlay: readonly string[];
  /** MTU of the underlay link. */
  readonly mtu: number;
  readonly vxlan?: { readonly mac: Mac; readonly vni: number; readonly port: number };
}
