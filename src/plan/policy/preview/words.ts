import type { ClusterNetworkPolicy, NetworkPolicy, PolicyPort } from '../../../model/cluster/policy.ts';
import type { Selector } from '../../../model/cluster/selector.ts';
import type { Cidr } from '../../../model/net/cidr.ts';

/** What policies distinguish by: pods that do not differ in these are judged alike. */
export interface Words {
  readonly labelKeys: ReadonlySet<string>;
  readonly nodeKeys: ReadonlySet<string>;
  readonly namesNodes: boolean;
  /** Every prefix that is written, blocks and exceptions alike. */
  readonly prefixes: ReadonlySet<Cidr>;
  /** Blocks with their exceptions. */
  readonly blocks: readonly { readonly cidr: Cidr; readonly except: readonly Cidr[] }[];
  readonly ports: readonly PolicyPort[];
}

export type AnyPolicy = NetworkPolicy | ClusterNetworkPolicy;

export function wordsOf(policies: Iterable<AnyPolicy>): Words {
  const labelKeys = new Set<string>();
  const nodeKeys = new Set<string>();
  const prefixes = new Set<Cidr>();
  const blocks: { cidr: Cidr; except: readonly Cidr[] }[] = [];
  const ports: PolicyPort[] = [];
  let namesNodes = false;
  const addKeys = (keys: Set<string>, { terms }: Selector): void => {
    for (const { key } of terms) keys.add(key);
  };
  const addBlock = (cidr: Cidr, except: readonly Cidr[]): void => {
    blocks.push({ cidr, except });
    for (const prefix of [cidr, ...except]) prefixes.add(prefix);
  };
  for (const policy of policies) {
    addKeys(labelKeys, 'pods' in policy ? policy.pods : policy.subject.pods);
    for (const rule of [...(policy.ingress ?? []), ...(policy.egress ?? [])]) {
      if (rule.ports !== 'any') ports.push(...rule.ports);
      if (rule.peers === 'any') continue;
      for (const peer of rule.peers) {
        if (peer.kind === 'pods') addKeys(labelKeys, peer.pods);
        else if (peer.kind === 'block') addBlock(peer.cidr, peer.except);
        else if (peer.kind === 'networks') for (const cidr of peer.cidrs) addBlock(cidr, []);
        else {
          namesNodes = true;
          addKeys(nodeKeys, peer.nodes);
        }
      }
    }
  }
  return { labelKeys, nodeKeys, namesNodes, prefixes, blocks, ports };
}
