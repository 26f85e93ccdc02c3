/** kubectl as a client that nobody here wrote. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';

export interface Answer {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Command lines of the kubectls of this machine, by name: the one of the release under test, and the installed one. */
export function kubectls(): ReadonlyMap<string, readonly string[]> {
  const kube = process.env.FAIRLEAD_KUBE;
  const found = new Map<string, readonly string[]>();
  if (kube) found.set('kubectl of the release', [kube, 'kubectl']);
  const installed = spawnSync('kubectl', ['version', '--client'], { encoding: 'utf8', timeout: 10_000 });
  if (installed.status === 0)
    found.set(`installed kubectl ${/v[\d.]+/.exec(installed.stdout)?.[0] ?? ''}`, ['kubectl']);
  return found;
}

/** One kubectl, one server. */
export class Kubectl {
  readonly #command: readonly string[];
  readonly #env: NodeJS.ProcessEnv;

  /** `home`: a folder for its discovery cache. */
  constructor(command: readonly string[], kubeconfig: string, home: string) {
    this.#command = command;
    this.#env = { PATH: process.env.PATH, HOME: home, KUBECONFIG: kubeconfig };
  }

  start(line: string): ChildProcess {
    const [program = '', ...args] = [...this.#command, ...line.split(' ')];
    return spawn(program, args, { env: this.#env, timeout: 30_000, killSignal: 'SIGKILL' });
  }

  /** Not a synchronous call: the server may live in this process. */
  ask(line: string, input?: unknown): Promise<Answer> {
    const child = this.start(line);
    let [out, err] = ['', ''];
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      err += text;
    });
    child.stdin?.on('error', () => {});
    child.stdin?.end(input === undefined || typeof input === 'string' ? input : JSON.stringify(input));
    return new Promise((resolve) => child.on('close', (code) => resolve({ code: code ?? 137, out, err })));
  }

  /** Must succeed; returns what it printed. */
  async ok(line: string, input?: unknown): Promise<string> {
    const { code, out, err } = await this.ask(line, input);
    assert.equal(code, 0, `kubectl ${line}: ${err}`);
    return out;
  }

  /** Must fail; returns its words. */
  async refused(line: string, input?: unknown): Promise<string> {
    const { code, out, err } = await this.ask(line, input);
    assert.notEqual(code, 0, `kubectl ${line} should have failed: ${out}`);
    return err;
  }
}
