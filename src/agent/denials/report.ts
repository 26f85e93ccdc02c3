import type { Denial, DenialEnd } from '../../model/api.ts';
import type { Log } from '../log.ts';
import type { Registry } from '../metrics/registry.ts';

/** More namespaces than these are counted together as `other`: labels of a metric must be bounded. */
const NAMESPACES = 100;

export interface DenialMetrics {
  packet(denial: Denial): void;
  lost(): void;
}

export function denialMetrics(registry: Registry): DenialMetrics {
  const packets = registry.counter(
    'fairlead_policy_denied_packets_total',
    'Denied and audited packets that the kernel told of (policy.logRate limits how many), by namespace of the pod whose policies did it.',
  );
  const lost = registry.counter(
    'fairlead_policy_denials_lost_total',
    'Times that denied packets came faster than they were read.',
  );
  const known = new Set<string>();
  return {
    packet({ direction, kind, from, to }) {
      const pod = (direction === 'ingress' ? to : from).pod ?? '';
      const own = pod.slice(0, Math.max(0, pod.indexOf('/')));
      if (known.size < NAMESPACES) known.add(own);
      packets.add(1, { direction, kind, namespace: known.has(own) ? own : 'other' });
    },
    lost: () => lost.add(1),
  };
}

/** One line a denial, and one more with the count when there were several within its window. */
export function logDenial(log: Pick<Log, 'info'>, denial: Denial): void {
  const { kind, direction, from, to, protocol, port, policies, rule, count } = denial;
  const did = kind === 'deny' ? 'denied' : 'would deny (audit)';
  const times = count > 1 ? ` ${count} times` : '';
  const what = port === undefined ? protocol : `${protocol} ${port}`;
  log.info(
    {
      denial: kind,
      direction,
      from: from.ip,
      to: to.ip,
      ...(from.pod !== undefined && { fromPod: from.pod }),
      ...(to.pod !== undefined && { toPod: to.pod }),
      protocol,
      ...(port !== undefined && { port }),
      policies,
      ...(rule !== undefined && { rule }),
      count,
    },
    `${did}${times} ${direction} ${what} from ${nameOf(from)} to ${nameOf(to)}: ${denial.text}`,
  );
}

const nameOf = ({ ip, pod, node }: DenialEnd): string =>
  pod === undefined ? (node === undefined ? ip : `Node ${node} (${ip})`) : `${pod} (${ip})`;
