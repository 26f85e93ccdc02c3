import { execFile } from 'node:child_process';
import { FairleadError } from '../../model/errors.ts';
import { record, text } from './raw.ts';

/** A client-go credential plugin, as `user.exec` in a kubeconfig describes it. */
export interface ExecSpec {
  readonly apiVersion: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly installHint: string | undefined;
  /** The cluster for KUBERNETES_EXEC_INFO, when `provideClusterInfo` asks for it. */
  readonly cluster: Readonly<Record<string, unknown>> | undefined;
}

/** What a plugin printed (client.authentication.k8s.io/v1, ExecCredential.status). */
export interface ExecCredential {
  readonly token: string | undefined;
  readonly clientCertificate: string | undefined;
  readonly clientKey: string | undefined;
  /** Milliseconds since the epoch; absent = good until the server refuses it. */
  readonly expires: number | undefined;
}

const VERSIONS = ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1'];
const TIMEOUT = 30_000;

/** Runs the plugin. Nothing that it prints reaches an error text: it may hold the secret. Throws `kube-exec`. */
export async function runExecPlugin(spec: ExecSpec): Promise<ExecCredential> {
  if (!VERSIONS.includes(spec.apiVersion)) {
    throw failure(spec, `asks for the version "${spec.apiVersion}"; known: ${VERSIONS.join(', ')}`);
  }
  const info = {
    apiVersion: spec.apiVersion,
    kind: 'ExecCredential',
    spec: { interactive: false, ...(spec.cluster && { cluster: spec.cluster }) },
  };
  const printed = await new Promise<string>((resolve, reject) => {
    execFile(
      spec.command,
      [...spec.args],
      {
        timeout: TIMEOUT,
        maxBuffer: 1024 * 1024,
        env: { ...process.env, ...spec.env, KUBERNETES_EXEC_INFO: JSON.stringify(info) },
      },
      (error, stdout) => (error ? reject(failure(spec, whyNot(error))) : resolve(stdout)),
    );
  });
  return parseExecCredential(printed, spec);
}

/** Reads what a plugin printed. Throws `kube-exec`, without quoting it. */
function parseExecCredential(printed: string, spec: ExecSpec): ExecCredential {
  let parsed: unknown;
  try {
    parsed = JSON.parse(printed);
  } catch {
    throw failure(spec, 'did not print JSON');
  }
  const credential = record(parsed);
  if (credential.kind !== 'ExecCredential' || credential.apiVersion !== spec.apiVersion) {
    throw failure(spec, `did not print an ExecCredential of ${spec.apiVersion}`);
  }
  const status = record(credential.status);
  const certificate = text(status.clientCertificateData) || undefined;
  const key = text(status.clientKeyData) || undefined;
  const token = text(status.token) || undefined;
  if ((certificate === undefined) !== (key === undefined)) {
    throw failure(spec, 'printed a client certificate without its key, or a key without its certificate');
  }
  if (token === undefined && certificate === undefined) {
    throw failure(spec, 'printed neither a token nor a client certificate');
  }
  const expires = Date.parse(text(status.expirationTimestamp));
  return {
    token,
    clientCertificate: certificate,
    clientKey: key,
    expires: Number.isNaN(expires) ? undefined : expires,
  };
}

function whyNot(error: Error & { code?: unknown; killed?: unknown; signal?: unknown }): string {
  if (error.code === 'ENOENT') return 'was not found';
  if (error.killed === true) return `did not end within ${TIMEOUT / 1000} s`;
  return `failed (${typeof error.code === 'number' ? `exit status ${error.code}` : String(error.code ?? error.signal)})`;
}

function failure(spec: ExecSpec, words: string): FairleadError {
  const hint = spec.installHint ?? 'run it by hand to see what it says';
  return new FairleadError('kube-exec', `the credential plugin "${spec.command}" ${words}`, { hint });
}
