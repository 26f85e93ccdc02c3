import type { Direction, PolicyProtocol } from '../../../model/cluster/policy.ts';
import type { Ip } from '../../../model/net/ip.ts';
import type { World } from '../../../model/world.ts';
import type { Decision, Flow, Verdict } from '../flow.ts';
import { inOwnPodCidrs, isOfNode, ownName, podsAt } from './addresses.ts';
import { judge } from './judge.ts';

/**
 * What the policies of this World say of a flow, from the objects themselves: nothing of it goes through what is compiled for the
 * kernel, so the two can be compared. Ends on other nodes are judged as well, where the World knows their pods.
 */
export function decide(world: World, flow: Flow): Decision {
  const named = { ...flow, protocol: protocolName(flow.protocol) };
  const egress = verdictAt(world, named, 'egress');
  const ingress = verdictAt(world, named, 'ingress');
  return {
    allowed: (egress?.allowed ?? true) && (ingress?.allowed ?? true),
    ...(egress && { egress }),
    ...(ingress && { ingress }),
  };
}

const NAMES: Readonly<Record<number, PolicyProtocol>> = { 6: 'TCP', 17: 'UDP', 132: 'SCTP' };

const protocolName = (protocol: Flow['protocol']): Flow['protocol'] =>
  typeof protocol === 'number' ? (NAMES[protocol] ?? protocol) : protocol;

/** `undefined` when the end that this direction is about is no pod. */
function verdictAt(world: World, flow: Flow, direction: Direction): Verdict | undefined {
  const [near, far] = direction === 'egress' ? [flow.from, flow.to] : [flow.to, flow.from];
  const pod = podsAt(world, near)[0]?.pod;
  const open = (text: string, by: Verdict['by']): Verdict => ({
    direction,
    pod: pod?.key ?? near,
    allowed: true,
    audit: false,
    by,
    policies: [],
    text,
  });
  if (!pod && !isUnknownPod(world, near)) return undefined;
  const policy = world.config.objects.get('config')?.policy;
  if (policy?.enabled === false)
    return open('no policy is enforced: setting policy.enabled is false', 'default');
  const node = pod?.node ?? ownName(world) ?? '';
  if (direction === 'ingress' && isOfNode(world, node, far))
    return open(
      `${far} is an address of Node ${node}, whose traffic to its own pods is never denied`,
      'own-node',
    );
  if (pod) {
    const pods = podsAt(world, far).map((holder) => holder.pod);
    return judge({ world, flow, direction, pod, far: { address: far, pods } });
  }
  const why = `${near} lies in our pod CIDRs and is the address of no pod that is known`;
  if (policy?.unknownPods === 'open')
    return open(`${why}; setting policy.unknownPods is open`, 'unknown-pod');
  return { ...open(why, 'unknown-pod'), allowed: false };
}

function isUnknownPod(world: World, address: Ip): boolean {
  return inOwnPodCidrs(world, address) && !isOfNode(world, ownName(world) ?? '', address);
}
