/**
 * A real kube-apiserver on etcd, and its controller-manager if wanted, on free loopback ports: `await using server = await startRealServer()`.
 * It ends with its scope, and with this process.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ControlPlane } from '../../src/lab/api/control-plane.ts';
import { makeKubeconfig } from '../../src/lab/apiserver/kubeconfig.ts';

/** May do everything. */
const ADMIN = 'admin-token';
/** Is known, and may do nothing. */
const POWERLESS = 'powerless-token';

export interface RealServerOptions {
  /** The binary that scripts/kube.ts builds; default $FAIRLEAD_KUBE. */
  readonly kube?: string | undefined;
  /** With kube-controller-manager: pod CIDRs, service accounts, namespaces, DaemonSets. */
  readonly controllers?: boolean;
  readonly clusterCidrs?: readonly string[];
  readonly apiArgs?: readonly string[];
}

/** How to reach it. Tokens of other users are `powerless`, and any word for a stranger. */
export interface RealServer extends AsyncDisposable {
  readonly url: string;
  readonly ca: string;
  readonly token: string;
  readonly powerless: string;
  readonly dir: string;
  /** Path of a kubeconfig for the administrator. */
  readonly kubeconfig: string;
  /** Makes etcd forget what happened before its present revision. */
  compact(): Promise<void>;
  close(): Promise<void>;
}

/** Takes about three seconds. Throws `lab-api` when it does not come up. */
export async function startRealServer(options: RealServerOptions = {}): Promise<RealServer> {
  const kube = options.kube ?? process.env.FAIRLEAD_KUBE;
  if (!kube) throw new Error('FAIRLEAD_KUBE is not set: `npm test -- conformance` sets it');
  const dir = mkdtempSync(join(tmpdir(), 'fairlead-real-'));
  const [api = 0, etcd = 0, etcdPeer = 0] = await freePorts(3);
  const plane = new ControlPlane({
    kube,
    dir,
    logDir: dir,
    ports: { api, etcd, etcdPeer },
    clusterCidrs: options.clusterCidrs ?? ['10.244.0.0/16', 'fd00:10:244::/48'],
    tokens: { [ADMIN]: 'admin,admin,system:masters', [POWERLESS]: 'powerless,powerless' },
    apiArgs: options.apiArgs ?? [],
    // However this process ends, the kernel ends them too.
    wrapper: ['setpriv', '--pdeathsig', 'KILL'],
  });
  const url = `https://127.0.0.1:${api}`;
  const close = async (): Promise<void> => {
    await plane.kill();
    rmSync(dir, { recursive: true, force: true });
  };
  plane.start();
  try {
    await plane.ready(async () => {
      await answers(`${url}/readyz`);
      await answers(`${url}/api/v1/namespaces/default`);
    });
  } catch (error) {
    await plane.kill();
    throw error;
  }
  const { ca } = plane;
  const text = makeKubeconfig({ url, ca, token: ADMIN });
  const kubeconfig = join(dir, 'admin.kubeconfig');
  writeFileSync(kubeconfig, text, { mode: 0o600 });
  if (options.controllers) plane.startControllers(text);
  return {
    url,
    ca,
    token: ADMIN,
    powerless: POWERLESS,
    dir,
    kubeconfig,
    compact: () => compact(etcd),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** All at once, so that none is given twice. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const listening = servers.map(
    (server) => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)),
  );
  await Promise.all(listening);
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function answers(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${ADMIN}` };
    // The certificate is not known yet: the server is just making it.
    const request = httpsRequest(url, { headers, rejectUnauthorized: false, agent: false }, (response) => {
      response.resume();
      if (response.statusCode === 200) resolve();
      else reject(new Error(`${url}: ${response.statusCode}`));
    });
    request.once('error', reject);
    request.end();
  });
}

/** etcd's API as JSON: https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/ */
async function compact(port: number): Promise<void> {
  const range = await etcdCall(port, 'range', { key: Buffer.from('/').toString('base64') });
  const { revision } = (range as { header: { revision: string } }).header;
  await etcdCall(port, 'compaction', { revision, physical: true });
}

function etcdCall(port: number, method: string, body: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const where = {
      host: '127.0.0.1',
      port,
      path: `/v3/kv/${method}`,
      method: 'POST',
      agent: false,
    } as const;
    const request = httpRequest(where, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('end', () => {
        if (response.statusCode === 200) resolve(JSON.parse(text));
        else reject(new Error(`etcd ${method}: ${response.statusCode} ${text}`));
      });
    });
    request.once('error', reject);
    request.end(JSON.stringify(body));
  });
}
