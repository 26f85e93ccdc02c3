/**
 * What the planner asks of rendering: one function a kind of unit. Each is a function of its arguments alone; equal arguments give
 * equal rows. Set ids are readable and unique (`x: app=web`), so names and comments of sets follow from the id.
 */
import type { Config } from '../../../model/cluster/config.ts';
import type { KernelFacts } from '../../../model/cluster/host.ts';
import { DIRECTIONS, type Direction, type PolicyProtocol } from '../../../model/cluster/policy.ts';
import { FAMILIES, familyOf, type Ip } from '../../../model/net/ip.ts';
import { addressType, type NftVerdict } from '../../../model/rows/nft.ts';
import type { Row, RowRef } from '../../../model/rows/row.ts';
import type { UnitPlan } from '../../planner.ts';
import type {
  AddressSet,
  BlockSet,
  CompiledPolicy,
  Judges,
  LocalPod,
  PortSet,
  Selection,
} from '../compiled.ts';
import { baseChains, dispatchRows as dispatchChains, endedRows, type Here, neighbourRows } from './base.ts';
import { deniedRows } from './denied.ts';
import {
  addressSet,
  adminMap,
  blockSet,
  dispatchMap,
  policyChain,
  portSet,
  selectionChain,
  tierChain,
} from './names.ts';
import { pairRows } from './pairs.ts';
import { PROTOCOLS } from './ports.ts';
import { ALLOWS_NOTHING } from './refused.ts';
import { chainRef, chainRow, elementRow, prefixText, setRow } from './rows.ts';
import { policyRules } from './rules.ts';
import { selectionRow, tierChains } from './selection.ts';
import { comment } from './words.ts';

export { isPolicyRow } from './names.ts';

export interface Base extends Here {
  readonly missing: KernelFacts['missing'];
}

/** Base chains, dispatch maps, sets of ended flows, the denied chains: all that is there once. */
export function baseRows(base: Base): UnitPlan {
  const { config, podCidrs, pods } = base;
  const { policy } = config;
  const closing = { unknownPods: policy.unknownPods, podCidrs, pods };
  return {
    rows: [
      ...pairRows(closing),
      ...baseChains(base),
      ...endedRows(),
      ...neighbourRows(),
      ...dispatchChains(closing),
      ...deniedRows(policy),
    ],
  };
}

/** The sets of both families. */
export function addressSetRows({ id, text }: AddressSet): readonly Row[] {
  return FAMILIES.map((family) => setRow(text, addressSet(id, family), [addressType(family)]));
}

/** `why`: `pod x/web-1`, `Node n3`. The body bears no comment, so that two pods with one address share the element. */
export function addressElement({ id }: AddressSet, ip: Ip, why: string): Row {
  return elementRow(why, addressSet(id, familyOf(ip)), [ip]);
}

/** The sets of both families: address . protocol . port. */
export function portSetRows({ id, text }: PortSet): readonly Row[] {
  return FAMILIES.map((family) =>
    setRow(text, portSet(id, family), [addressType(family), 'inet_proto', 'inet_service']),
  );
}

export function portElement(
  { id }: PortSet,
  ip: Ip,
  protocol: PolicyProtocol,
  port: number,
  why: string,
): Row {
  return elementRow(why, portSet(id, familyOf(ip)), [ip, PROTOCOLS[protocol], `${port}`]);
}

/** The set and what is in it; only for blocks of several prefixes. */
export function blockSetRows(blocks: BlockSet): readonly Row[] {
  const { text, family, prefixes } = blocks;
  const set = blockSet(blocks);
  return [
    setRow(text, set, [addressType(family)], { interval: true }),
    ...prefixes.map((prefix) => elementRow(text, set, [prefixText(prefix)])),
  ];
}

/** Chain and sets of ports of a NetworkPolicy in one direction. */
export function policyRows(policy: CompiledPolicy, settings: Config['policy']): readonly Row[] {
  const { rules, rows } = policyRules(policy, settings);
  const { name, direction } = policy;
  return [
    ...rows,
    chainRow(`NetworkPolicy ${name}`, policyChain(name, direction), rules, { ifRefused: ALLOWS_NOTHING }),
  ];
}

/** The chain of all pods with this Selection. It jumps to the chains of its policies. */
export function selectionRows(selection: Selection): readonly Row[] {
  return [selectionRow(selection)];
}

/** The chain of one tier: ClusterNetworkPolicies in their order. */
export function tierRows(
  direction: Direction,
  tier: 'admin' | 'baseline',
  policies: readonly CompiledPolicy[],
  settings: Config['policy'],
): readonly Row[] {
  return tierChains(direction, tier, policies, settings);
}

/** The pod's elements in the dispatch maps: both directions, each of its addresses. */
export function dispatchRows(pod: LocalPod): readonly Row[] {
  const [why, words] = [`pod ${pod.pod}`, comment(pod.pod)];
  return DIRECTIONS.flatMap((direction) =>
    pod.ips.flatMap((ip) =>
      dispatched(pod[direction], direction, ip, (map, value, needs) =>
        elementRow(why, map, [ip], { value, comment: words, needs }),
      ),
    ),
  );
}

type DispatchElement = (map: string, value: NftVerdict, needs: readonly RowRef[]) => Row;

function dispatched(
  { admin, selection }: Judges,
  direction: Direction,
  ip: Ip,
  element: DispatchElement,
): Row[] {
  const family = familyOf(ip);
  const to = (verdict: 'jump' | 'goto', chain: string) => [{ verdict, chain }, [chainRef(chain)]] as const;
  const [value, chains] = selection
    ? to('goto', selectionChain(selection))
    : [{ verdict: 'accept' } as const, []];
  if (!admin) return [element(dispatchMap(direction, family), value, chains)];
  const first = element(adminMap(direction, family), ...to('jump', tierChain(admin)));
  // A pod whose Admin tier is not there is none that we know: what it leaves undecided must not pass.
  const needs = [...chains, { target: 'nft', key: first.key } as const];
  return [first, element(dispatchMap(direction, family), value, needs)];
}
