/**
 * Names of policy in our nftables table, as an operator reads them. nft's grammar knows letters, digits and `/_.-`. Names of namespaces and policies
 * have neither `/` nor `_` nor capitals, so these divide.
 */
import type { Direction } from '../../../model/cluster/policy.ts';
import { Memo } from '../../../model/memo.ts';
import type { Family } from '../../../model/net/ip.ts';
import { sha256 } from '../../../model/sha256.ts';
import type { BlockSet, CompiledPolicy, Selection, Tier } from '../compiled.ts';

/** Whether a chain, set or map of this name is one of policy's. */
export function isPolicyRow(name: string): boolean {
  return /^(policy|cluster-policy|peers|blocks|ports|ended|egress|ingress)[-/]/.test(name);
}

const short = (family: Family): string => (family === 'ipv4' ? 'v4' : 'v6');

/** A base chain. */
export const baseChain = (hook: 'forward' | 'output' | 'input', direction: Direction): string =>
  `policy-${hook}-${direction}`;
/** Where all packets that are not of a known connection come to, once a direction. */
export const dispatchChain = (direction: Direction): string => `policy-${direction}`;
/** From a pod's address to the chain of its Admin tier, where it has one: jumped to first. */
export const adminMap = (direction: Direction, family: Family): string => MAPS[direction].admin[family];
/** From a pod's address to the chain of its Selection, which decides. */
export const dispatchMap = (direction: Direction, family: Family): string => MAPS[direction].pods[family];
/** What `baseChain` hands a packet to that is of no known connection. */
export const firstChain = (hook: 'forward' | 'output' | 'input', direction: Direction): string =>
  `${baseChain(hook, direction)}-first`;
export const NEIGHBOURS_CHAIN = 'policy-neighbours';
export const ENDED_CHAIN = 'policy-ended';
/** No NetworkPolicy allows it. */
export const deniedChain = (direction: Direction): string => `policy-denied-${direction}`;
export const auditChain = (direction: Direction): string => `policy-audit-${direction}`;
/** Of or to an address of ours that is no known pod's. */
export const unknownChain = (direction: Direction): string => `policy-unknown-${direction}`;

const maps = (base: string): Readonly<Record<Family, string>> => ({ ipv4: `${base}-v4`, ipv6: `${base}-v6` });
const mapsOf = (direction: Direction) => ({
  admin: maps(`policy-${direction}-admin`),
  pods: maps(`policy-${direction}-pods`),
});
const MAPS = { ingress: mapsOf('ingress'), egress: mapsOf('egress') };

/** Chain of a NetworkPolicy in one direction, and what names of its rules' sets begin with: `policy/x/allow-web/ingress`. */
export function policyName({ tier, name, direction }: CompiledPolicy): string {
  return `${tier === 'network-policy' ? 'policy' : 'cluster-policy'}/${name}/${direction}`;
}

export const policyChain = (name: string, direction: Direction): string =>
  bounded(`policy/${name}/${direction}`);

/** Where a Deny rule of a ClusterNetworkPolicy sends packets. */
export function denyRuleChain({ tier, name, direction, audit }: CompiledPolicy, index: number): string {
  return bounded(`${audit ? auditChain(direction) : deniedChain(direction)}/${tier}/${name}/${index}`);
}

/** By object: equal ones are often one, and a pod with many policies has a name that takes long to make. */
const CHAINS = new WeakMap<Selection | Tier, string>();

/** `egress-admin/first//second`: the rules of these ClusterNetworkPolicies. */
export function tierChain(tier: Tier): string {
  return remembered(tier, () => bounded(`${tier.direction}-${tier.tier}/${tier.policies.join('//')}`));
}

/** `ingress-of/x/allow-web//x/deny-all`: pods with these policies. Words with capitals are no names. */
export function selectionChain(selection: Selection): string {
  return remembered(selection, () => {
    const { direction, policies, defaultDeny, enforced, baseline } = selection;
    const words = [
      ...policies,
      ...(defaultDeny ? ['Default-deny'] : []),
      ...(enforced ? [] : ['Audit']),
      ...baseline.map((name) => `Baseline/${name}`),
    ];
    return bounded(`${direction}-of/${words.join('//')}`);
  });
}

function remembered(chain: Selection | Tier, make: () => string): string {
  const known = CHAINS.get(chain);
  if (known !== undefined) return known;
  const fresh = make();
  CHAINS.set(chain, fresh);
  return fresh;
}

/** `peers/x/app_is_web-v4` for the id `x: app=web`. */
export const addressSet = (id: string, family: Family): string => named('peers', id, family);
/** `ports/http/TCP_of_x/app_is_web-v4` for the id `http/TCP of x: app=web`. */
export const portSet = (id: string, family: Family): string => named('ports', id, family);
/** `blocks/10.0.0.0/8_except_10.1.0.0/16-v4`, `blocks/2001-db8--/32_except_2001-db8-1--/48-v6`; several are joined by `_and_`. */
export function blockSet({ text, family }: BlockSet): string {
  const spelled = text.replaceAll(', ', '_and_').replaceAll(' ', '_').replaceAll(':', '-');
  return `${bounded(`blocks/${spelled}`)}-${short(family)}`;
}
/** Ports of a rule, where there are several. */
export const rulePortSet = (scope: string): string => bounded(`${scope}/ports`);

const NAMED = {
  peers: new Memo<Readonly<Record<Family, string>>>(50_000),
  ports: new Memo<Readonly<Record<Family, string>>>(50_000),
};

function named(kind: keyof typeof NAMED, id: string, family: Family): string {
  const names = NAMED[kind].get(id, () => {
    const base = bounded(`${kind}/${spelled(id)}`);
    return { ipv4: `${base}-v4`, ipv6: `${base}-v6` };
  });
  return names[family];
}

/** What follows a `_` tells what it stands for: words are followed by another `_`, other characters are two capital hexadecimal digits. */
const WORDS = new Map([
  ['_', '__'],
  ['=', '_is_'],
  ['!=', '_isnot_'],
  ['!', '_not_'],
  [',', '_and_'],
  [' in (', '_in_'],
  [' notin (', '_notin_'],
  [' of ', '_of_'],
  [' here', '_here_'],
  ['{}', '_any_'],
  ['{', '_with_'],
  ['}', '_-'],
  // Dividers: what stands before them holds no `/` or is in braces.
  [': ', '/'],
  [':', '/_all_'],
]);

function spelled(id: string): string {
  return id.replaceAll(
    /: |:$|!=|\{\}| of | here$| (?:not)?in \(|[^A-Za-z0-9/.-]/gu,
    (found) => WORDS.get(found) ?? hexadecimal(found),
  );
}

function hexadecimal(character: string): string {
  return Array.from(
    new TextEncoder().encode(character),
    (byte) => `_${byte.toString(16).toUpperCase().padStart(2, '0')}`,
  ).join('');
}

const LONGEST = 200;
const DIGITS = 32;
const SHORTENED = new Memo<string>(1_000);

/** A name that fits; one that does not keeps its beginning and ends in a digest of the whole. */
function bounded(name: string): string {
  if (name.length <= LONGEST) return name;
  return SHORTENED.get(
    name,
    () => `${name.slice(0, LONGEST - DIGITS - 2)}_.${sha256(name).slice(0, DIGITS)}`,
  );
}
