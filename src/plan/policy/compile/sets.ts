import type { PolicyProtocol } from '../../../model/cluster/policy.ts';
import { EVERYTHING, type Selector } from '../../../model/cluster/selector.ts';
import { Memo } from '../../../model/memo.ts';
import type { AddressSet, BlockSet, PortSet } from '../compiled.ts';
import type { Scope, Selecting } from '../select/matcher.ts';

/** A set that a policy needs, and whose addresses it holds. Equal ids are equal sets, so policies share them. */
export type WantedSet = WantedAddresses | WantedPorts | WantedNodes | WantedBlocks;

/** Addresses of pods. */
export interface WantedAddresses extends Selecting {
  readonly kind: 'addresses';
  readonly set: AddressSet;
}

/** Address, protocol and number of pods that have a port of this name. */
export interface WantedPorts extends Selecting {
  readonly kind: 'ports';
  readonly set: PortSet;
  readonly name: string;
  readonly protocol: PolicyProtocol;
  /** Pods of this node only. */
  readonly here: boolean;
}

/** Addresses of Nodes. */
export interface WantedNodes {
  readonly kind: 'nodes';
  readonly set: AddressSet;
  readonly nodes: Selector;
}

/** Prefixes: what is in it, the set says itself. */
export interface WantedBlocks {
  readonly kind: 'blocks';
  readonly set: BlockSet;
}

/** By id: thousands of policies name the same. */
const ADDRESSES = new Memo<WantedAddresses>(10_000);
const PORTS = new Memo<WantedPorts>(10_000);

export function addressesOf(scope: Scope, pods: Selector): WantedAddresses {
  const id = idOf(scope, pods);
  return ADDRESSES.get(id, () => ({
    kind: 'addresses',
    scope,
    pods,
    set: { id, text: textOf(scope, pods) },
  }));
}

/** Destinations of egress: pods that `scope` and `pods` select and that have the port. */
export function portsOf(scope: Scope, pods: Selector, name: string, protocol: PolicyProtocol): WantedPorts {
  const id = `${name}/${protocol} of ${idOf(scope, pods)}`;
  return PORTS.get(id, () => {
    const text = `port ${name}/${protocol} of ${textOf(scope, pods)}`;
    return { kind: 'ports', scope, pods, name, protocol, here: false, set: { id, text } };
  });
}

/** Destinations of ingress: pods of this node that have the port. */
export function portsHere(name: string, protocol: PolicyProtocol): WantedPorts {
  const id = `${name}/${protocol} here`;
  return PORTS.get(id, () => {
    const text = `port ${name}/${protocol} of this node's pods`;
    return {
      kind: 'ports',
      scope: EVERYTHING,
      pods: EVERYTHING,
      name,
      protocol,
      here: true,
      set: { id, text },
    };
  });
}

export function nodesOf(nodes: Selector): WantedNodes {
  const id = `nodes{${nodes.text}}`;
  return { kind: 'nodes', nodes, set: { id, text: nodes.text === '' ? 'all nodes' : `nodes ${nodes.text}` } };
}

/** `x: app=web`, `{team=a}: app=web`. Neither a namespace's name nor a selector contains a colon or a brace. */
function idOf(scope: Scope, pods: Selector): string {
  const where = typeof scope === 'string' ? scope : `{${scope.text}}`;
  return pods.text === '' ? `${where}:` : `${where}: ${pods.text}`;
}

function textOf(scope: Scope, pods: Selector): string {
  const who = pods.text === '' ? 'all pods' : `pods ${pods.text}`;
  if (typeof scope === 'string') return `${who} of namespace ${scope}`;
  return scope.text === '' ? `${who} of all namespaces` : `${who} of namespaces ${scope.text}`;
}
