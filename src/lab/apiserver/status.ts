import { FairleadError } from '../../model/errors.ts';
import type { Json, JsonObject } from './json.ts';

/** One field that was wrong, in the shape of a Status object's `details.causes`. */
export interface Cause {
  readonly reason: string;
  readonly message: string;
  readonly field: string;
}

/** What of a resource an error message names. */
export interface ResourceName {
  readonly group: string;
  readonly plural: string;
  readonly kind: string;
}

/** A failure that the client sees as a `Status` object (meta/v1), with the reason and details the real server gives. */
export class StatusError extends FairleadError {
  override readonly name = 'StatusError';
  readonly status: number;
  readonly body: JsonObject;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    reason: string,
    message: string,
    details?: JsonObject,
    headers: Record<string, string> = {},
  ) {
    super(reason, message);
    this.status = status;
    this.headers = headers;
    this.body = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      reason,
      ...(details === undefined ? {} : { details }),
      code: status,
    };
  }
}

const full = (r: ResourceName): string => (r.group === '' ? r.plural : `${r.plural}.${r.group}`);
const details = (r: ResourceName, name: string, kind = r.plural): JsonObject => ({
  ...(name === '' ? {} : { name }),
  ...(r.group === '' ? {} : { group: r.group }),
  kind,
});
const causeJson = (causes: readonly Cause[]): Json => causes.map((c) => ({ ...c }));

export const badRequest = (message: string): StatusError => new StatusError(400, 'BadRequest', message);
export const notFound = (r: ResourceName, name: string): StatusError =>
  new StatusError(404, 'NotFound', `${full(r)} "${name}" not found`, details(r, name));
export const noSuchResource = (): StatusError =>
  new StatusError(404, 'NotFound', 'the server could not find the requested resource', {});
export const methodNotAllowed = (): StatusError =>
  new StatusError(
    405,
    'MethodNotAllowed',
    'the server does not allow this method on the requested resource',
    {},
  );
export const alreadyExists = (r: ResourceName, name: string): StatusError =>
  new StatusError(409, 'AlreadyExists', `${full(r)} "${name}" already exists`, details(r, name));
export const conflict = (r: ResourceName, name: string, why = modified): StatusError =>
  new StatusError(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${full(r)} "${name}": ${why}`,
    details(r, name),
  );
export const modified =
  'the object has been modified; please apply your changes to the latest version and try again';
export const forbidden = (r: ResourceName, name: string, why: string, causes?: Cause[]): StatusError =>
  new StatusError(403, 'Forbidden', `${full(r)} ${name === '' ? '' : `"${name}" `}is forbidden: ${why}`, {
    ...details(r, name),
    ...(causes === undefined ? {} : { causes: causeJson(causes) }),
  });

/** 422: the object was understood and broke a rule. Several causes are listed in brackets, as the real server does. */
export function invalid(r: ResourceName, name: string, causes: readonly Cause[]): StatusError {
  const words = causes.map((c) => `${c.field}: ${c.message}`);
  const said = words.length === 1 ? words[0] : `[${words.join(', ')}]`;
  const group = r.group === '' ? r.kind : `${r.kind}.${r.group}`;
  return new StatusError(422, 'Invalid', `${group} "${name}" is invalid: ${said}`, {
    ...details(r, name, r.kind),
    causes: causeJson(causes),
  });
}

/** 422 about an option of the request (`ListOptions`, `PatchOptions`, …). */
export const invalidOption = (kind: string, cause: Cause): StatusError =>
  invalid({ group: 'meta.k8s.io', plural: '', kind }, '', [cause]);

/** 410: the client must list again. */
export const expired = (message: string): StatusError => new StatusError(410, 'Expired', message);

export function tooLargeVersion(asked: number, current: number): StatusError {
  return new StatusError(
    504,
    'Timeout',
    `Timeout: Too large resource version: ${asked}, current: ${current}`,
    {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    },
  );
}

const quote = (value: Json | undefined): string => JSON.stringify(value ?? null);
export const duplicate = (field: string, value: Json): Cause => ({
  reason: 'FieldValueDuplicate',
  message: `Duplicate value: ${quote(value)}`,
  field,
});
export const required = (field: string, why = ''): Cause => ({
  reason: 'FieldValueRequired',
  message: why === '' ? 'Required value' : `Required value: ${why}`,
  field,
});
export const wrong = (field: string, value: Json | undefined, why: string): Cause => ({
  reason: 'FieldValueInvalid',
  message: `Invalid value: ${quote(value)}: ${why}`,
  field,
});
export const unsupported = (field: string, value: Json | undefined, allowed: readonly string[]): Cause => ({
  reason: 'FieldValueNotSupported',
  message: `Unsupported value: ${quote(value)}: supported values: ${allowed.map((a) => `"${a}"`).join(', ')}`,
  field,
});
export const notAllowed = (field: string, why: string): Cause => ({
  reason: 'FieldValueForbidden',
  message: `Forbidden: ${why}`,
  field,
});
