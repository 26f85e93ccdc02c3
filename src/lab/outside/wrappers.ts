import { readFileSync } from 'node:fs';
import { isAlive, type ProcessId, processId } from './state.ts';

const CHECK = 250;
/** What may stand between the command that a person typed and the launcher: npm, its shells, our own scripts. */
const WRAPPER = /(^|\/)(npm|sh|fairlead|node)(\0| |$)/;
const OURS = /npm|fairlead|scripts\/(run\.sh|lab\.ts)/;

/** Calls back once when one of these is dead. Signals reach all of them together from a terminal, but somebody may kill only the one that he knows of. */
export function onWrapperDeath(chain: readonly ProcessId[], callback: () => void): void {
  if (chain.length === 0) return;
  const timer = setInterval(() => {
    if (chain.every(isAlive)) return;
    clearInterval(timer);
    callback();
  }, CHECK);
  timer.unref();
}

/**
 * The processes through which this one was started (`npm run lab`: npm, a shell, a script). To be asked for at once: one that dies
 * takes this process' way to the others along.
 */
export function wrappers(): readonly ProcessId[] {
  const chain: ProcessId[] = [];
  for (let pid = process.ppid; pid > 1; pid = parentOf(pid)) {
    const command = commandOf(pid);
    if (!WRAPPER.test(command) || !OURS.test(command)) break;
    chain.push(processId(pid));
  }
  return chain;
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}

function parentOf(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return 0;
  }
}
