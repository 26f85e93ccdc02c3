import { FairleadError } from '../model/errors.ts';
import type { Arguments, Flag } from './flags.ts';

/** A subcommand: its words for the help, its flags, and what it does. The number is the exit code. */
export interface Command {
  readonly name: string;
  readonly arguments?: string;
  readonly summary: string;
  /** More for `--help`, when the summary is not enough. */
  readonly details?: () => string;
  readonly flags: readonly Flag[];
  /** How many positional arguments there may be. */
  readonly positionals: number;
  run(args: Arguments): Promise<number>;
}

/** Exit codes: 0 done · 1 could not · 2 wrong usage or settings · 3 done, and something is not as it should be · 4 the agent is there and does not answer. */
export const EXIT = { done: 0, failed: 1, usage: 2, notWell: 3, noAnswer: 4 } as const;

const MISTAKES: ReadonlySet<string> = new Set([
  'usage',
  'bad-settings',
  'bad-manifest',
  'bad-request',
  'bad-topology',
]);

/** The exit code of what a command, or a verb of the lab, threw. */
export function exitCodeOf(error: unknown): number {
  const code = error instanceof FairleadError ? error.code : '';
  if (code === 'no-answer') return EXIT.noAnswer;
  return MISTAKES.has(code) ? EXIT.usage : EXIT.failed;
}

export const OUTPUT: Flag = {
  name: 'output',
  short: 'o',
  placeholder: 'json|text',
  doc: 'Form of the output; text is for people.',
};

export const SOCKET: readonly Flag[] = [
  { name: 'socket', placeholder: 'PATH', doc: "The agent's socket." },
  {
    name: 'state-dir',
    placeholder: 'PATH',
    doc: "The agent's state folder, where its socket is (default /run/fairlead).",
  },
];
