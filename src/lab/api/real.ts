import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { FairleadError } from '../../model/errors.ts';
import { familyOf } from '../../model/net/ip.ts';
import { LabApi } from './client.ts';
import { type ApiService, kubeconfig } from './service.ts';

const PORT = 16443;
const ETCD = 'http://127.0.0.1:23790';
const TOKEN = 'lab-admin';

export interface RealOptions {
  /** Binary that holds kube-apiserver and kube-controller-manager. */
  readonly kube: string;
  readonly socketPath: string;
  readonly clusterCidrs: readonly string[];
  /** Folder for its logs. */
  readonly logDir: string;
}

/**
 * A real kube-apiserver on etcd, with the real controller-manager giving pod CIDRs to Nodes, all in the lab's first namespace. A unix
 * socket in front of it makes it look like the lab's own server.
 */
export async function startRealApi(options: RealOptions): Promise<ApiService> {
  const dir = '/run/kube';
  mkdirSync(dir, { recursive: true });
  const start = (name: string, argv: readonly string[]) => startProcess(name, argv, options.logDir);
  const etcd = start('etcd', [
    'etcd',
    `--data-dir=${dir}/etcd`,
    `--listen-client-urls=${ETCD}`,
    `--advertise-client-urls=${ETCD}`,
    '--listen-peer-urls=http://127.0.0.1:23800',
    // The data lies in memory and dies with the lab.
    '--unsafe-no-fsync',
  ]);
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(`${dir}/sa.key`, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(`${dir}/tokens.csv`, `${TOKEN},admin,admin,system:masters\n`);
  const families = options.clusterCidrs.map(familyOf);
  const services = families.map((family) => (family === 'ipv4' ? '10.96.0.0/16' : 'fd96::/108')).join(',');
  const server = start('kube-apiserver', [
    options.kube,
    'apiserver',
    `--etcd-servers=${ETCD}`,
    `--secure-port=${PORT}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    `--cert-dir=${dir}/certs`,
    `--service-account-key-file=${dir}/sa.key`,
    `--service-account-signing-key-file=${dir}/sa.key`,
    '--service-account-issuer=https://lab',
    `--token-auth-file=${dir}/tokens.csv`,
    '--authorization-mode=Node,RBAC',
    // Nobody waits here until a controller has made the default service account: pods are wanted at once.
    '--disable-admission-plugins=ServiceAccount',
    `--service-cluster-ip-range=${services}`,
    '--allow-privileged',
  ]);
  await front(options.socketPath);
  const access = { socketPath: options.socketPath, tls: true, token: TOKEN };
  await ready(new LabApi(access), [etcd, server], options.logDir);
  const ca = readFileSync(`${dir}/certs/apiserver.crt`, 'utf8');
  writeFileSync(`${dir}/kubeconfig`, kubeconfig(`https://127.0.0.1:${PORT}`, { access, ca }));
  const manager = start('kube-controller-manager', managerArgs(options, dir, services));
  const children = [manager, server, etcd];
  const cannot = (what: string) =>
    new FairleadError('lab-fault', `a real API server cannot ${what} on demand`, {
      hint: 'use "fault api away|stall", or the lab’s own server',
    });
  return {
    access,
    ca,
    faultsHit: 0,
    fault: (fault) => {
      if (fault) throw cannot('fail');
    },
    compact: () => {
      throw cannot('forget its history');
    },
    close: async () => {
      for (const child of children) child.kill('SIGKILL');
    },
  };
}

function managerArgs(options: RealOptions, dir: string, services: string): string[] {
  const masks = options.clusterCidrs.map((cidr) =>
    familyOf(cidr) === 'ipv4' ? '--node-cidr-mask-size-ipv4=24' : '--node-cidr-mask-size-ipv6=64',
  );
  const single = options.clusterCidrs.map((cidr) =>
    familyOf(cidr) === 'ipv4' ? '--node-cidr-mask-size=24' : '--node-cidr-mask-size=64',
  );
  return [
    options.kube,
    'controller-manager',
    `--kubeconfig=${dir}/kubeconfig`,
    '--allocate-node-cidrs=true',
    '--configure-cloud-routes=false',
    `--cluster-cidr=${options.clusterCidrs.join(',')}`,
    ...(masks.length > 1 ? masks : single),
    `--service-cluster-ip-range=${services}`,
    '--leader-elect=false',
    '--bind-address=127.0.0.1',
    '--secure-port=0',
  ];
}

function startProcess(name: string, argv: readonly string[], logDir: string): ChildProcess {
  const [program = '', ...args] = argv;
  const log = openSync(join(logDir, `${name}.log`), 'a');
  const child = spawn(program, args, { stdio: ['ignore', log, log], cwd: '/run' });
  closeSync(log);
  child.once('error', () => undefined);
  return child;
}

async function front(path: string): Promise<void> {
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ port: PORT, host: '127.0.0.1', allowHalfOpen: true });
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) socket.on('error', end).once('close', end);
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
}

async function ready(api: LabApi, children: readonly ChildProcess[], logDir: string): Promise<void> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    try {
      // Text, not JSON: only the status matters.
      await api.call('GET', '/readyz').catch((error: unknown) => {
        if (!(error instanceof SyntaxError)) throw error;
      });
      await api.get('/api/v1/namespaces/default');
      return;
    } catch (cause) {
      if (children.some((child) => child.exitCode !== null) || performance.now() > deadline) {
        throw new FairleadError('lab-api', `the real API server did not come up (logs in ${logDir})`, {
          cause,
        });
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
