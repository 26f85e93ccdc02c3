/**
 * Every error that Fairlead raises on purpose. `code` is stable and machine readable, `message` names the object and the
 * field, `hint` says what to do next. The original failure stays in `cause`.
 */
export class FairleadError extends Error {
  override readonly name: string = 'FairleadError';
  readonly code: string;
  readonly hint: string | undefined;

  constructor(code: string, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }
}

/** The words of any thrown value, on one line, for a log or a row's status. */
export function describe(error: unknown): string {
  if (error instanceof FairleadError) return error.hint ? `${error.message} (${error.hint})` : error.message;
  return error instanceof Error ? error.message : String(error);
}
