import type { Denial, DenialEnd } from '../../model/api.ts';
import type { Direction } from '../../model/cluster/policy.ts';
import type { Ip } from '../../model/net/ip.ts';
import type { World } from '../../model/world.ts';
import { nodesAt, podsAt } from '../../plan/policy/decide/addresses.ts';
import { decide } from '../../plan/policy/decide/decide.ts';
import { protocolText } from '../../plan/policy/decide/text.ts';
import type { Verdict } from '../../plan/policy/flow.ts';
import type { LoggedPacket } from '../../targets/linux/netlink/nflog/log.ts';

/** What the rules call their log lines: what was done, in which direction, and for a ClusterNetworkPolicy which rule did it. */
const PREFIX = /^fairlead (deny|audit) (ingress|egress)(?: (unknown)| (admin|baseline)\/([^/]+)\/(\d+))?$/;

export type NewDenial = Omit<Denial, 'id' | 'at' | 'last' | 'count'>;

/** Names a packet that our rules logged by what the policies say of it; `undefined` for lines that are not ours. */
export function denialOf(world: World, packet: LoggedPacket): NewDenial | undefined {
  const [, kind, direction, unknown, tier, policy, rule] = PREFIX.exec(packet.prefix) ?? [];
  if (!isKind(kind) || !isDirection(direction)) return undefined;
  const { from, to, destinationPort: port } = packet;
  const flow = { from, to, protocol: packet.protocol, ...(port !== undefined && { port }) };
  const verdict = decide(world, flow)[direction];
  const what = {
    kind,
    direction,
    from: endOf(world, from),
    to: endOf(world, to),
    protocol: protocolText({ protocol: nameOf(packet.protocol) }),
    ...(port !== undefined && { port }),
  };
  const agrees = verdict && (kind === 'deny' ? !verdict.allowed : verdict.audit);
  if (policy !== undefined && isTier(tier)) {
    const index = Number(rule);
    const by = `ClusterNetworkPolicy ${policy}`;
    const same = agrees && verdict.policies[0] === by && verdict.rule === index;
    const text = same
      ? verdict.text
      : `${kind === 'deny' ? 'denied' : 'audited'} by ${direction}[${index}] of ${by}`;
    return { ...what, by: tier, policies: [by], rule: index, text };
  }
  if (agrees) {
    const { by, policies, text } = verdict;
    return { ...what, by, policies, ...(verdict.rule !== undefined && { rule: verdict.rule }), text };
  }
  if (unknown) {
    const end = direction === 'egress' ? from : to;
    const text = `${end} is where our pods are and is the address of none that is known`;
    return { ...what, by: 'unknown-pod', policies: [], text };
  }
  const now = verdict ? `what is known now says: ${verdict.text}` : 'neither end is a pod that is known now';
  return { ...what, policies: [], text: `the kernel's rules did it; ${now}` };
}

const NAMES: Readonly<Record<number, 'TCP' | 'UDP' | 'SCTP'>> = { 6: 'TCP', 17: 'UDP', 132: 'SCTP' };
const nameOf = (protocol: number): number | 'TCP' | 'UDP' | 'SCTP' => NAMES[protocol] ?? protocol;

function endOf(world: World, ip: Ip): DenialEnd {
  const pod = podsAt(world, ip)[0]?.pod.key;
  if (pod !== undefined) return { ip, pod };
  const node = nodesAt(world, ip)[0]?.name;
  return node === undefined ? { ip } : { ip, node };
}

const isKind = (word: string | undefined): word is Denial['kind'] => word === 'deny' || word === 'audit';
const isDirection = (word: string | undefined): word is Direction => word === 'ingress' || word === 'egress';
const isTier = (word: string | undefined): word is Verdict['by'] & ('admin' | 'baseline') =>
  word === 'admin' || word === 'baseline';
