import type { PlannedChange } from '../model/api.ts';
import type { Config } from '../model/cluster/config.ts';
import { describe, FairleadError } from '../model/errors.ts';
import type { Row, TargetName } from '../model/rows/row.ts';
import type { World } from '../model/world.ts';
import { planOnce } from '../plan/engine.ts';
import type { Planner } from '../plan/planner.ts';
import type { Target } from '../reconcile/target.ts';

/** The same World under another configuration. */
export function withConfig(world: World, config: Config): World {
  const objects = new Map([['config', config]]);
  return { ...world, config: { ...world.config, objects, ready: true, reason: undefined } };
}

/**
 * What would be done to the machine, in the order in which it would be done. Plans from scratch and reads where `found` does not
 * know; applies nothing. Removals that would be held back, because a source is away, are left out.
 */
export async function plannedChanges(
  planners: readonly Planner[],
  world: World,
  targets: readonly Target<unknown>[],
  found: (target: string) => ReadonlyMap<string, unknown> | undefined,
): Promise<readonly PlannedChange[]> {
  const engine = planOnce(planners, world);
  const wanted = new Map<string, Map<string, Row>>(targets.map((target) => [target.name, new Map()]));
  for (const row of engine.rows()) wanted.get(row.target)?.set(row.key, row);
  const changes: PlannedChange[] = [];
  for (const target of targets) {
    const present = found(target.name) ?? (await read(target));
    const mayRemove = engine.holdsDeletes(target.name as TargetName) === undefined;
    changes.push(...difference(target, wanted.get(target.name) ?? new Map(), present, mayRemove));
  }
  return changes.sort((a, b) => place(a, targets) - place(b, targets));
}

function* difference(
  target: Target<unknown>,
  wanted: ReadonlyMap<string, Row>,
  found: ReadonlyMap<string, unknown>,
  mayRemove: boolean,
): Iterable<PlannedChange> {
  const head = { stage: target.stage, target: target.name as TargetName };
  for (const [key, { body, why }] of wanted) {
    const before = found.get(key);
    if (before === undefined) yield { ...head, key, action: 'add', why, after: body };
    else if (!target.same(body, before)) yield { ...head, key, action: 'change', why, before, after: body };
  }
  if (!mayRemove) return;
  for (const [key, before] of found) {
    if (!wanted.has(key)) {
      const why = target.reason?.(before) ?? 'ours, and nothing asks for it';
      yield { ...head, key, action: 'remove', why, before };
    }
  }
}

/** Adds and changes by rising stage, then removals by falling stage; a transaction does both at its stage. */
function place(change: PlannedChange, targets: readonly Target<unknown>[]): number {
  const atomic = targets.find((target) => target.name === change.target)?.atomic ?? false;
  return change.action === 'remove' && !atomic ? 100 - change.stage : change.stage;
}

async function read(target: Target<unknown>): Promise<ReadonlyMap<string, unknown>> {
  try {
    return await target.observe();
  } catch (cause) {
    throw new FairleadError('not-observed', `cannot read ${target.name}: ${describe(cause)}`, { cause });
  }
}
