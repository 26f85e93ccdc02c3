import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { VERSION } from '../agent/version.ts';
import type { DriftRecord, PlannedChange, Status, Why } from '../model/api.ts';
import { FairleadError } from '../model/errors.ts';
import { annotatedSample, settingsHelp } from '../sources/config/describe.ts';
import { SETTING_NAMES, settingOf } from '../sources/config/settings.ts';
import { configFile, readConfigFile } from '../sources/config/watch.ts';
import { type Command, EXIT, OUTPUT, SOCKET } from './command.ts';
import { absolutePaths, clientOf, print, socketOf, stateDirOf, wantsJson } from './context.ts';
import { denials } from './denials.ts';
import type { Arguments, Flag } from './flags.ts';
import { policy } from './policy.ts';
import { driftText, planText, whyText } from './reports.ts';
import { statusText } from './status.ts';
import { paint } from './table.ts';

const SETTING_FLAGS: readonly Flag[] = SETTING_NAMES.map((name) => {
  const { flag, kind, doc } = settingOf(name);
  return { name: flag, placeholder: kind.placeholder, doc };
});

const agent: Command = {
  name: 'agent',
  summary: 'Run the agent of this node.',
  details: () =>
    `Settings, from flags, environment and file, in this order of precedence:\n\n${settingsHelp()}`,
  flags: [...SETTING_FLAGS, { name: 'print-config', doc: 'Print an annotated configuration file and end.' }],
  positionals: 0,
  async run({ flags }) {
    if (flags.has('print-config')) {
      process.stdout.write(annotatedSample());
      return EXIT.done;
    }
    const { runAgent } = await import('../agent/main.ts');
    // Sockets and timers of the agent would keep the process alive: it ends here, and leaves the data plane as it is.
    process.exit(await runAgent({ flags: absolutePaths(flags), env: process.env }));
  },
};

const status: Command = {
  name: 'status',
  summary: 'What the agent keeps true, what it could not do and why.',
  details: () =>
    'Exit code 0: ready, without problems. 3: not ready, or there are problems. 4: the agent does not answer.',
  flags: [OUTPUT, { name: 'watch', short: 'w', doc: 'Print again at every change.' }, ...SOCKET],
  positionals: 0,
  async run(args) {
    if (!args.flags.has('watch')) {
      const now = await clientOf(args).get<Status>('/v1/status');
      print(args, now, (s) => statusText(s, Date.now()));
      return now.state === 'ready' && now.problems.length === 0 ? EXIT.done : EXIT.notWell;
    }
    for await (const now of clientOf(args).lines<Status>('/v1/watch')) {
      const clear = process.stdout.isTTY ? '\x1b[H\x1b[2J' : '';
      const text = wantsJson(args) ? JSON.stringify(now) : `${clear}${statusText(now, Date.now())}`;
      process.stdout.write(`${text}\n`);
    }
    throw new FairleadError('no-agent', 'the agent went away');
  },
};

const plan: Command = {
  name: 'plan',
  summary: 'What would change on this machine, before it is changed.',
  details: () =>
    'Asks the running agent. Without one, reads the API server (--kubeconfig, --node) and this machine itself; it changes nothing.\nWith --config FILE it plans for that configuration instead of the one in force.',
  flags: [...SETTING_FLAGS.filter((f) => f.name !== 'state-dir'), OUTPUT, ...SOCKET],
  positionals: 0,
  async run(args) {
    const changes = await plannedChanges(args);
    print(args, changes, planText);
    return changes.length === 0 ? EXIT.done : EXIT.notWell;
  },
};

async function plannedChanges(args: Arguments): Promise<readonly PlannedChange[]> {
  const flags = absolutePaths(args.flags);
  const config = flags.get('config');
  try {
    const text = config === undefined ? {} : { config: await readConfigFile(await configFile(config)) };
    return await clientOf(args).post<PlannedChange[]>('/v1/plan', text);
  } catch (error) {
    if (!(error instanceof FairleadError && error.code === 'no-agent')) throw error;
    if (!flags.has('kubeconfig') && process.env.KUBERNETES_SERVICE_HOST === undefined) {
      throw new FairleadError('no-agent', error.message, {
        hint: 'to plan without an agent, give --kubeconfig FILE and --node NAME',
      });
    }
    const { planOnce } = await import('../agent/plan-once.ts');
    return planOnce({ flags, env: process.env });
  }
}

const why: Command = {
  name: 'why',
  arguments: 'FROM TO [TRAFFIC]',
  summary: 'The path that a packet takes, with reasons. FROM and TO are NAMESPACE/POD, a Node or an address.',
  details: () =>
    "With TRAFFIC (tcp/80, udp/53, sctp/7777, tcp/PORT-NAME, icmp, or a protocol's number) also what policies say, and whether the kernel's rules agree.",
  flags: [OUTPUT, ...SOCKET],
  positionals: 3,
  async run(args) {
    const [from, to, traffic] = args.positionals;
    if (!from || !to)
      throw new FairleadError('usage', 'say where from and where to: fairlead why FROM TO [TRAFFIC]');
    const query = new URLSearchParams({ from, to, ...(traffic && { traffic }) });
    const answer = await clientOf(args).get<Why>(`/v1/why?${query}`);
    print(args, answer, whyText);
    return answer.reachable === 'no' ? EXIT.notWell : EXIT.done;
  },
};

