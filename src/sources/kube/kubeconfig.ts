import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, resolve } from 'node:path';
import { FairleadError } from '../../model/errors.ts';
import type { ExecSpec } from './exec-credential.ts';
import { array, type Raw, record, text } from './raw.ts';
import type { ServerSettings, TextSource } from './settings.ts';

/** Reads a kubeconfig (YAML or JSON). `context` absent = its current-context. Throws `kubeconfig` naming file and field. */
export async function loadKubeconfig(path: string, context?: string): Promise<ServerSettings> {
  let source: string;
  try {
    source = await readFile(path, 'utf8');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    throw new FairleadError('kubeconfig', `kubeconfig ${path} cannot be read: ${code}`, { cause });
  }
  let parsed: unknown;
  try {
    parsed = await parse(source);
  } catch (cause) {
    // The parser's own words quote the source, which may hold a token.
    const line = lineOf(cause);
    throw new FairleadError('kubeconfig', `kubeconfig ${path} is not valid YAML${line}`);
  }
  return parseKubeconfig(record(parsed), path, context);
}

/** The library costs memory, and an agent in a pod, or one with a kubeconfig in JSON, does not need it. */
async function parse(source: string): Promise<unknown> {
  if (source.trimStart().startsWith('{')) return JSON.parse(source);
  return (await import('yaml')).parse(source);
}

/** Turns a parsed kubeconfig into settings; files in it are relative to its own folder, as for kubectl. */
export function parseKubeconfig(config: Raw, path: string, wanted?: string): ServerSettings {
  const reader = new Reader(path);
  const contextName = wanted ?? text(config['current-context']);
  if (contextName === '') throw reader.error('has no current-context', 'set one, or name a context');
  const context = record(reader.named(config.contexts, 'context', contextName).context);
  const clusterName = text(context.cluster);
  const cluster = record(reader.named(config.clusters, 'cluster', clusterName).cluster);
  const userName = text(context.user);
  const user = userName === '' ? {} : record(reader.named(config.users, 'user', userName).user);
  const server = text(cluster.server);
  if (!/^https?:\/\/./.test(server) || !URL.canParse(server)) {
    throw reader.error(`cluster "${clusterName}" has no usable server`, 'write https://HOST:PORT');
  }
  for (const [where, owner] of [
    ['proxy-url', cluster],
    ['auth-provider', user],
    ['as', user],
    ['username', user],
  ] as const) {
    if (owner[where] !== undefined) throw reader.error(`uses ${where}, which is not supported`);
  }
  const certificate = reader.material(user, 'client-certificate');
  const key = reader.material(user, 'client-key');
  if ((certificate === undefined) !== (key === undefined)) {
    throw reader.error(`user "${userName}" has only one of client-certificate and client-key`);
  }
  const ca = reader.material(cluster, 'certificate-authority');
  const token = tokenOf(user, reader);
  const exec = user.exec === undefined ? undefined : execOf(record(user.exec), cluster, ca, reader);
  const tlsServerName = text(cluster['tls-server-name']);
  return {
    server,
    insecureSkipTlsVerify: cluster['insecure-skip-tls-verify'] === true,
    ...(ca && { ca }),
    ...(tlsServerName !== '' && { tlsServerName }),
    ...(token && { token }),
    ...(certificate && { clientCertificate: certificate }),
    ...(key && { clientKey: key }),
    ...(exec && { exec }),
  };
}

/** client-go prefers the file when both are there. */
function tokenOf(user: Raw, reader: Reader): TextSource | undefined {
  const file = text(user.tokenFile);
  if (file !== '') return { file: reader.resolve(file) };
  const token = text(user.token);
  return token === '' ? undefined : { text: token };
}

function execOf(exec: Raw, cluster: Raw, ca: TextSource | undefined, reader: Reader): ExecSpec {
  const command = text(exec.command);
  if (command === '') throw reader.error('has an exec plugin without command');
  const env: Record<string, string> = {};
  for (const entry of array(exec.env).map(record)) env[text(entry.name)] = text(entry.value);
  return {
    apiVersion: text(exec.apiVersion),
    // As for kubectl: a bare name is looked up in PATH, anything with a slash is relative to the kubeconfig.
    command: command.includes('/') ? reader.resolve(command) : command,
    args: array(exec.args).map(text),
    env,
    installHint: text(exec.installHint) || undefined,
    cluster:
      exec.provideClusterInfo === true
        ? {
            server: text(cluster.server),
            ...(ca &&
              'text' in ca && { 'certificate-authority-data': Buffer.from(ca.text).toString('base64') }),
          }
        : undefined,
  };
}

class Reader {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  error(words: string, hint?: string): FairleadError {
    return new FairleadError('kubeconfig', `kubeconfig ${this.#path} ${words}`, hint ? { hint } : {});
  }

  resolve(file: string): string {
    return isAbsolute(file) ? file : resolve(dirname(this.#path), file);
  }

  named(list: unknown, kind: string, name: string): Raw {
    const found = array(list)
      .map(record)
      .find((entry) => entry.name === name);
    if (!found) throw this.error(`has no ${kind} "${name}"`);
    return found;
  }

  /** `FIELD-data` in base64, else the file that `FIELD` names. */
  material(owner: Raw, field: string): TextSource | undefined {
    const data = text(owner[`${field}-data`]);
    if (data !== '') return { text: Buffer.from(data, 'base64').toString('utf8') };
    const file = text(owner[field]);
    return file === '' ? undefined : { file: this.resolve(file) };
  }
}

function lineOf(cause: unknown): string {
  const positions = cause instanceof Error && 'linePos' in cause ? array(cause.linePos) : [];
  const line = record(positions[0]).line;
  return typeof line === 'number' ? ` (line ${line})` : '';
}
