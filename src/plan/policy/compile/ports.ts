import type { PolicyPort, PolicyProtocol } from '../../../model/cluster/policy.ts';
import type { CompiledPort } from '../compiled.ts';

/** Ports without names: by protocol, disjoint and in order, for ranges in one set must not overlap. */
export function portsOfAll(ports: readonly PolicyPort[]): readonly CompiledPort[] {
  const [only, ...others] = ports;
  if (only && others.length === 0) return [one(only)];
  return (['TCP', 'UDP', 'SCTP'] as const).flatMap((protocol) =>
    united(
      protocol,
      ports.filter((port) => port.protocol === protocol),
    ),
  );
}

function united(protocol: PolicyProtocol, ports: readonly PolicyPort[]): CompiledPort[] {
  if (ports.some(({ from }) => from === undefined)) return [{ protocol }];
  const ranges = ports.map(({ from = 0, to = from }) => ({ from, to })).sort((a, b) => a.from - b.from);
  const result: { protocol: PolicyProtocol; from: number; to: number }[] = [];
  for (const { from, to } of ranges) {
    const previous = result.at(-1);
    if (previous && from <= previous.to) previous.to = Math.max(previous.to, to);
    else result.push({ protocol, from, to });
  }
  return result;
}

function one({ protocol, from, to }: PolicyPort): CompiledPort {
  return from === undefined ? { protocol } : { protocol, from, to: to ?? from };
}
