import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { EXIT } from '../../cli/command.ts';
import { parseFlags } from '../../cli/flags.ts';
import { FairleadError } from '../../model/errors.ts';
import { ask } from '../control.ts';
import { CONTROL_SOCKET } from '../options.ts';
import { insideCommand, insideEnv } from './exec.ts';
import { NAME_FLAG, number } from './flags.ts';
import { down } from './launcher.ts';
import { onePage, picture } from './live.ts';
import { PROBE_FLAGS, probe } from './probe.ts';
import { readRecord, requireRecord, stateOf } from './state.ts';
import { JSON_FLAG, need, STATE_FLAG, type Verb, verb } from './verb.ts';

export const VERBS: Readonly<Record<string, Verb>> = {
  status: verb('[--json]', 'nodes, pods, who reaches whom', [JSON_FLAG], 0, async (lab, { flags }) => {
    if (flags.has('json')) console.log(JSON.stringify(await lab.ask('status'), undefined, 2));
    else {
      requireRecord(lab.state);
      console.log(onePage(await picture(join(lab.state.dir, CONTROL_SOCKET), process.stdout.columns)));
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
      console.log(await lab.ask<string>('addNode', { ...node, pods: number(flags, 'pods', 0, 100, 1) }));
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
      const settings = settingsOf(positionals);
      const refused = await lab.ask<string[]>('set', { settings, node: flags.get('node') });
      for (const words of refused) console.error(words);
      return refused.length === 0 ? EXIT.done : EXIT.notWell;
    },
  ),
  logs: verb('NODE', "a node's agent's log", [], 1, async (lab, { positionals: [name] }) => {
    requireRecord(lab.state);
    const file = join(lab.state.dir, 'nodes', need(name, 'NODE'), 'agent.log');
    if (!existsSync(file))
      throw new FairleadError('lab-name', `node "${name}" has no log: ${file} is not there`);
    process.stdout.write(readFileSync(file, 'utf8'));
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

/** How many words are `exec`'s own when no `--` says so: flags with their values, and the name behind them. */
function ownWords(argv: readonly string[]): number {
  let i = 0;
  while (argv[i]?.startsWith('--')) i += argv[i]?.includes('=') ? 1 : 2;
  return i + 1;
}

async function exec(argv: readonly string[]): Promise<number> {
  const cut = argv.indexOf('--');
  const end = cut < 0 ? ownWords(argv) : cut;
  const head = argv.slice(0, end);
  const command = argv.slice(cut < 0 ? end : end + 1);
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