const drift: Command = {
  name: 'drift',
  summary: 'What was altered behind the back of the agent, and when it was repaired.',
  flags: [OUTPUT, ...SOCKET],
  positionals: 0,
  async run(args) {
    print(args, await clientOf(args).get<DriftRecord[]>('/v1/drift'), (d) => driftText(d, Date.now()));
    return EXIT.done;
  },
};

const cleanup: Command = {
  name: 'cleanup',
  summary: 'Remove everything that is ours from this machine, and nothing else.',
  details: () =>
    'Lists what it will remove and asks, unless --yes. Refuses while an agent runs.\nWith --kubeconfig the annotation on the Node is removed too. A bridge stays while pods are attached to it.',
  flags: [
    { name: 'yes', short: 'y', doc: 'Do not ask.' },
    ...SETTING_FLAGS.filter((f) =>
      ['kubeconfig', 'node', 'config', 'cni-conf-dir', 'cni-conf-file', 'proc-sys'].includes(f.name),
    ),
    OUTPUT,
    ...SOCKET,
  ],
  positionals: 0,
  async run(args) {
    const { Cleanup } = await import('../agent/cleanup.ts');
    const work = await Cleanup.prepare({
      flags: new Map(absolutePaths(args.flags)).set('state-dir', stateDirOf(args)),
      env: process.env,
      socket: socketOf(args),
    });
    if (!args.flags.has('yes')) {
      process.stdout.write(`${work.preview()}\n`);
      if (work.empty) return EXIT.done;
      if (!process.stdin.isTTY) throw new FairleadError('usage', 'add --yes to remove this');
      const input = createInterface({ input: process.stdin, output: process.stdout });
      const answer = await input.question('Remove it? [y/N] ');
      input.close();
      if (!/^y(es)?$/i.test(answer.trim())) return EXIT.failed;
    }
    const report = await work.run();
    print(
      args,
      report,
      (r) =>
        [
          ...r.removed.map((l) => `${paint('green', 'removed')} ${l}`),
          ...r.kept.map((l) => `${paint('yellow', 'kept')} ${l}`),
          ...r.failed.map((l) => `${paint('red', 'failed')} ${l}`),
        ].join('\n') || 'There was nothing of ours here.',
    );
    return report.failed.length === 0 ? EXIT.done : EXIT.failed;
  },
};

const version: Command = {
  name: 'version',
  summary: 'Print the version.',
  flags: [OUTPUT],
  positionals: 0,
  async run(args) {
    print(
      args,
      { version: VERSION, node: process.version, arch: process.arch },
      (v) => `fairlead ${v.version} (Node.js ${v.node}, ${v.arch})`,
    );
    return EXIT.done;
  },
};

const installCni: Command = {
  name: 'install-cni',
  summary: 'Copy the CNI plugins of this image to where the container runtime looks for them.',
  flags: [
    { name: 'from', placeholder: 'PATH', doc: 'Folder with the plugins (default /opt/cni/bin).' },
    { name: 'to', placeholder: 'PATH', doc: 'Folder of the container runtime, as the container sees it.' },
    { name: 'force', doc: 'Replace plugins that are already there.' },
    OUTPUT,
  ],
  positionals: 0,
  async run(args) {
    const to = args.flags.get('to');
    if (!to) throw new FairleadError('usage', 'say where to: --to PATH');
    const { installCni } = await import('./install-cni.ts');
    const done = installCni(args.flags.get('from') ?? '/opt/cni/bin', to, args.flags.has('force'));
    print(
      args,
      done,
      (d) => `installed: ${d.installed.join(', ') || 'none'}; already there: ${d.kept.join(', ') || 'none'}`,
    );
    return EXIT.done;
  },
};

/** Everything after `lab` belongs to the lab's own program, which lies beside this one. */
export function runLab(argv: readonly string[]): Promise<number> {
  const program = join(import.meta.dirname ?? __dirname, 'lab.cjs');
  if (!existsSync(program)) {
    throw new FairleadError('no-lab', 'the lab is not part of this installation', {
      hint: 'it comes with the source: npm run lab',
    });
  }
  const child = spawn(process.execPath, [...process.execArgv, program, ...argv], { stdio: 'inherit' });
  // A terminal sends its signals to both; one that is sent to us alone goes on to the lab.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(signal ? 128 + (signal === 'SIGINT' ? 2 : 15) : (code ?? 1)));
  });
}

export const COMMANDS: readonly Command[] = [
  agent,
  status,
  plan,
  why,
  drift,
  denials,
  policy,
  cleanup,
  installCni,
  version,
];
