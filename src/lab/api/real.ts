import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FairleadError } from '../../model/errors.ts';
import { openDoor } from '../sockets/door.ts';
import { LabApi } from './client.ts';
import { ControlPlane } from './control-plane.ts';
import { type ApiService, kubeconfig } from './service.ts';

const PORTS = { api: 16443, etcd: 23790, etcdPeer: 23800 };
const TOKEN = 'lab-admin';

export interface RealOptions {
  /** Binary that holds etcd, kube-apiserver and kube-controller-manager. */
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
  const plane = new ControlPlane({
    ...options,
    dir,
    ports: PORTS,
    tokens: { [TOKEN]: 'admin,admin,system:masters' },
    // Nobody waits here until a controller has made the default service account: pods are wanted at once.
    apiArgs: ['--disable-admission-plugins=ServiceAccount', ...auditArgs(dir, options.logDir)],
  });
  plane.start();
  await openDoor({ path: options.socketPath }, { port: PORTS.api, host: '127.0.0.1' });
  const access = { socketPath: options.socketPath, tls: true, token: TOKEN };
  const api = new LabApi(access);
  await plane.ready(() => serves(api));
  api.close();
  const { ca } = plane;
  plane.startControllers(kubeconfig(`https://127.0.0.1:${PORTS.api}`, { access, ca }));
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
    believe(everything) {
      if (everything) throw cannot('store what it would refuse');
    },
    close: () => plane.kill(),
  };
}

/** The server notes in `audit.log` what service accounts ask: which rights an agent really uses. */
function auditArgs(dir: string, logDir: string): string[] {
  const policy = {
    apiVersion: 'audit.k8s.io/v1',
    kind: 'Policy',
    omitStages: ['RequestReceived'],
    rules: [{ level: 'Metadata', userGroups: ['system:serviceaccounts'] }, { level: 'None' }],
  };
  writeFileSync(join(dir, 'audit-policy.json'), JSON.stringify(policy));
  return [`--audit-policy-file=${dir}/audit-policy.json`, `--audit-log-path=${join(logDir, 'audit.log')}`];
}

async function serves(api: LabApi): Promise<void> {
  // Text, not JSON: only the status matters.
  await api.call('GET', '/readyz').catch((error: unknown) => {
    if (!(error instanceof SyntaxError)) throw error;
  });
  await api.get('/api/v1/namespaces/default');
}
