import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Clock } from '../../model/clock.ts';
import { FairleadError } from '../../model/errors.ts';
import { type ExecCredential, runExecPlugin } from './exec-credential.ts';
import { record } from './raw.ts';
import type { ServerSettings, TextSource } from './settings.ts';

/** What one request needs to know of the server and of us. Holds secrets: never logged. */
export interface Material {
  readonly server: URL;
  readonly authorization: string | undefined;
  readonly tls: TlsMaterial;
}

export interface TlsMaterial {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

/** Token and certificate files are read again after this long (the kubelet renews a token well before it expires). */
const FILE_AGE = 60_000;
/** A plugin's credential is renewed this long before it expires. */
const EXPIRY_MARGIN = 30_000;

type Times = Pick<Clock, 'wall' | 'monotonic'>;

/** Keeps credentials fresh: rereads files, reruns the plugin, reloads the settings when the server refuses us. */
export class Connection {
  readonly #load: () => ServerSettings | Promise<ServerSettings>;
  readonly #clock: Times;
  readonly #files = new Map<string, { text: string; read: number }>();
  #settings: ServerSettings | undefined;
  #exec: Promise<ExecCredential> | undefined;

  constructor(load: () => ServerSettings | Promise<ServerSettings>, clock: Times) {
    this.#load = load;
    this.#clock = clock;
  }

  async material(): Promise<Material> {
    this.#settings ??= await this.#load();
    const settings = this.#settings;
    const exec = settings.exec && (await this.#execCredential(settings));
    const token = exec?.token ?? (settings.token && (await this.#read(settings.token)).trim());
    const cert = exec?.clientCertificate ?? (await this.#optional(settings.clientCertificate));
    const key = exec?.clientKey ?? (await this.#optional(settings.clientKey));
    const ca = await this.#optional(settings.ca);
    return {
      server: new URL(settings.server),
      authorization: token ? `Bearer ${token}` : undefined,
      tls: {
        ...(ca !== undefined && { ca }),
        ...(cert !== undefined && { cert }),
        ...(key !== undefined && { key }),
        ...(settings.tlsServerName !== undefined && { servername: settings.tlsServerName }),
        ...(settings.insecureSkipTlsVerify && { rejectUnauthorized: false }),
      },
    };
  }

  /** The server said 401, or its certificate was not accepted: everything that could have been renewed is read anew. */
  refused(): void {
    this.#settings = undefined;
    this.#exec = undefined;
    this.#files.clear();
  }

  /** What is wrong with these credentials as far as we can see ourselves, in words without secrets. */
  explain(material: Material): string | undefined {
    const expired = certificateExpiry(material.tls.cert) ?? tokenExpiry(material.authorization);
    if (expired) {
      if (expired.at < this.#clock.wall()) {
        return `the ${expired.what} expired on ${new Date(expired.at).toISOString()}: renew it, or set this machine's clock right`;
      }
      return `the ${expired.what} is valid until ${new Date(expired.at).toISOString()}, but the API server does not accept it`;
    }
    if (material.authorization || material.tls.cert) return undefined;
    return 'no credentials are configured: neither token nor client certificate';
  }

  async #optional(source: TextSource | undefined): Promise<string | undefined> {
    return source && (await this.#read(source));
  }

  async #read(source: TextSource): Promise<string> {
    if ('text' in source) return source.text;
    const now = this.#clock.monotonic();
    const known = this.#files.get(source.file);
    if (known && now - known.read < FILE_AGE) return known.text;
    try {
      const text = await readFile(source.file, 'utf8');
      this.#files.set(source.file, { text, read: now });
      return text;
    } catch (cause) {
      // While a file is being replaced the last good content serves on.
      if (known) return known.text;
      const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
      throw new FairleadError('kube-credentials', `credential file ${source.file} cannot be read: ${code}`, {
        cause,
      });
    }
  }

  async #execCredential(settings: ServerSettings): Promise<ExecCredential | undefined> {
    if (!settings.exec) return undefined;
    const known = this.#exec && (await this.#exec);
    if (known && (known.expires === undefined || known.expires - EXPIRY_MARGIN > this.#clock.wall()))
      return known;
    const run = runExecPlugin(settings.exec);
    this.#exec = run;
    // A failed run is not remembered, so that the next request tries again.
    run.catch(() => {
      if (this.#exec === run) this.#exec = undefined;
    });
    return run;
  }
}

interface Expiry {
  readonly what: string;
  readonly at: number;
}

function certificateExpiry(pem: string | undefined): Expiry | undefined {
  if (pem === undefined) return undefined;
  try {
    return { what: 'client certificate', at: new X509Certificate(pem).validToDate.getTime() };
  } catch {
    return undefined;
  }
}

/** RFC 7519 section 4.1.4: `exp` in seconds. Tokens that are no JWT say nothing. */
function tokenExpiry(authorization: string | undefined): Expiry | undefined {
  const payload = authorization?.split('.')[1];
  if (payload === undefined) return undefined;
  try {
    const { exp } = record(JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')));
    return typeof exp === 'number' ? { what: 'token', at: exp * 1000 } : undefined;
  } catch {
    return undefined;
  }
}
