import type {
  ClusterNetworkPolicy,
  ClusterRule,
  Direction,
  NetworkPolicy,
} from '../../../model/cluster/policy.ts';
import type { Flow } from '../flow.ts';
import type { Question } from './rules.ts';
import type { Selected } from './selected.ts';

/** More names than these are counted. */
const NAMES = 5;

/** IANA protocol numbers that people know by name. */
const PROTOCOLS: Readonly<Record<number, string>> = {
  1: 'ICMP',
  2: 'IGMP',
  47: 'GRE',
  50: 'ESP',
  58: 'ICMPv6',
};

/** `TCP 80`, `ICMP`, `protocol 99`. */
export function protocolText({ protocol, port }: Pick<Flow, 'protocol' | 'port'>): string {
  const name = typeof protocol === 'number' ? (PROTOCOLS[protocol] ?? `protocol ${protocol}`) : protocol;
  return port === undefined ? name : `${name} ${port}`;
}

export function namesText(names: readonly string[]): string {
  const shown = names.slice(0, NAMES).join(', ');
  return names.length > NAMES ? `${shown} and ${names.length - NAMES} more` : shown;
}

/** `egress[0] "no-metadata" of ClusterNetworkPolicy deny-all`: the field's path, as kubectl finds it. */
export function clusterRuleText(
  direction: Direction,
  index: number,
  { name }: ClusterRule,
  policy: ClusterNetworkPolicy,
): string {
  return `${direction}[${index}]${name === '' ? '' : ` "${name}"`} of ClusterNetworkPolicy ${policy.name} (${policy.tier} tier, priority ${policy.priority})`;
}

export function nothingAllowsText(question: Question, policies: readonly NetworkPolicy[]): string {
  const { direction, pod, flow } = question;
  const names = namesText(policies.map(({ key }) => key));
  const whose = policies.length === 1 ? 'no rule of it' : 'none of their rules';
  const closed = policies.flatMap(({ key, problems }) =>
    problems.length > 0 ? [`; NetworkPolicy ${key} is closed: ${problems[0]}`] : [],
  );
  const far = direction === 'ingress' ? `from ${farText(question)}` : `to ${farText(question)}`;
  const main = `${pod.key} is selected by NetworkPolicy ${names} for ${direction}, and ${whose} allows ${protocolText(flow)} ${far}`;
  return main + closed.slice(0, NAMES).join('');
}

/** Who the other end is: `y/b (10.244.2.5)`, or the address alone. */
function farText({ far }: Pick<Question, 'far'>): string {
  return far.pods.length === 0
    ? far.address
    : `${far.pods.map(({ key }) => key).join(' or ')} (${far.address})`;
}

export function defaultText({ pod, direction }: Question, { admin, baseline }: Selected): string {
  const asked = [...admin, ...baseline].map(({ name }) => name);
  const none = `no NetworkPolicy selects ${pod.key} for ${direction}`;
  return asked.length === 0
    ? none
    : `${none}, and no rule of ClusterNetworkPolicy ${namesText(asked)} decides`;
}
