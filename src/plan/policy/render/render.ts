/**
 * What the planner asks of rendering: one function a kind of unit. Each is a function of its arguments alone; equal arguments give
 * equal rows. Set ids are readable and unique (`x: app=web`), so names and comments of sets follow from the id.
 */
import type { Config } from '../../../model/cluster/config.ts';
import type { KernelFacts } from '../../../model/cluster/host.ts';
import type { PolicyProtocol } from '../../../model/cluster/policy.ts';
import type { Cidr } from '../../../model/net/cidr.ts';
import type { Ip } from '../../../model/net/ip.ts';
import type { Row } from '../../../model/rows/row.ts';
import { nothing, type UnitPlan } from '../../planner.ts';
import type { AddressSet, CompiledPolicy, LocalPod, PortSet, Selection } from '../compiled.ts';

export interface Base {
  readonly config: Config;
  /** Of this node; empty when its Node is not known. */
  readonly podCidrs: readonly Cidr[];
  readonly missing: KernelFacts['missing'];
}

/** Base chains, dispatch maps, sets of ended flows, the denied chains: all that is there once. */
export function baseRows(_base: Base): UnitPlan {
  return nothing;
}

/** The sets of both families. */
export function addressSetRows(_set: AddressSet): readonly Row[] {
  return [];
}

/** `why`: `pod x/web-1`, `Node n3`. The body bears no comment, so that two pods with one address share the element. */
export function addressElement(_set: AddressSet, _ip: Ip, _why: string): readonly Row[] {
  return [];
}

/** The sets of both families: address . protocol . port. */
export function portSetRows(_set: PortSet): readonly Row[] {
  return [];
}

export function portElement(
  _set: PortSet,
  _ip: Ip,
  _protocol: PolicyProtocol,
  _port: number,
  _why: string,
): readonly Row[] {
  return [];
}

/** Chain and interval sets of a NetworkPolicy in one direction. */
export function policyRows(_policy: CompiledPolicy, _settings: Config['policy']): readonly Row[] {
  return [];
}

/** The chain of all pods with this Selection. `admin` and `baseline` are its ClusterNetworkPolicies, in its order. */
export function selectionRows(
  _selection: Selection,
  _admin: readonly CompiledPolicy[],
  _baseline: readonly CompiledPolicy[],
  _settings: Config['policy'],
): readonly Row[] {
  return [];
}

/** The pod's elements in the dispatch maps: both directions, each of its addresses. */
export function dispatchRows(_pod: LocalPod): readonly Row[] {
  return [];
}
