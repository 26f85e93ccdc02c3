/** Rows that stand at a place of which there is one (a prefix, an id, an address): whoever else holds it is not replaced. */
import type { FairleadError } from '../../model/errors.ts';
import type { Change, Outcome } from '../../reconcile/target.ts';
import { applyBatch, type BatchPlan } from './batch.ts';
import { NetlinkError, type NetlinkTransport } from './netlink/transport.ts';

/** Of a place that is taken: `ours` = we may have it after all; an error that names its holder; `undefined` = the kernel's refusal stands. */
export type Holder = 'ours' | FairleadError | undefined;

/** As `applyBatch`, for a plan whose additions are exclusive. `holders` is asked once, and only when a place is taken. */
export async function applyToPlaces<Body>(
  nl: NetlinkTransport,
  batch: readonly Change<Body>[],
  plan: BatchPlan<Body>,
  holders: () => Promise<(key: string, wanted: Body) => Holder>,
): Promise<Outcome[]> {
  const outcomes = await applyBatch(nl, batch, plan);
  if (!outcomes.some(isTaken)) return outcomes;
  const holderOf = await holders();
  for (const [i, { key, wanted }] of batch.entries()) {
    if (wanted === undefined || !isTaken(outcomes[i])) continue;
    const holder = holderOf(key, wanted);
    if (holder === 'ours') {
      const [outcome] = await applyBatch(nl, [{ key, wanted, found: wanted }], plan);
      if (outcome) outcomes[i] = outcome;
    } else if (holder) outcomes[i] = { ok: false, error: holder };
  }
  return outcomes;
}

const isTaken = (outcome: Outcome | undefined): boolean =>
  outcome?.ok === false && outcome.error instanceof NetlinkError && outcome.error.code === 'EEXIST';
