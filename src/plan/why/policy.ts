import type { Direction } from '../../model/cluster/policy.ts';
import { familyOf, type Ip } from '../../model/net/ip.ts';
import type { World } from '../../model/world.ts';
import { podsAt } from '../policy/decide/addresses.ts';
import { decide } from '../policy/decide/decide.ts';
import { selectedFor } from '../policy/decide/selected.ts';
import { namesText, protocolText } from '../policy/decide/text.ts';
import type { Flow, Verdict } from '../policy/flow.ts';
import type { End } from './ends.ts';
import { type PathStep, POLICIES, type RulesQuestion } from './path.ts';
import { protocolIn, type Traffic } from './traffic.ts';

export interface PolicyLeg {
  readonly egress: readonly PathStep[];
  readonly ingress: readonly PathStep[];
  /** `undefined` = policies select an end, and nobody said which traffic. */
  readonly allowed: boolean | undefined;
}

export interface PolicyEnds {
  readonly world: World;
  /** Name of our own Node: only its rules can be asked. */
  readonly own: string;
  readonly source: End;
  readonly target: End;
  readonly from: Ip;
  readonly to: Ip;
}

/** What policies say of one family's packets: a step for the end that sends and one for the end that receives. */
export function policyLeg(ends: PolicyEnds, traffic: Traffic | undefined): PolicyLeg {
  const { world, from, to } = ends;
  if (!traffic) {
    const ingress = hints(ends);
    return { egress: [], ingress, allowed: ingress.length === 0 ? true : undefined };
  }
  const protocol = protocolIn(traffic, familyOf(from));
  const port = typeof traffic.port === 'string' ? portNamed(ends, traffic.port, protocol) : traffic.port;
  if (port === undefined && traffic.port !== undefined) {
    const text = `no container port of it is called ${traffic.port} (${protocolText({ protocol })})`;
    return { egress: [], ingress: [{ at: ends.target.title, text }], allowed: undefined };
  }
  const flow: Flow = { from, to, protocol, ...(port !== undefined && { port }) };
  const decision = decide(world, flow);
  const step = (verdict: Verdict | undefined): PathStep[] => (verdict ? [stepOf(ends, flow, verdict)] : []);
  return { egress: step(decision.egress), ingress: step(decision.ingress), allowed: decision.allowed };
}

function stepOf({ own, source, target }: PolicyEnds, flow: Flow, verdict: Verdict): PathStep {
  const { direction, allowed, by, policies, audit, rule } = verdict;
  const end = direction === 'egress' ? source : target;
  const here = end.node === own;
  const elsewhere = here ? '' : `; the agent of ${end.node ?? 'its node'} decides that there`;
  const isOpen = by === 'default' || by === 'own-node';
  const did = allowed ? (isOpen ? 'open' : 'allowed') : 'denied';
  const words = /^(allowed|accepted|denied)\b/.test(verdict.text) ? verdict.text : `${did}: ${verdict.text}`;
  return {
    at: end.title,
    text: `${direction} of ${protocolText(flow)} ${words}${elsewhere}`,
    policy: { direction, allowed, audit, by, policies, ...(rule !== undefined && { rule }) },
    ...(here && { rules: { flow, direction, hook: hookOf(own, source, target), allowed } }),
  };
}

/** Sent by the node itself, delivered to it, or passing through. */
function hookOf(own: string, source: End, target: End): RulesQuestion['hook'] {
  if (source.kind === 'node' && source.node === own) return 'output';
  return target.kind === 'node' && target.node === own ? 'input' : 'forward';
}

function portNamed({ world, to }: PolicyEnds, name: string, protocol: Flow['protocol']): number | undefined {
  const ports = podsAt(world, to)[0]?.pod.ports ?? [];
  return ports.find((port) => port.name === name && port.protocol === protocol)?.port;
}

/** Without a port there is no verdict; but that there would be one is worth a line. */
function hints({ world, from, to }: PolicyEnds): PathStep[] {
  const selecting = ([address, direction]: readonly [Ip, Direction]): string[] => {
    const pod = podsAt(world, address)[0]?.pod;
    if (!pod) return [];
    const { admin, policies, defaultDeny, baseline } = selectedFor(world, pod)[direction];
    const names = [
      ...admin.map(({ name }) => `ClusterNetworkPolicy ${name}`),
      ...policies.map(({ key }) => `NetworkPolicy ${key}`),
      ...(defaultDeny ? ['setting policy.defaultDeny'] : []),
      ...baseline.map(({ name }) => `ClusterNetworkPolicy ${name}`),
    ];
    return names.length === 0 ? [] : [`${direction} of ${pod.key} (${namesText(names)})`];
  };
  const found = (
    [
      [from, 'egress'],
      [to, 'ingress'],
    ] as const
  ).flatMap(selecting);
  if (found.length === 0) return [];
  const text = `apply to ${found.join(' and ')}: name the traffic for their verdict, as in tcp/80, udp/53 or icmp`;
  return [{ at: POLICIES, text }];
}
