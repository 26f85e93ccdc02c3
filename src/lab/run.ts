import { spawn } from 'node:child_process';
import { FairleadError } from '../model/errors.ts';

export interface RunOptions {
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Milliseconds after which it is killed; default 30 s. */
  readonly timeout?: number;
  /** It is killed when this is aborted. */
  readonly signal?: AbortSignal;
}

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end and returns what it printed, whatever its exit code. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [program = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: options.timeout ?? 30_000,
      killSignal: 'SIGKILL',
      ...(options.env ? { env: options.env } : {}),
      ...(options.signal ? { signal: options.signal } : {}),
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    // A program that ends before it has read its input is judged by its exit code.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    child.once('error', (cause) =>
      reject(new FairleadError('lab-command', `cannot run ${program}: ${cause.message}`, { cause })),
    );
    child.once('close', (code) =>
      resolve({
        code: code ?? 137,
        stdout: Buffer.concat(out).toString(),
        stderr: Buffer.concat(err).toString(),
      }),
    );
  });
}

/** Like `run`, and an exit code other than 0 throws `lab-command` with what the program said. */
export async function must(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run(argv, options);
  if (code !== 0) {
    const words = stderr.trim() || stdout.trim() || `exit code ${code}`;
    throw new FairleadError('lab-command', `${argv.slice(0, 12).join(' ')}: ${words}`);
  }
  return stdout;
}

/** Command line that runs inside a named network namespace. */
export const inNetns = (name: string, argv: readonly string[]): string[] => [
  'nsenter',
  `--net=/run/netns/${name}`,
  '--',
  ...argv,
];
