import { EXIT } from '../../cli/command.ts';
import type { Arguments, Flag } from '../../cli/flags.ts';
import { table } from '../../cli/table.ts';
import { FairleadError } from '../../model/errors.ts';
import type { Family } from '../../model/net/ip.ts';
import { PROBE_PORT } from '../prober/responder.ts';
import type { ProbeResult, StreamRequest, StreamResult } from '../prober/types.ts';
import { number, oneOf } from './flags.ts';
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

const PROTOCOLS = ['tcp', 'udp', 'sctp', 'icmp'] as const;
const FAMILIES = ['ipv4', 'ipv6'] as const;

type Flags = Arguments['flags'];

interface Paths {
  readonly pairs: readonly [string, string][];
  readonly families: readonly Family[];
}

/** `fairlead lab probe`: one question for each pair and family, or a stream. Exit code 1 when one was not answered. */
export async function probe(lab: RunningLab, { flags }: Arguments): Promise<number> {
  if (flags.has('rate')) return stream(lab, flags);
  refuse(flags, ['count'], 'goes with --rate');
  const protocol = oneOf(flags, 'protocol', PROTOCOLS, 'tcp');
  const port = number(flags, 'port', 0, 65_535, protocol === 'icmp' ? 0 : PROBE_PORT);
  const size = number(flags, 'size', 0, 65_535, undefined);
  const { pairs, families } = await pathsOf(lab, flags);
  const requests = pairs.flatMap(([from, to]) =>
    families.map((f) => ({ from, to, family: f, protocol, port, ...(size !== undefined && { size }) })),
  );
  const results = await lab.ask<ProbeResult[]>('probe', { requests });
  console.log(flags.has('json') ? pairsJson(results) : resultsText(results));
  return results.every((r) => r.verdict === 'allowed') ? EXIT.done : EXIT.failed;
}

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

/** Pods answer a stream at one port, so it cannot be told another. */
async function stream(lab: RunningLab, flags: Flags): Promise<number> {
  refuse(flags, ['port', 'size'], 'does not go with --rate');
  const rate = number(flags, 'rate', 1, 20_000, 1);
  const count = number(flags, 'count', 1, 10_000_000, rate * 10);
  const protocol = oneOf(flags, 'protocol', ['udp', 'tcp'], 'udp');
  const request: StreamRequest = { rate, count, protocol, ...(await pathsOf(lab, flags)) };
  const id = await lab.ask<number>('streamStart', request);
  const result = await lab.ask<StreamResult>('streamFinish', { id });
  if (flags.has('json')) console.log(JSON.stringify(result, undefined, 2));
  else {
    console.log(`${result.sent} sent, ${result.received} answered, ${result.lost} lost`);
    for (const { from, to, family, at } of result.losses)
      console.log(`  lost ${from} → ${to} ${family} at ${at} ms`);
    for (const words of result.foreignSources) console.log(`  ${words}`);
  }
  return result.lost === 0 ? EXIT.done : EXIT.failed;
}

/** Who asks whom, in which families; without `--family` those of the lab. */
async function pathsOf(lab: RunningLab, flags: Flags): Promise<Paths> {
  const family = oneOf(flags, 'family', FAMILIES, undefined);
  const paths = await lab.ask<Paths>('paths', { from: flags.get('from'), to: flags.get('to') });
  return family === undefined ? paths : { ...paths, families: [family] };
}

function refuse(flags: Flags, names: readonly string[], why: string): void {
  for (const name of names) if (flags.has(name)) throw new FairleadError('usage', `--${name} ${why}`);
}
