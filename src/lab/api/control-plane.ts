import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FairleadError } from '../../model/errors.ts';
import { familyOf } from '../../model/net/ip.ts';
import { Deadline } from '../deadline.ts';

export interface ControlPlaneOptions {
  /** Binary that holds etcd, kube-apiserver and kube-controller-manager. */
  readonly kube: string;
  /** Folder for its data and keys; exists. */
  readonly dir: string;
  /** Folder for its logs. */
  readonly logDir: string;
  /** TCP ports on 127.0.0.1. */
  readonly ports: { readonly api: number; readonly etcd: number; readonly etcdPeer: number };
  /** One range a family. */
  readonly clusterCidrs: readonly string[];
  /** Users by token: `{ token: 'admin,admin-uid,system:masters' }`, as a line of the token file goes on after the token. */
  readonly tokens: Readonly<Record<string, string>>;
  /** More arguments of kube-apiserver. */
  readonly apiArgs?: readonly string[];
  /** Put in front of every command line. */
  readonly wrapper?: readonly string[];
}

/** etcd, kube-apiserver and kube-controller-manager as child processes. */
export class ControlPlane {
  readonly #options: ControlPlaneOptions;
  readonly #services: string;
  readonly #children: ChildProcess[] = [];

  constructor(options: ControlPlaneOptions) {
    this.#options = options;
    this.#services = options.clusterCidrs
      .map((cidr) => (familyOf(cidr) === 'ipv4' ? '10.96.0.0/16' : 'fd96::/108'))
      .join(',');
  }

  /** Starts etcd and kube-apiserver; they serve some seconds later. */
  start(): void {
    const { dir, ports, tokens, kube, apiArgs = [] } = this.#options;
    const etcd = `http://127.0.0.1:${ports.etcd}`;
    const peer = `http://127.0.0.1:${ports.etcdPeer}`;
    this.#spawn('etcd', [
      kube,
      'etcd',
      `--data-dir=${dir}/etcd`,
      `--listen-client-urls=${etcd}`,
      `--advertise-client-urls=${etcd}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
      // The data dies with its server.
      '--unsafe-no-fsync',
    ]);
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    writeFileSync(`${dir}/sa.key`, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    const users = Object.entries(tokens).map(([token, user]) => `${token},${user}\n`);
    writeFileSync(`${dir}/tokens.csv`, users.join(''), { mode: 0o600 });
    this.#spawn('kube-apiserver', [
      kube,
      'apiserver',
      `--etcd-servers=${etcd}`,
      `--secure-port=${ports.api}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      `--cert-dir=${dir}/certs`,
      `--service-account-key-file=${dir}/sa.key`,
      `--service-account-signing-key-file=${dir}/sa.key`,
      '--service-account-issuer=https://lab',
      `--token-auth-file=${dir}/tokens.csv`,
      '--authorization-mode=Node,RBAC',
      // The server's own address is IPv4 whatever the pods have, and its own Service must be of that family.
      '--service-cluster-ip-range=10.96.0.0/16,fd96::/108',
      '--allow-privileged',
      ...apiArgs,
    ]);
  }

  /** Resolves when `ask` does. Throws `lab-api` when a process has ended, or after a minute. */
  async ready(ask: () => Promise<unknown>): Promise<void> {
    const deadline = new Deadline(60_000);
    for (;;) {
      try {
        await ask();
        return;
      } catch (cause) {
        const ended = this.#children.find((child) => child.exitCode !== null);
        if (ended || deadline.passed) {
          throw new FairleadError(
            'lab-api',
            `the real API server did not come up:\n${this.#lastWords(ended)}`,
            {
              cause,
            },
          );
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  /** The end of the log of a process that ended, or of the server. */
  #lastWords(ended: ChildProcess | undefined): string {
    const name = ended?.spawnargs.includes('etcd') ? 'etcd' : 'kube-apiserver';
    const log = readFileSync(join(this.#options.logDir, `${name}.log`), 'utf8');
    return log.trim().split('\n').slice(-5).join('\n');
  }

  /** The certificate that the server made for itself, PEM; there once it serves. */
  get ca(): string {
    return readFileSync(`${this.#options.dir}/certs/apiserver.crt`, 'utf8');
  }

  /** Starts kube-controller-manager, which gives Nodes their pod CIDRs, among much else. */
  startControllers(kubeconfig: string): void {
    const { kube, dir, clusterCidrs } = this.#options;
    const mask = (cidr: string): string => {
      const family = familyOf(cidr);
      const size = family === 'ipv4' ? 24 : 64;
      return clusterCidrs.length > 1
        ? `--node-cidr-mask-size-${family}=${size}`
        : `--node-cidr-mask-size=${size}`;
    };
    writeFileSync(`${dir}/kubeconfig`, kubeconfig, { mode: 0o600 });
    this.#spawn('kube-controller-manager', [
      kube,
      'controller-manager',
      `--kubeconfig=${dir}/kubeconfig`,
      '--allocate-node-cidrs=true',
      '--configure-cloud-routes=false',
      `--cluster-cidr=${clusterCidrs.join(',')}`,
      ...clusterCidrs.map(mask),
      `--service-cluster-ip-range=${this.#services}`,
      '--leader-elect=false',
      '--bind-address=127.0.0.1',
      '--secure-port=0',
    ]);
  }

  /** Resolves when all have ended. */
  async kill(): Promise<void> {
    const ends = this.#children.splice(0).map(async (child) => {
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
      const end = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await end;
    });
    await Promise.all(ends);
  }

  #spawn(name: string, argv: readonly string[]): void {
    const { logDir, dir, wrapper = [] } = this.#options;
    const [program = '', ...args] = [...wrapper, ...argv];
    mkdirSync(logDir, { recursive: true });
    const log = openSync(join(logDir, `${name}.log`), 'a');
    const child = spawn(program, args, { stdio: ['ignore', log, log], cwd: dir });
    closeSync(log);
    child.once('error', () => undefined);
    this.#children.push(child);
  }
}
