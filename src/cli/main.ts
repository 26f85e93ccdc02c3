import { describe, FairleadError } from '../model/errors.ts';
import { didYouMean } from '../sources/config/nearest.ts';
import { EXIT, exitCodeOf } from './command.ts';
import { COMMANDS, runLab } from './commands.ts';
import { parseFlags } from './flags.ts';
import { helpOf, overview } from './help.ts';

/** The program: finds the command and says what went wrong in one place. */
async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    process.stdout.write(`${overview(COMMANDS)}\n`);
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
