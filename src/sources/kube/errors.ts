import { FairleadError } from '../../model/errors.ts';
import { type ObjectRef, permission, subject, type Verb } from './resource.ts';

/** The API server answered, and the answer was no. */
export class ApiError extends FairleadError {
  override readonly name = 'ApiError';
  /** HTTP status, or the `code` of a Status that came inside a watch. */
  readonly status: number;
  /** Kubernetes' own word: `NotFound`, `Expired`, `Conflict`… */
  readonly reason: string;
  /** How long the server asks us to stay away, milliseconds. */
  readonly retryAfter: number | undefined;

  constructor(answer: ApiAnswer, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(codeOf(answer.status), message, options);
    this.status = answer.status;
    this.reason = answer.reason;
    this.retryAfter = answer.retryAfter;
  }
}

export interface ApiAnswer {
  readonly status: number;
  readonly reason: string;
  readonly retryAfter: number | undefined;
}

/** No answer at all, or one that broke off: refused, reset, timed out, certificate not accepted. */
export class ConnectionError extends FairleadError {
  override readonly name = 'ConnectionError';
}

/** The server sent something that is not what the API promises. */
export class DecodeError extends FairleadError {
  override readonly name = 'DecodeError';

  constructor(message: string, cause?: unknown) {
    super('kube-decode', message, { hint: 'is this really a Kubernetes API server?', cause });
  }
}

/** The watch is open but has said nothing for longer than it may. */
export class StallError extends FairleadError {
  override readonly name = 'StallError';

  constructor(milliseconds: number) {
    super('kube-stall', `the API server's watch has been silent for ${Math.round(milliseconds / 1000)} s`);
  }
}

const CODES: Readonly<Record<number, string>> = {
  401: 'kube-unauthorized',
  403: 'kube-forbidden',
  404: 'kube-not-found',
  409: 'kube-conflict',
  410: 'kube-gone',
  422: 'kube-invalid',
  429: 'kube-throttled',
};

function codeOf(status: number): string {
  return CODES[status] ?? (status >= 500 ? 'kube-server-error' : 'kube-refused');
}

/** What the request was, for the words of its error. */
export interface Asked {
  readonly verb: Verb;
  readonly ref: ObjectRef;
  /** What we know about our own credentials, in words without secrets: "the token expired on …". */
  readonly credentials?: string | undefined;
}

/**
 * Makes the error of an answer. `body` is the answer's text, a Kubernetes Status when the server is one
 * (apimachinery `metav1.Status`: `message`, `reason`, `code`, `details.retryAfterSeconds`).
 */
export function apiError(
  status: number,
  body: string,
  retryAfter: string | undefined,
  asked: Asked,
): ApiError {
  return statusError(status, parseStatus(body), retryAfter, asked);
}

/** The error of a Status object, as a watch delivers it in an ERROR event. */
export function statusError(
  httpStatus: number,
  object: Readonly<Record<string, unknown>>,
  retryAfter: string | undefined,
  asked: Asked,
): ApiError {
  const status = typeof object.code === 'number' ? object.code : httpStatus;
  const reason = typeof object.reason === 'string' ? object.reason : '';
  const words = typeof object.message === 'string' && object.message !== '' ? object.message : 'no message';
  const answer = { status, reason, retryAfter: retryMilliseconds(retryAfter, object.details) };
  const message = `cannot ${asked.verb} ${subject(asked.ref)}: ${oneLine(words)} (${status}${reason && ` ${reason}`})`;
  const hint = hintOf(status, asked);
  return new ApiError(answer, message, hint === undefined ? {} : { hint });
}

function hintOf(status: number, asked: Asked): string | undefined {
  if (status === 401) return asked.credentials ?? 'the API server does not accept these credentials';
  if (status === 403) return `missing permission: ${permission(asked.verb, asked.ref)}`;
  return undefined;
}

function parseStatus(body: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed === 'object' && parsed !== null) return parsed as Record<string, unknown>;
  } catch {
    // Proxies answer in HTML or plain text.
  }
  return { message: body.slice(0, 300) };
}

function retryMilliseconds(header: string | undefined, details: unknown): number | undefined {
  const fromDetails =
    typeof details === 'object' && details !== null && 'retryAfterSeconds' in details
      ? details.retryAfterSeconds
      : undefined;
  // RFC 9110 section 10.2.3 also allows a date; API servers send seconds, and a date would depend on our clock.
  const seconds = header !== undefined && /^\d{1,6}$/.test(header) ? Number(header) : fromDetails;
  return typeof seconds === 'number' && seconds > 0 ? seconds * 1000 : undefined;
}

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > 400 ? `${line.slice(0, 400)}…` : line;
}

const UNKNOWN_CA: readonly [string, string] = [
  "the API server's certificate is not signed by the expected CA",
  'check certificate-authority',
];

const TLS_WORDS: Readonly<Record<string, readonly [string, string]>> = {
  CERT_HAS_EXPIRED: [
    "the API server's certificate has expired",
    "renew it, or set this machine's clock right",
  ],
  CERT_NOT_YET_VALID: ["the API server's certificate is not valid yet", "check this machine's clock"],
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_CA,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_CA,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_CA,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_CA,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_CA,
  CERT_SIGNATURE_FAILURE: UNKNOWN_CA,
  ERR_TLS_CERT_ALTNAME_INVALID: [
    "the API server's certificate is for another name",
    'use a server name that is in the certificate, or set tls-server-name',
  ],
};

/** Puts a failed connection into words. `server` is the server's address without credentials. */
export function connectionError(cause: unknown, server: string): FairleadError {
  if (cause instanceof FairleadError) return cause;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const tls = TLS_WORDS[code];
  if (tls) return new ConnectionError('kube-tls', `${server}: ${tls[0]} (${code})`, { hint: tls[1], cause });
  if (code.startsWith('ERR_SSL') || code === 'EPROTO') {
    const words = cause instanceof Error ? oneLine(cause.message) : code;
    return new ConnectionError('kube-tls', `${server}: TLS failed: ${words}`, { cause });
  }
  const words = code || (cause instanceof Error ? oneLine(cause.message) : String(cause));
  return new ConnectionError('kube-connection', `no connection to the API server ${server}: ${words}`, {
    cause,
  });
}
