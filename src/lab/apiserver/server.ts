import { rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Clock, Random } from '../../model/clock.ts';
import { FairleadError } from '../../model/errors.ts';
import { CustomResources } from './admission/custom.ts';
import { kinds } from './admission/kinds.ts';
import { keepNamespaces } from './admission/namespace-keeper.ts';
import { nodes } from './admission/pod-cidrs.ts';
import { services } from './admission/services.ts';
import { Faults } from './faults.ts';
import { Handler } from './http/handler.ts';
import { expiredWatch } from './http/watch.ts';
import { makeKubeconfig } from './kubeconfig.ts';
import { Lifecycle } from './lifecycle.ts';
import { Resources } from './resources.ts';
import { Store } from './store.ts';
import { type LabCertificates, labCertificates } from './tls.ts';

export interface ApiServerOptions {
  /** A path for a unix socket, or a TCP address; default 127.0.0.1 and a free port. */
  readonly listen?: { readonly unix?: string; readonly host?: string; readonly port?: number };
  /** true: a fresh CA and certificate for localhost, the loopback addresses, `kubernetes.default.svc` and `hosts`. Or ready-made PEM texts. */
  readonly tls?: boolean | LabCertificates;
  /** More names and addresses for the certificate. */
  readonly hosts?: readonly string[];
  /** Bearer token that every request must carry; none: everybody may. */
  readonly token?: string;
  /** Cluster ranges out of which Nodes get podCIDRs, one of each family. None: Nodes get none. */
  readonly podCidrs?: readonly string[];
  /** Ranges of cluster IPs, primary family first. */
  readonly serviceCidrs?: readonly string[];
  readonly clock?: Clock;
  readonly random?: Random;
  /** How many changes are kept for resuming watches. */
  readonly history?: number;
  /** Milliseconds between bookmarks; the real server sends one a minute. */
  readonly bookmarkMs?: number;
}

export interface ApiServer {
  /** `https://127.0.0.1:PORT`, `http://…`, or `unix:PATH`. */
  readonly url: string;
  /** PEM of the certificate authority, with TLS. */
  readonly ca: string | undefined;
  readonly token: string | undefined;
  readonly store: Store;
  readonly resources: Resources;
  readonly lifecycle: Lifecycle;
  readonly faults: Faults;
  /** Forgets history, so that older resourceVersions are answered with 410. */
  compact(): void;
  /** A kubeconfig for this server at `url` (default: its own). */
  kubeconfig(url?: string): string;
  close(): Promise<void>;
}

const systemClock: Clock = {
  wall: Date.now,
  monotonic: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

const defaultNamespaces = ['default', 'kube-node-lease', 'kube-public', 'kube-system'];
const ownNames = [
  'localhost',
  '127.0.0.1',
  '::1',
  'kubernetes',
  'kubernetes.default',
  'kubernetes.default.svc',
];

/** The listening half: sockets that can be cut, a door that can be shut and opened again at the same place. */
class Door {
  readonly #server: Server;
  readonly #listen: NonNullable<ApiServerOptions['listen']>;
  readonly #sockets = new Set<Socket>();
  #port: number;

  constructor(server: Server, listen: NonNullable<ApiServerOptions['listen']>) {
    this.#server = server;
    this.#listen = listen;
    this.#port = listen.port ?? 0;
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => socket.destroy());
    });
  }

  url(scheme: 'http' | 'https'): string {
    const { unix, host = '127.0.0.1' } = this.#listen;
    if (unix !== undefined) return `unix:${unix}`;
    return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${this.#port}`;
  }

  open(): Promise<void> {
    const { unix, host = '127.0.0.1' } = this.#listen;
    if (unix !== undefined) rmSync(unix, { force: true });
    return new Promise((resolve, reject) => {
      const fail = (cause: Error): void => {
        const where = unix ?? `${host}:${this.#port}`;
        reject(
          new FairleadError('listen', `the API server cannot listen on ${where}: ${cause.message}`, {
            cause,
          }),
        );
      };
      this.#server.once('error', fail);
      this.#server.listen(unix === undefined ? { host, port: this.#port } : { path: unix }, () => {
        this.#server.off('error', fail);
        if (unix === undefined) this.#port = (this.#server.address() as AddressInfo).port;
        resolve();
      });
    });
  }

  /** Returns how many connections were cut. */
  async shut(): Promise<number> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const cut = this.cut();
    await closed;
    return cut;
  }

  cut(): number {
    const count = this.#sockets.size;
    for (const socket of this.#sockets) {
      // A reset, not a polite end: what a crashed server's peer sees.
      if ('resetAndDestroy' in socket && this.#listen.unix === undefined) socket.resetAndDestroy();
      else socket.destroy();
    }
    return count;
  }
}

