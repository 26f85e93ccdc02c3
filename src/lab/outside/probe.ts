import type { Arguments, Flag } from '../../cli/flags.ts';
import { table } from '../../cli/table.ts';
import { FairleadError } from '../../model/errors.ts';
import { type Family, familyOf, tryIp } from '../../model/net/ip.ts';
import { PROBE_PORT } from '../prober/responder.ts';
import type { ProbeProtocol, ProbeRequest, ProbeResult, StreamResult } from '../prober/types.ts';
import { JSON_FLAG, type RunningLab } from './verb.ts';

export const PROBE_FLAGS: readonly Flag[] = [
  JSON_FLAG,
  { name: 'from', placeholder: 'NAME', doc: 'node, NAMESPACE/POD or outside' },
  { name: 'to', placeholder: 'NAME-or-IP', doc: 'the same, or an address' },
  { name: 'protocol', placeholder: 'P', doc: 'tcp, udp, sctp or icmp' },
  { name: 'port', placeholder: 'N', doc: `default ${PROBE_PORT}` },
  { name: 'family', placeholder: 'F', doc: 'ipv4 or ipv6; absent = both' },
  { name: 'size', placeholder: 'BYTES', doc: 'payload, not to be fragmented (udp, icmp)' },
  { name: 'rate', placeholder: 'N', doc: 'a stream of so many probes a second' },
  { name: 'count', placeholder: 'N', doc: 'how many, with --rate' },
];

type Flags = Arguments['flags'];

/** `fairlead lab probe`: one question for each family, all pairs, or a stream. Exit code 1 when one was not answered. */
export async function probe(lab: RunningLab, { flags }: Arguments): Promise<number> {
  const from = flags.get('from');
  const to = flags.get('to');
  const rate = flags.get('rate');
  if (rate !== undefined) return stream(lab, flags, Number(rate));
  const protocol = (flags.get('protocol') ?? 'tcp') as ProbeProtocol;
  if (!['tcp', 'udp', 'sctp', 'icmp'].includes(protocol))
    throw new FairleadError('usage', `--protocol "${protocol}"`, { hint: 'tcp, udp, sctp or icmp' });
  const results =
    from !== undefined && to !== undefined
      ? await lab.ask<ProbeResult[]>('probe', { requests: requestsFor(from, to, protocol, flags) })
      : (await lab.ask<ProbeResult[]>('matrix', { protocol })).filter((r) => isAsked(r, flags));
  console.log(flags.has('json') ? pairsJson(results) : resultsText(results));
  return results.every((r) => r.verdict === 'allowed') ? 0 : 1;
}

function requestsFor(from: string, to: string, protocol: ProbeProtocol, flags: Flags): ProbeRequest[] {
  const size = flags.get('size');
  const port = Number(flags.get('port') ?? (protocol === 'icmp' ? 0 : PROBE_PORT));
  return familiesOf(flags.get('family'), to).map((family) => ({
    ...{ from, to, family, protocol, port },
    ...(size ? { size: Number(size) } : {}),
  }));
}

const isAsked = (result: ProbeResult, flags: Flags): boolean =>
  (['from', 'to', 'family'] as const).every((key) => (flags.get(key) ?? result[key]) === result[key]);

function pairsJson(results: readonly ProbeResult[]): string {
  const pairs = results.map(({ from, to, family, protocol, port, verdict, source }) => {
    return { from, to, family, protocol, port, verdict, source };
  });
  return JSON.stringify({ pairs }, undefined, 2);
}

function resultsText(results: readonly ProbeResult[]): string {
  const rows = results.map((r) => {
    const seen = r.source || (r.reason ?? '');
    return [r.from, r.to, r.family, `${r.protocol}/${r.port}`, r.verdict, seen];
  });
  return table(['FROM', 'TO', 'FAMILY', 'PORT', 'VERDICT', 'SEEN AS'], rows);
}

async function stream(lab: RunningLab, flags: Flags, rate: number): Promise<number> {
  const from = flags.get('from');
  const to = flags.get('to');
  const family = flags.get('family');
  const protocol = flags.get('protocol') ?? 'udp';
  if (!(rate > 0 && rate <= 20_000))
    throw new FairleadError('usage', `--rate "${rate}"`, { hint: '1 to 20000' });
  const id = await lab.ask<number>('streamStart', {
    rate,
    count: Number(flags.get('count') ?? rate * 10),
    protocol,
    ...(from && to ? { pairs: [[from, to]] } : {}),
    ...(family ? { families: [family] } : {}),
  });
  const result = await lab.ask<StreamResult>('streamFinish', { id });
  if (flags.has('json')) console.log(JSON.stringify(result, undefined, 2));
  else {
    console.log(`${result.sent} sent, ${result.received} answered, ${result.lost} lost`);
    for (const { from, to, family, at } of result.losses)
      console.log(`  lost ${from} → ${to} ${family} at ${at} ms`);
    for (const words of result.foreignSources) console.log(`  ${words}`);
  }
  return result.lost === 0 ? 0 : 1;
}

function familiesOf(family: string | undefined, to: string): readonly Family[] {
  if (family === 'ipv4' || family === 'ipv6') return [family];
  if (tryIp(to)) return [familyOf(to)];
  return ['ipv4', 'ipv6'];
}
