import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';

export interface AgentCommand {
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly logPath: string;
}

/** One node's agent: the shipped bundle as a process, started, stopped and started again. */
export class AgentProcess {
  readonly #command: AgentCommand;
  #child: ChildProcess | undefined;
  #exited: Promise<string> = Promise.resolve('never started');
  #lastExit: string | undefined;

  constructor(command: AgentCommand) {
    this.#command = command;
  }

  /** `env` is added to this one run: an armed fault, say. */
  start(env: Readonly<Record<string, string>> = {}): void {
    if (this.pid !== undefined) return;
    const [program = '', ...args] = this.#command.argv;
    const log = openSync(this.#command.logPath, 'a');
    const child = spawn(program, args, {
      stdio: ['ignore', log, log],
      env: { ...this.#command.env, ...env },
    });
    closeSync(log);
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      const end = (reason: string) => {
        if (this.#child === child) this.#child = undefined;
        this.#lastExit = reason;
        resolve(reason);
      };
      child.once('error', (error) => end(error.message));
      child.once('exit', (code, signal) => end(signal ?? `exit code ${code}`));
    });
  }

  /** `undefined` while it does not run. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** How it last ended. */
  get lastExit(): string | undefined {
    return this.#lastExit;
  }

  /** Resolves when the present run ends, with the signal or exit code. */
  get exited(): Promise<string> {
    return this.#exited;
  }

  signal(signal: NodeJS.Signals): boolean {
    return this.#child?.kill(signal) ?? false;
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<string> {
    if (!this.signal(signal)) return this.#lastExit ?? 'not running';
    return this.#exited;
  }

  note(text: string): void {
    const log = openSync(this.#command.logPath, 'a');
    writeSync(log, `${JSON.stringify({ lab: text })}\n`);
    closeSync(log);
  }

  /** Resident memory in MB. */
  get rss(): number | undefined {
    try {
      const text = readFileSync(`/proc/${this.pid}/status`, 'latin1');
      const kb = /VmRSS:\s+(\d+)/.exec(text)?.[1];
      return kb === undefined ? undefined : Math.round(Number(kb) / 1024);
    } catch {
      return undefined;
    }
  }
}
