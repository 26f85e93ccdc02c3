import { describe, FairleadError } from '../model/errors.ts';
import { didYouMean } from '../sources/config/nearest.ts';
import { type Command, EXIT } from './command.ts';
import { COMMANDS, runLab } from './commands.ts';
import { flagsHelp, parseFlags } from './flags.ts';

/** The program: finds the command and says what went wrong in one place. */
async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    process.stdout.write(`${overview()}\n`);
    return name === undefined ? EXIT.usage : EXIT.done;
  }
  if (name === 'lab') return runLab(rest);
  const command = COMMANDS.find((c) => c.name === (name === '--version' ? 'version' : name));
  if (!command) {
    const hint = didYouMean(name, [...COMMANDS.map((c) => c.name), 'lab']) ?? 'see fairlead --help';
    throw new FairleadError('usage', `there is no command "${name}"`, { hint });
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(`${helpOf(command)}\n`);
    return EXIT.done;
  }
  return command.run(parseFlags(rest, command.flags, command.positionals));
}

function overview(): string {
  const lines = COMMANDS.map((c) => `  ${`${c.name} ${c.arguments ?? ''}`.padEnd(16)}${c.summary}`);
  return [
    'Fairlead: Kubernetes networking on every node.',
    '',
    'Usage: fairlead COMMAND [FLAGS]',
    '',
    ...lines,
    `  ${'lab …'.padEnd(16)}A whole cluster in network namespaces (fairlead lab --help).`,
    '',
    'fairlead COMMAND --help tells more. Exit codes: 0 done, 1 could not, 2 wrong usage or settings, 3 done but not all is well, 4 the agent does not answer.',
  ].join('\n');
}

function helpOf(command: Command): string {
  const details = command.details?.();
  // The agent's flags are its settings, told in full in the details.
  const flags = command.name === 'agent' ? '' : `\nFlags:\n${flagsHelp(command.flags)}`;
  return [
    `Usage: fairlead ${command.name} ${command.arguments ? `${command.arguments} ` : ''}[FLAGS]`,
    '',
    command.summary,
    ...(details ? ['', details] : []),
    flags,
  ].join('\n');
}

function exitCodeOf(error: unknown): number {
  const code = error instanceof FairleadError ? error.code : '';
  if (code === 'no-answer') return EXIT.noAnswer;
  return code === 'usage' || code === 'bad-settings' || code === 'bad-manifest' ? EXIT.usage : EXIT.failed;
}

/** A reader that has seen enough (`| head`) is not a mistake. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? EXIT.done : EXIT.failed);
});

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`fairlead: ${describe(error)}\n`);
    if (!(error instanceof FairleadError) && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    process.exitCode = exitCodeOf(error);
  },
);
