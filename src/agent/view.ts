import type { Status } from '../model/api.ts';
import type { Clock } from '../model/clock.ts';
import { FairleadError } from '../model/errors.ts';
import type { Problem } from '../model/problem.ts';
import type { TargetName } from '../model/rows/row.ts';
import type { World } from '../model/world.ts';
import { toConfig } from '../sources/config/resolve.ts';
import { type ConfigInput, load, problemText } from '../sources/config/source.ts';
import type { AgentView } from './api.ts';
import type { Loop } from './loop.ts';
import type { Registry } from './metrics/registry.ts';
import { pairStatuses } from './pairs.ts';
import { policyStatus } from './policy-status.ts';
import type { Signal } from './signal.ts';
import { VERSION } from './version.ts';
import type { Explain } from './why.ts';

/** The loop hangs when it did not move for this long; it moves every second when there is nothing to do. */
const HANGS_MS = 30_000;

export interface ViewInput {
  readonly node: string;
  readonly started: number;
  readonly world: World;
  readonly loop: Loop;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly config: ConfigInput;
  readonly explain: Explain;
  readonly changed: Signal;
  /** Problems that no planner knows of: configuration, health port. */
  problems(): readonly Problem[];
}

/** What the agent shows of itself, put together from its parts. */
export function agentView(input: ViewInput): AgentView {
  const { loop, clock } = input;
  return {
    status: () => statusOf(input),
    rows: (target) => loop.rows(target as TargetName | undefined),
    drift: () => loop.drift(),
    why: (from, to, traffic) => input.explain(from, to, traffic),
    async plan(text) {
      if (text === undefined) return loop.planned();
      const file = { path: 'the given file', text };
      const { values, problems } = await load(input.config, file);
      if (problems.length > 0) {
        throw new FairleadError('bad-settings', problems.map(problemText).join('\n'));
      }
      return loop.planned(toConfig(values));
    },
    onChange: (callback) => input.changed.on(callback),
    metrics: () => input.registry.text(),
    unhealthy() {
      const still = clock.monotonic() - loop.lastTurn;
      return still > HANGS_MS ? `the loop has not moved for ${Math.round(still / 1000)} s` : undefined;
    },
    unready() {
      if (loop.hasConverged) return undefined;
      const away = loop.status().sources.find((source) => !source.ready);
      return away ? `waits for ${away.name}: ${away.reason}` : 'not converged yet';
    },
  };
}

function statusOf(input: ViewInput): Status {
  const own = input.problems();
  const { state, sources, targets, problems } = input.loop.status();
  return {
    node: input.node,
    version: VERSION,
    started: input.started,
    state,
    sources,
    targets,
    problems: own.length === 0 ? problems : [...own, ...problems],
    ...pairStatuses(input.world),
    policy: policyStatus(input.world),
  };
}
