import { isAbsolute, join, resolve } from 'node:path';
import { FairleadError } from '../model/errors.ts';
import { SETTINGS } from '../sources/config/settings.ts';
import { Client } from './client.ts';
import type { Arguments } from './flags.ts';

export function stateDirOf({ flags }: Arguments): string {
  return resolve(flags.get('state-dir') ?? process.env.FAIRLEAD_STATE_DIR ?? SETTINGS.stateDir.fallback);
}

export function socketOf(args: Arguments): string {
  const given = args.flags.get('socket');
  return given === undefined ? join(stateDirOf(args), 'agent.sock') : resolve(given);
}

export const clientOf = (args: Arguments, patience?: number): Client => new Client(socketOf(args), patience);

export function wantsJson({ flags }: Arguments): boolean {
  const output = flags.get('output') ?? 'text';
  if (output !== 'json' && output !== 'text') {
    throw new FairleadError('usage', `--output ${output} is not allowed; allowed: json or text`);
  }
  return output === 'json';
}

/** Prints as JSON or for people, as asked for. */
export function print<T>(args: Arguments, value: T, text: (value: T) => string): void {
  process.stdout.write(`${wantsJson(args) ? JSON.stringify(value, undefined, 2) : text(value)}\n`);
}

/** Settings are absolute paths; what a person types may be relative to where they are. */
export function absolutePaths(flags: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const result = new Map(flags);
  for (const name of ['config', 'kubeconfig', 'state-dir', 'cni-conf-dir']) {
    const value = result.get(name);
    if (value && !isAbsolute(value)) result.set(name, resolve(value));
  }
  return result;
}
