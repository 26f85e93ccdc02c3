import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { type Arguments, type Flag, parseFlags } from '../../cli/flags.ts';
import { table } from '../../cli/table.ts';
import { FairleadError } from '../../model/errors.ts';
import { type Family, familyOf, tryIp } from '../../model/net/ip.ts';
import { ask } from '../control.ts';
import { CONTROL_SOCKET } from '../options.ts';
import { PROBE_PORT } from '../prober/responder.ts';
import type { ProbeProtocol, ProbeRequest, ProbeResult, StreamResult } from '../prober/types.ts';
import { insideCommand, insideEnv } from './exec.ts';
import { NAME_FLAG } from './flags.ts';
import { down } from './launcher.ts';
import { picture } from './live.ts';
import { type LabState, readRecord, requireRecord, stateOf } from './state.ts';

export interface Verb {
  readonly usage: string;
  readonly what: string;
  run(argv: readonly string[]): Promise<number>;
}

const STATE_FLAG: Flag = { name: 'state-dir', placeholder: 'DIR', doc: 'where labs keep their folders' };

/** A verb that talks to a running lab: flags and words in, exit code out. */
function verb(
  usage: string,
  what: string,
  flags: readonly Flag[],
  words: number,
  run: (lab: RunningLab, args: Arguments) => Promise<number | undefined>,
): Verb {
  return {
    usage,
    what,
    run: async (argv) => {
      const args = parseFlags(argv, [NAME_FLAG, STATE_FLAG, ...flags], words);
      const state = stateOf(args.flags.get('name') ?? 'default', args.flags.get('state-dir'));
      return (await run(new RunningLab(state), args)) ?? 0;
    },
  };
}

class RunningLab {
  readonly state: LabState;

  constructor(state: LabState) {
    this.state = state;
  }

  ask<T>(method: string, params: unknown = {}): Promise<T> {
    requireRecord(this.state);
    return ask<T>(join(this.state.dir, CONTROL_SOCKET), method, params);
  }
}

const JSON_FLAG: Flag = { name: 'json', doc: 'as JSON' };

