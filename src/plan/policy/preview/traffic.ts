import type { Pod } from '../../../model/cluster/pod.ts';
import type { PolicyPort, PolicyProtocol } from '../../../model/cluster/policy.ts';
import type { Flow } from '../flow.ts';

/** Traffic that no policy tells apart, one of it for all. */
export interface PreviewTraffic {
  readonly label: string;
  readonly protocol: Flow['protocol'];
  readonly port?: number;
}

const PROTOCOLS: readonly PolicyProtocol[] = ['TCP', 'UDP', 'SCTP'];
/** A protocol that policies cannot name (RFC 3692: for experiments). */
const UNNAMED = 253;

/** For each protocol the port ranges between which policies or named ports of the destination distinguish, and what is left. */
export function trafficOf(ports: readonly PolicyPort[], destination: Pod | undefined): PreviewTraffic[] {
  const found: PreviewTraffic[] = [];
  for (const protocol of PROTOCOLS) {
    const ranges = [
      ...ports.flatMap(({ protocol: of, from, to = from }) =>
        of === protocol && from !== undefined && to !== undefined ? [{ from, to }] : [],
      ),
      ...(destination?.ports ?? []).flatMap(({ protocol: of, port }) =>
        of === protocol ? [{ from: port, to: port }] : [],
      ),
    ];
    const cuts = [...new Set([1, 65_536, ...ranges.flatMap(({ from, to }) => [from, to + 1])])].sort(
      (a, b) => a - b,
    );
    let rest: number | undefined;
    for (const [i, from] of cuts.entries()) {
      const to = (cuts[i + 1] ?? 0) - 1;
      if (to < from) continue;
      if (ranges.some((range) => range.from <= from && to <= range.to))
        found.push({ label: `${protocol} ${from === to ? from : `${from}-${to}`}`, protocol, port: from });
      else rest ??= from;
    }
    const label = ranges.length === 0 ? protocol : `other ${protocol}`;
    if (rest !== undefined) found.push({ label, protocol, port: rest });
  }
  return [...found, { label: 'ICMP and others', protocol: UNNAMED }];
}
