import type { Node } from '../../model/cluster/node.ts';
import { contains, nthAddress } from '../../model/net/cidr.ts';
import { FAMILIES, type Family, familyOf, type Ip } from '../../model/net/ip.ts';
import { nftChainKey } from '../../model/rows/nft.ts';
import type { RowRef } from '../../model/rows/row.ts';
import type { World } from '../../model/world.ts';
import { MASQUERADE_CHAIN } from '../egress/names.ts';
import { masquerades } from '../egress/planner.ts';
import { type NodeIndex, nodeIndex } from '../nodes/node-index.ts';
import { choosePair } from '../transports/choice.ts';
import { planPeer } from '../transports/peer-plan.ts';
import { transportOf } from '../transports/registry.ts';
import { type Self, selfOf } from '../transports/underlay.ts';
import { type End, findEnd } from './ends.ts';
import { type Path, type PathStep, POLICIES } from './path.ts';
import { policyLeg } from './policy.ts';
import type { Traffic } from './traffic.ts';

/**
 * The way of a packet between two ends, each a pod (`namespace/name`, or a name that only one pod has), a node's name, or an
 * address. Every family that both ends have is followed. With `traffic` policies are asked about it at both ends.
 */
export function explainPath(world: World, from: string, to: string, traffic?: Traffic): Path {
  const self = selfOf(world);
  const path = { from, to };
  if (!self) {
    const text = 'the configuration or the own Node object is not known yet';
    return { ...path, steps: [{ at: 'node', text }], reachable: 'unknown' };
  }
  const index = nodeIndex(world);
  const source = findEnd(world, index, from);
  const target = findEnd(world, index, to);
  for (const end of [source, target])
    if (end.kind === 'unknown')
      // A name that nobody has leads nowhere, and a script that mistypes one must hear it.
      return {
        ...path,
        steps: [{ at: end.title, text: end.why }],
        reachable: world.pods.ready ? 'no' : 'unknown',
      };
  const families = FAMILIES.filter((family) => addressOf(source, family) && addressOf(target, family));
  const sender = senderOf(self, index, source, target);
  if (families.length === 0) {
    const text = `${source.title} and ${target.title} have no address family in common`;
    return { ...path, steps: [{ at: source.title, text }], reachable: 'no' };
  }
  const legs = families.map((family) => {
    const leg = follow(self, index, sender, target, family);
    return { family, ...withPolicies(world, self, sender, target, family, leg, traffic) };
  });
  const answers = legs.map(({ reachable }) => reachable);
  const reachable =
    answers.find((answer) => answer === 'no') ?? answers.find((a) => a === 'unknown') ?? 'yes';
  return { ...path, steps: oneAfterTheOther(legs), reachable };
}

type Leg = Pick<Path, 'steps' | 'reachable'>;

/** What holds for both families is said once, behind them. */
function oneAfterTheOther(legs: readonly (Leg & { readonly family: Family })[]): readonly PathStep[] {
  const [first, second] = legs;
  if (!first || !second) return first?.steps ?? [];
  const isShared = ({ at, text }: PathStep) =>
    at === POLICIES && legs.every(({ steps }) => steps.some((step) => step.at === at && step.text === text));
  const apart = legs.flatMap(({ family, steps }) =>
    steps.filter((step) => !isShared(step)).map((step) => ({ ...step, family })),
  );
  return [...apart, ...first.steps.filter(isShared)];
}

const addressOf = (end: End, family: Family): Ip | undefined => end.ips.find((ip) => familyOf(ip) === family);

/** A node sends to pods of another one under the address that the way there gives it, unless somebody asks about another address of it. */
function senderOf(self: Self, index: NodeIndex, source: End, target: End): End {
  const names = [source.node, target.node];
  const [peerName] = names.filter((name) => name !== self.name);
  const peer = peerName === undefined || !names.includes(self.name) ? undefined : index.get(peerName);
  const sender = index.get(source.node ?? '');
  if (!source.named || source.kind !== 'node' || target.kind !== 'pod' || !peer || !sender) return source;
  const { carrier } = choosePair(self, peer);
  const transport = carrier === undefined ? undefined : transportOf(carrier);
  const sends = (ip: Ip): Ip => transport?.nodeSource?.(sender, familyOf(ip)) ?? ip;
  return { ...source, ips: source.ips.map(sends) };
}

function follow(self: Self, index: NodeIndex, source: End, target: End, family: Family): Leg {
  const from = addressOf(source, family);
  const to = addressOf(target, family);
  if (from === undefined || to === undefined) return { steps: [], reachable: 'unknown' };
  const start: PathStep = { at: source.title, text: startText(index, source, from, to) };
  const arrival: PathStep = { at: target.title, text: `${to} receives it` };
  if (source.node !== self.name) return elsewhere(self, start, source, target);
  if (target.node === source.node) {
    const text =
      target.kind === 'pod'
        ? `${to} is on the same node: delivered by its bridge`
        : `${to} is this node's own`;
    return {
      steps: [start, { at: `node ${self.name}`, text, lookup: { from: undefined, to } }, arrival],
      reachable: 'yes',
    };
  }
  const peer = target.node === undefined ? undefined : index.get(target.node);
  if (target.kind === 'pod' && peer) return toPod(self, index, peer, start, arrival, to);
  return toOutside(self, index, start, from, to, source.kind === 'pod');
}

