import { join } from 'node:path';
import type { Clock } from '../model/clock.ts';
import { FairleadError } from '../model/errors.ts';
import { egressPlanner } from '../plan/egress/planner.ts';
import { framesPlanner, otherFramesPlanner } from '../plan/frames/planner.ts';
import { nodePlanner } from '../plan/node/planner.ts';
import type { Planner } from '../plan/planner.ts';
import { lostRulesPlanner } from '../plan/policy/lost-rules.ts';
import { policyPlanner } from '../plan/policy/planner.ts';
import { transportsPlanner } from '../plan/transports/planner.ts';
import type { Target } from '../reconcile/target.ts';
import type { Values } from '../sources/config/settings.ts';
import type { KubeClient } from '../sources/kube/client.ts';
import { fileTarget } from '../targets/files/files.ts';
import { type Announcement, type NodeStatusTarget, nodeStatusTarget } from '../targets/kube/node-status.ts';
import { addressTarget } from '../targets/linux/address.ts';
import { fdbTarget } from '../targets/linux/fdb.ts';
import { linkTarget } from '../targets/linux/link.ts';
import { neighborTarget } from '../targets/linux/neighbor.ts';
import { NETLINK_NETFILTER, NETLINK_ROUTE } from '../targets/linux/netlink/constants.ts';
import { type NetlinkSocketOptions, openNetlink } from '../targets/linux/netlink/socket.ts';
import type { NetlinkTransport } from '../targets/linux/netlink/transport.ts';
import { nexthopTarget } from '../targets/linux/nexthop.ts';
import { nftTarget } from '../targets/linux/nft.ts';
import { routeTarget } from '../targets/linux/route.ts';
import { ruleTarget } from '../targets/linux/rule.ts';
import { sysctlTarget } from '../targets/linux/sysctl.ts';

/** In the order of precedence: the first one wins when two want one thing differently. */
export const PLANNERS: readonly Planner[] = [
  transportsPlanner,
  egressPlanner,
  nodePlanner,
  policyPlanner,
  lostRulesPlanner,
  framesPlanner,
  otherFramesPlanner,
];

export interface Kernel {
  readonly route: NetlinkTransport;
  readonly netfilter: NetlinkTransport;
}

/** The kernel's two doors. Throws `no-netlink` when one of them is shut. */
export function openKernel(): Kernel {
  return { route: open(NETLINK_ROUTE, 'rtnetlink'), netfilter: open(NETLINK_NETFILTER, 'nfnetlink') };
}

/** The door to connection tracking, whose tables take the kernel long to walk. Throws `no-netlink`. */
export function openConnections(): NetlinkTransport {
  return open(NETLINK_NETFILTER, 'nfnetlink', { dumpsAside: true });
}

function open(protocol: number, name: string, options: NetlinkSocketOptions = {}): NetlinkTransport {
  try {
    return openNetlink(protocol, options);
  } catch (error) {
    throw new FairleadError('no-netlink', `the kernel does not offer ${name}`, {
      hint: 'a sandboxed kernel cannot do the work of this agent',
      cause: error,
    });
  }
}

/** Everything that we keep true in the machine itself. A new kind of row is one more line. */
export function machineTargets({ route, netfilter }: Kernel, values: Values): readonly Target<unknown>[] {
  const journal = join(values.stateDir, 'sysctls.json');
  return [
    sysctlTarget({ journal, nl: route, root: values.procSys }),
    linkTarget(route),
    addressTarget(route),
    nftTarget(netfilter, 'inet'),
    nftTarget(netfilter, 'bridge'),
    neighborTarget(route),
    fdbTarget(route),
    nexthopTarget(route),
    routeTarget(route),
    ruleTarget(route),
    fileTarget({ dir: values['cni.dir'], names: [values['cni.file']] }),
  ];
}

/** Where CNI configuration is, and which file of it is ours. */
export function cniPlace(values: Values): { readonly cniDir: string; readonly ownCniFile: string } {
  return { cniDir: values['cni.dir'], ownCniFile: values['cni.file'] };
}

/** What we say through the API server. */
export function clusterTarget(
  client: KubeClient,
  nodeName: string,
  clock: Clock,
  announcement?: Announcement,
): NodeStatusTarget {
  return nodeStatusTarget({ client, nodeName, clock, ...(announcement && { announcement }) });
}
