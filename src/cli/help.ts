import type { Command } from './command.ts';
import { flagsHelp } from './flags.ts';

/** `fairlead --help`: every command on a line. */
export function overview(commands: readonly Command[]): string {
  const lines = [
    ...commands.map((c) => [`${c.name} ${c.arguments ?? ''}`.trimEnd(), c.summary] as const),
    ['lab …', 'A whole cluster in network namespaces (fairlead lab --help).'] as const,
  ];
  const width = Math.max(...lines.map(([head]) => head.length));
  return [
    'Fairlead: pod networks and network policy on every node, from one agent.',
    '',
    'Usage: fairlead COMMAND [FLAGS]',
    '',
    ...lines.map(([head, summary]) => `  ${head.padEnd(width)}  ${summary}`),
    '',
    'fairlead COMMAND --help tells more.',
    'Exit codes: 0 done, 1 could not, 2 wrong usage or settings, 3 done but not all is well, 4 the agent does not answer.',
  ].join('\n');
}

/** `fairlead COMMAND --help`. */
export function helpOf(command: Command): string {
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