/** Egress is asked when a packet is sent, ingress before it is received. */
function withPolicies(
  world: World,
  self: Self,
  source: End,
  target: End,
  family: Family,
  leg: Leg,
  traffic: Traffic | undefined,
): Leg {
  const from = addressOf(source, family);
  const to = addressOf(target, family);
  if (from === undefined || to === undefined) return leg;
  const { egress, ingress, allowed } = policyLeg(
    { world, own: self.name, source, target, from, to },
    traffic,
  );
  const [start, ...rest] = leg.steps;
  const last = rest.at(-1)?.at === target.title ? rest.splice(-1) : [];
  // Where a packet is denied its way ends.
  const isDenied = (steps: readonly PathStep[]) => steps.some(({ policy }) => policy?.allowed === false);
  const steps = [...(start ? [start] : []), ...egress];
  if (!isDenied(egress)) steps.push(...rest, ...ingress, ...(isDenied(ingress) ? [] : last));
  if (allowed === false) return { steps, reachable: 'no' };
  return { steps, reachable: allowed === undefined && leg.reachable === 'yes' ? 'unknown' : leg.reachable };
}

function startText(index: NodeIndex, source: End, from: Ip, to: Ip): string {
  if (source.kind !== 'pod') return `sends ${from} → ${to}`;
  const range = index.get(source.node ?? '')?.podCidrs.find((prefix) => contains(prefix, from));
  return `sends ${from} → ${to} to its gateway${range ? ` ${nthAddress(range, 1)}` : ''}`;
}

function elsewhere(self: Self, start: PathStep, source: End, target: End): Leg {
  const text = `what is done there is decided there; ask the agent of ${source.node}`;
  const here =
    target.node === self.name
      ? [{ at: target.title, text: 'is on this node, which delivers to its bridge' }]
      : [];
  const there = source.node === undefined ? [] : [{ at: `node ${source.node}`, text }];
  return { steps: [start, ...there, ...here], reachable: 'unknown' };
}

function toPod(self: Self, index: NodeIndex, peer: Node, start: PathStep, arrival: PathStep, to: Ip): Leg {
  const pair = choosePair(self, peer);
  const { rows, problems = [] } = planPeer(self, index, peer);
  const route = rows.find((row) => row.target === 'route' && contains(row.body.dst, to));
  const at = `node ${self.name}`;
  if (route?.target !== 'route') {
    const reasons = problems.map(({ object, message }) => `${object}: ${message}`);
    const text = `has no route to ${to} on ${peer.name}: ${reasons.join('; ') || pair.reason}`;
    return { steps: [start, { at, text }], reachable: 'no' };
  }
  const [hop] = route.body.nextHops;
  const steps: PathStep[] = [
    start,
    {
      at,
      text: `${route.body.dst} via ${hop?.via} dev ${hop?.dev} (${pair.transport}: ${pair.reason}); the source stays ${start.text.split(' ')[1]}`,
      row: { target: 'route', key: route.key },
      lookup: { from: undefined, to, through: route.body.nextHops },
    },
  ];
  const fdb = rows.find((row) => row.target === 'fdb' && row.body.dev === hop?.dev);
  if (fdb?.target === 'fdb') {
    const text = `${pair.carrier} from ${self.underlay[familyOf(fdb.body.dst)]?.address} to ${fdb.body.dst}, ${peer.name}`;
    steps.push({
      at: 'underlay',
      text,
      row: { target: 'fdb', key: fdb.key },
      lookup: { from: undefined, to: fdb.body.dst },
    });
  }
  steps.push({ at: `node ${peer.name}`, text: `delivers to its bridge` }, arrival);
  return { steps, reachable: 'yes' };
}

function toOutside(self: Self, index: NodeIndex, start: PathStep, from: Ip, to: Ip, isPod: boolean): Leg {
  const at = `node ${self.name}`;
  const holder = index.withAddress(to)[0];
  const kept = !isPod ? 'it is the node itself that sends' : keptSource(self, index, to);
  const text =
    kept === undefined
      ? `masquerades: ${to} sees the address of ${self.name}, not ${from}`
      : `${to} sees the source ${from}: ${kept}`;
  const row: RowRef | undefined =
    isPod && masquerades(self) ? { target: 'nft', key: nftChainKey(MASQUERADE_CHAIN) } : undefined;
  const where = holder === undefined ? `outside ${to}` : `node ${holder}`;
  return {
    steps: [
      start,
      { at, text, ...(row && { row }) },
      { at, text: `goes the node's own way to ${to}`, lookup: { from: undefined, to } },
      { at: where, text: holder === undefined ? 'is no address of this cluster' : 'receives it' },
    ],
    reachable: holder === undefined ? 'unknown' : 'yes',
  };
}

/** Why packets of pods to this address keep their source; `undefined` when they are masqueraded. */
function keptSource(self: Self, index: NodeIndex, to: Ip): string | undefined {
  if (!masquerades(self)) return 'masquerade is switched off';
  const { exclude } = self.config.masquerade;
  const excluded = exclude.find((cidr) => contains(cidr, to));
  if (excluded !== undefined) return `it is in ${excluded} of setting masquerade.exclude`;
  const [cidr] = index.cidrs.overlapping(to);
  if (cidr !== undefined) return `${cidr} is a pod CIDR`;
  for (const node of index.nodes()) {
    if ([...node.addresses, ...node.externalAddresses].includes(to))
      return `it is an address of Node ${node.name}`;
  }
  return undefined;
}
