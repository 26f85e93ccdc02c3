import { FairleadError } from '../model/errors.ts';

/** One family of things outside the process that we keep true. Knows the kernel, not the features. */
export interface Target<Body> {
  readonly name: string;
  /** 0 base · 1 guard · 2 reach · 3 path · 4 serve · 5 settle · 6 tell. Adds run upwards, removals downwards. */
  readonly stage: number;
  /** One transaction for adds and removals together, at its stage, all or nothing (nft). */
  readonly atomic?: boolean;
  /** Compared in the kernel's own normal form. */
  same(wanted: Body, found: Body): boolean;
  /** Everything that is ours, or throw; never a partial list. */
  observe(): Promise<ReadonlyMap<string, Body>>;
  /**
   * One outcome per change, in order. Throwing means: unknown how much was done, observe again.
   * `wants`: whether a row that failed before is still wanted.
   * With `atomic`, one failed change fails the batch; its own outcome carries the error and the others are `RolledBack`.
   */
  apply(batch: readonly Change<Body>[], wants?: (key: string) => boolean): Promise<readonly Outcome[]>;
  /** Of a target that finds what must go, whosever it is (conntrack): why this one must. Finding one is then no drift. */
  reason?(found: Body): string;
  /** Kernel notifications of changes that may not be ours. Keys may be over-reported; `unknown` asks for a full observe. */
  watch?(onDrift: (keys: Iterable<string> | 'unknown') => void): Closer;
}

/** `wanted` absent = remove; `found` absent = create. Both = change in place, or replace where the kernel cannot. */
export interface Change<Body> {
  readonly key: string;
  readonly wanted: Body | undefined;
  readonly found: Body | undefined;
}

/**
 * `instead`: what the target has now in its place, when that is neither what was wanted nor what was found.
 * `spoils`: keys of rows that are no longer right because this one failed; they are applied again, right as they look.
 */
export type Outcome<Body = unknown> =
  | { readonly ok: true }
  | {
      readonly ok: false;
      readonly error: Error;
      readonly instead?: Body;
      readonly spoils?: readonly string[];
    };

/** Of a row that was all right, and that another row of its transaction took down. */
export class RolledBack extends FairleadError {
  constructor() {
    super('rolled-back', 'rolled back: other rows of the transaction failed');
  }
}

export interface Closer {
  close(): void;
}