/** Starts the lab's API server. In-memory, one process, ready when the promise resolves. Throws `listen` when the address is taken. */
export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const { listen = {}, token, clock = systemClock, random = Math.random } = options;
  const store = new Store(options.history ?? 20_000);
  const resources = new Resources();
  const admissions = {
    ...kinds,
    nodes: nodes(options.podCidrs ?? []),
    services: services(options.serviceCidrs ?? []),
  };
  const custom = new CustomResources(resources, admissions);
  Object.assign(admissions, { 'customresourcedefinitions.apiextensions.k8s.io': custom.definitions });
  const lifecycle = new Lifecycle({ store, resources, clock }, admissions, random);
  const stopKeeping = keepNamespaces(store, resources, lifecycle);
  makeNamespaces(lifecycle, resources);

  const certificates = certificatesFor(options, clock);
  const server = httpServer(certificates);
  const door = new Door(server, listen);
  const hands = {
    leave: () => door.shut(),
    comeBack: () => door.open(),
    cut: () => door.cut(),
    forget: () => {
      store.compact();
      const running = [...handler.watches];
      for (const watch of running) watch.fail(expiredWatch(1, store.revision));
      return running.length;
    },
  };
  const faults = new Faults(hands, random, (ms, callback) => clock.after(ms, callback));
  const handler = new Handler({
    lifecycle,
    custom,
    faults,
    clock,
    token,
    bookmarkMs: options.bookmarkMs ?? 60_000,
  });
  resources.onDrop((dropped) => {
    for (const watch of [...handler.watches]) if (watch.resource === dropped) watch.end();
  });
  server.on('request', (request, response) => void handler.handle(request, response));
  await door.open();

  const url = door.url(certificates ? 'https' : 'http');
  return {
    url,
    ca: certificates?.ca,
    token,
    store,
    resources,
    lifecycle,
    faults,
    compact: () => store.compact(),
    kubeconfig: (at = url) => makeKubeconfig({ url: at, ca: certificates?.ca, token }),
    async close() {
      stopKeeping();
      for (const watch of handler.watches) watch.close();
      if (server.listening) await door.shut();
    },
  };
}

function httpServer(certificates: LabCertificates | undefined): Server {
  // Node would end long requests on its own; watches are long by nature.
  const limits = { requestTimeout: 0, headersTimeout: 30_000, keepAliveTimeout: 60_000 };
  if (!certificates) return createServer(limits);
  return createTlsServer({ ...limits, key: certificates.key, cert: certificates.cert });
}

function certificatesFor(
  { tls, hosts = [], listen }: ApiServerOptions,
  clock: Clock,
): LabCertificates | undefined {
  if (tls === undefined || tls === false) return undefined;
  if (tls !== true) return tls;
  const names = new Set([...ownNames, ...hosts, ...(listen?.host === undefined ? [] : [listen.host])]);
  return labCertificates([...names], clock.wall());
}

function makeNamespaces(lifecycle: Lifecycle, resources: Resources): void {
  const r = resources.stored('namespaces');
  if (!r) return;
  const writer = {
    name: 'lab',
    operation: 'Update',
    apiVersion: 'v1',
    subresource: '',
    time: lifecycle.now(),
  } as const;
  for (const name of defaultNamespaces)
    lifecycle.create(r, '', { metadata: { name } }, { dryRun: false, writer });
}
