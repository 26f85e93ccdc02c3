import { join } from 'node:path';
import { type Arguments, type Flag, parseFlags } from '../../cli/flags.ts';
import { FairleadError } from '../../model/errors.ts';
import { ask } from '../control.ts';
import { CONTROL_SOCKET } from '../options.ts';
import { NAME_FLAG } from './flags.ts';
import { type LabState, requireRecord, stateOf } from './state.ts';

export const STATE_FLAG: Flag = {
  name: 'state-dir',
  placeholder: 'DIR',
  doc: 'where labs keep their folders',
};
export const JSON_FLAG: Flag = { name: 'json', doc: 'as JSON' };

export interface Verb {
  readonly usage: string;
  readonly what: string;
  run(argv: readonly string[]): Promise<number>;
}

/** A verb that talks to a running lab: flags and words in, exit code out. */
export function verb(
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

export class RunningLab {
  readonly state: LabState;

  constructor(state: LabState) {
    this.state = state;
  }

  ask<T>(method: string, params: unknown = {}): Promise<T> {
    requireRecord(this.state);
    return ask<T>(join(this.state.dir, CONTROL_SOCKET), method, params);
  }
}

/** The word that a verb cannot do without. Throws `usage` when it is missing. */
export function need(word: string | undefined, what: string): string {
  if (word === undefined) throw new FairleadError('usage', `${what} is missing`);
  return word;
}
