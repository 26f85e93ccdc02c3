/** Changes of independent rows as netlink messages: some hundreds a send, each row with its own outcome. */
import { FairleadError } from '../../model/errors.ts';
import type { Change, Outcome } from '../../reconcile/target.ts';
import { NetlinkError, type NetlinkTransport } from './netlink/transport.ts';

/** Rows between two turns of the event loop. */
const SLICE = 400;

export const OK: Outcome = { ok: true };

export interface BatchPlan<Body> {
  /** The messages of one change, in order. Throws `FairleadError` for a row that cannot be. */
  encode(change: Change<Body>): readonly Uint8Array[];
  /** Names the row in its error: `route 10.1.2.0/24`. */
  title(change: Change<Body>): string;
  /** Errors (`ENOENT`, `no-link` …) of a removal that mean that it is gone already. */
  readonly gone: readonly string[];
}

/** A row's outcome is its first refusal. Throws when an answer was lost. */
export async function applyBatch<Body>(
  nl: NetlinkTransport,
  batch: readonly Change<Body>[],
  plan: BatchPlan<Body>,
): Promise<Outcome[]> {
  const outcomes = new Array<Outcome>(batch.length).fill(OK);
  for (let from = 0; from < batch.length; from += SLICE) {
    if (from > 0) await new Promise((resolve) => setImmediate(resolve));
    const { messages, rows } = encodeSlice(batch, from, plan, outcomes);
    const answers = await nl.transact(messages);
    for (const [m, answer] of answers.entries()) {
      if (!answer.ok) refuse(outcomes, batch, rows[m], answer.error, plan);
    }
  }
  return outcomes;
}

interface Slice {
  readonly messages: readonly Uint8Array[];
  /** Of each message, which row it is for. */
  readonly rows: readonly number[];
}

function encodeSlice<Body>(
  batch: readonly Change<Body>[],
  from: number,
  plan: BatchPlan<Body>,
  outcomes: Outcome[],
): Slice {
  const messages: Uint8Array[] = [];
  const rows: number[] = [];
  for (let i = from; i < Math.min(from + SLICE, batch.length); i++) {
    const change = batch[i];
    if (change === undefined) continue;
    try {
      for (const message of plan.encode(change)) {
        messages.push(message);
        rows.push(i);
      }
    } catch (error) {
      if (!(error instanceof FairleadError)) throw error;
      if (change.wanted !== undefined || !plan.gone.includes(error.code)) outcomes[i] = { ok: false, error };
    }
  }
  return { messages, rows };
}

function refuse<Body>(
  outcomes: Outcome[],
  batch: readonly Change<Body>[],
  row: number | undefined,
  error: Error,
  plan: BatchPlan<Body>,
): void {
  const change = row === undefined ? undefined : batch[row];
  if (row === undefined || change === undefined || outcomes[row]?.ok !== true) return;
  if (!(error instanceof NetlinkError)) outcomes[row] = { ok: false, error };
  else if (change.wanted !== undefined || !plan.gone.includes(error.code))
    outcomes[row] = { ok: false, error: new NetlinkError(error.errno, error.words, plan.title(change)) };
}