const PROBE_FLAGS: readonly Flag[] = [
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

export const VERBS: Readonly<Record<string, Verb>> = {
  status: verb('[--json]', 'nodes, pods, who reaches whom', [JSON_FLAG], 0, async (lab, { flags }) => {
    if (flags.has('json')) console.log(JSON.stringify(await lab.ask('status'), undefined, 2));
    else {
      requireRecord(lab.state);
      console.log(await picture(join(lab.state.dir, CONTROL_SOCKET)));
    }
    return 0;
  }),
  kubeconfig: verb('', 'path of a kubeconfig for kubectl', [], 0, async (lab) => {
    requireRecord(lab.state);
    console.log(join(lab.state.dir, 'kubeconfig'));
    return 0;
  }),
  'add-node': verb(
    '[NODE] [--segment S] [--pods N]',
    'one more machine',
    [
      { name: 'segment', placeholder: 'S', doc: 'its wire' },
      { name: 'pods', placeholder: 'N', doc: 'pods on it' },
    ],
    1,
    async (lab, { flags, positionals: [name] }) => {
      const segment = flags.get('segment');
      const node = { ...(name ? { name } : {}), ...(segment ? { segment } : {}) };
      console.log(await lab.ask<string>('addNode', { ...node, pods: Number(flags.get('pods') ?? 1) }));
      return 0;
    },
  ),
  'remove-node': verb('NODE', 'a machine goes for good', [], 1, async (lab, { positionals: [name] }) => {
    await lab.ask('removeNode', { name: need(name, 'NODE') });
    return 0;
  }),
  'add-pod': verb(
    'POD [--node N]',
    'one more pod',
    [{ name: 'node', placeholder: 'N', doc: 'absent = the lab chooses' }],
    1,
    async (lab, { flags, positionals: [name] }) => {
      await lab.ask('addPod', { name: need(name, 'POD'), node: flags.get('node') });
      return 0;
    },
  ),
  'remove-pod': verb('NAMESPACE/POD', 'deletes a pod', [], 1, async (lab, { positionals: [name] }) => {
    await lab.ask('removePod', { name: need(name, 'NAMESPACE/POD') });
    return 0;
  }),
  exec: {
    usage: 'NODE|NAMESPACE/POD|outside -- COMMAND',
    what: 'runs a command there',
    run: exec,
  },
  probe: verb('[--json] [--from X] [--to Y] …', 'asks, or streams with --rate', PROBE_FLAGS, 0, probe),
  fault: verb(
    'list | NAME ARGS',
    'breaks something',
    [],
    9,
    async (lab, { positionals: [name, ...args] }) => {
      const said = await lab.ask<unknown>('fault', { name: name ?? 'list', args });
      if (Array.isArray(said)) console.log(said.join('\n'));
      else if (typeof said === 'string' && said !== '') console.log(said.trim());
      return 0;
    },
  ),
  configure: verb(
    'KEY=VALUE… [--node N]',
    "changes agents' settings live; KEY= takes one away",
    [{ name: 'node', placeholder: 'N', doc: 'absent = all nodes' }],
    99,
    async (lab, { flags, positionals }) => {
      if (positionals.length === 0) throw new FairleadError('usage', 'KEY=VALUE is missing: transport=vxlan');
      await lab.ask('set', { settings: settingsOf(positionals), node: flags.get('node') });
      return 0;
    },
  ),
  logs: verb('NODE', "a node's agent's log", [], 1, async (lab, { positionals: [name] }) => {
    requireRecord(lab.state);
    process.stdout.write(readFileSync(join(lab.state.dir, 'nodes', need(name, 'NODE'), 'agent.log'), 'utf8'));
    return 0;
  }),
  down: verb('', 'ends the lab', [], 0, async (lab) => {
    const record = readRecord(lab.state);
    if (!record) requireRecord(lab.state);
    else await down(lab.state, record);
    return 0;
  }),
};

/** `vxlan.port=4789` as it stands in a configuration file; `null` = taken away. */
function settingsOf(words: readonly string[]): Readonly<Record<string, unknown>> {
  const pairs = words.map((word): [string, unknown] => {
    const cut = word.indexOf('=');
    if (cut < 1) throw new FairleadError('usage', `"${word}" is not KEY=VALUE`, { hint: 'transport=vxlan' });
    return [word.slice(0, cut), parse(word.slice(cut + 1)) ?? null];
  });
  return Object.fromEntries(pairs);
}

function need(word: string | undefined, what: string): string {
  if (word === undefined) throw new FairleadError('usage', `${what} is missing`);
  return word;
}

async function exec(argv: readonly string[]): Promise<number> {
  const cut = argv.indexOf('--');
  const head = cut < 0 ? argv.slice(0, 1) : argv.slice(0, cut);
  const command = cut < 0 ? argv.slice(1) : argv.slice(cut + 1);
  const { flags, positionals } = parseFlags(head, [NAME_FLAG, STATE_FLAG], 1);
  const name = need(positionals[0], 'NODE or NAMESPACE/POD');
  const state = stateOf(flags.get('name') ?? 'default', flags.get('state-dir'));
  const record = requireRecord(state);
  const enter = await ask<string[]>(join(state.dir, CONTROL_SOCKET), 'enter', { name });
  const line = insideCommand(record, [...enter, ...(command.length > 0 ? command : ['sh'])]);
  const [program = '', ...args] = line;
  const child = spawn(program, args, { stdio: 'inherit', env: insideEnv(name) });
  // The terminal sends Ctrl-C to the command as well; its end is what ends this.
  process.on('SIGINT', () => undefined);
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

async function probe(lab: RunningLab, { flags }: Arguments): Promise<number> {
  const from = flags.get('from');
  const to = flags.get('to');
  const rate = flags.get('rate');
  if (rate !== undefined) return stream(lab, flags, Number(rate));
  const protocol = (flags.get('protocol') ?? 'tcp') as ProbeProtocol;
  if (!['tcp', 'udp', 'sctp', 'icmp'].includes(protocol))
    throw new FairleadError('usage', `--protocol "${protocol}"`, { hint: 'tcp, udp, sctp or icmp' });
  let results: readonly ProbeResult[];
  if (from !== undefined && to !== undefined) {
    const requests = familiesOf(flags.get('family'), to).map((family): ProbeRequest => {
      const size = flags.get('size');
      const port = Number(flags.get('port') ?? (protocol === 'icmp' ? 0 : PROBE_PORT));
      return { from, to, family, protocol, port, ...(size ? { size: Number(size) } : {}) };
    });
    results = await lab.ask('probe', { requests });
  } else {
    const all = await lab.ask<ProbeResult[]>('matrix', { protocol });
    const family = flags.get('family');
    results = all.filter(
      (r) => (from ?? r.from) === r.from && (to ?? r.to) === r.to && (family ?? r.family) === r.family,
    );
  }
  if (flags.has('json')) {
    const pairs = results.map(({ from, to, family, protocol, port, verdict, source }) => ({
      from,
      to,
      family,
      protocol,
      port,
      verdict,
      source,
    }));
    console.log(JSON.stringify({ pairs }, undefined, 2));
  } else {
    const rows = results.map((r) => [
      r.from,
      r.to,
      r.family,
      `${r.protocol}/${r.port}`,
      r.verdict,
      r.source || (r.reason ?? ''),
    ]);
    console.log(table(['FROM', 'TO', 'FAMILY', 'PORT', 'VERDICT', 'SEEN AS'], rows));
  }
  return results.every((r) => r.verdict === 'allowed') ? 0 : 1;
}

async function stream(lab: RunningLab, flags: ReadonlyMap<string, string>, rate: number): Promise<number> {
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
