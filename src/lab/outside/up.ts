import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { describe, FairleadError } from '../../model/errors.ts';
import type { Topology } from '../topology/topology.ts';
import { readUp } from './flags.ts';
import { type LaunchedLab, launch } from './launcher.ts';
import { showLive, summary } from './live.ts';
import { type LabState, stateOf } from './state.ts';
import { onWrapperDeath, wrappers } from './wrappers.ts';

export interface UpContext {
  /** Command line of the lab's first process, without its argument. */
  readonly program: readonly string[];
  readonly root: string;
}

/** Set in the process that `--detach` leaves behind. */
const DETACHED = 'FAIRLEAD_LAB_DETACHED';

export async function up(argv: readonly string[], context: UpContext): Promise<number> {
  const startedBy = wrappers();
  const { name, stateDir, detach, options } = readUp(argv, context.root);
  const state = stateOf(name, stateDir);
  if (detach && !process.env[DETACHED]) return leaveBehind(state, options.topology, argv, context);
  // From here on no path is read as it was typed, and the folder that it was typed in may be removed.
  if (process.env[DETACHED]) process.chdir('/');
  const lab = await launch(state, options, context.program);
  for (const words of lab.lacks) console.error(`fairlead lab: ${words}`);
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, () => void lab.close());
  if (process.env[DETACHED]) process.stdout.write(`${JSON.stringify({ up: lab.milliseconds })}\n`);
  else {
    onWrapperDeath(startedBy, () => void lab.close());
    // What cannot be shown may be a lab that is just being ended: its folder goes first in any case.
    await showLive(lab, options.topology).catch(async (error: unknown) => {
      await lab.close();
      console.error(`fairlead lab: ${describe(error)}`);
    });
  }
  return endOf(lab);
}

async function endOf(lab: LaunchedLab): Promise<number> {
  const reason = await lab.ended;
  return reason === 'exit code 0' ? 0 : 1;
}

/** Starts the same command as a process of its own session, and waits for its word. */
async function leaveBehind(
  state: LabState,
  topology: Topology,
  argv: readonly string[],
  context: UpContext,
): Promise<number> {
  const program = context.program.slice(0, -1);
  const child = spawn(program[0] ?? '', [...program.slice(1), 'up', ...argv], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, [DETACHED]: '1' },
  });
  const words: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => words.push(chunk));
  const lines = createInterface({ input: child.stdout as Readable });
  const first = await Promise.race([
    new Promise<string>((resolve) => lines.once('line', resolve)),
    new Promise<undefined>((resolve) => child.once('exit', () => resolve(undefined))),
  ]);
  if (first === undefined) {
    throw new FairleadError(
      'lab-start',
      Buffer.concat(words)
        .toString()
        .trim()
        .replace(/^fairlead lab: /, ''),
    );
  }
  const { up: milliseconds } = JSON.parse(first) as { up: number };
  console.log(summary(state, topology, milliseconds));
  child.stderr.destroy();
  child.stdout.destroy();
  child.unref();
  return 0;
}
