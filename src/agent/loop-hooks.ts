import type { Status } from '../model/api.ts';
import type { Clock } from '../model/clock.ts';
import { afterwards } from './afterwards.ts';
import type { Log } from './log.ts';
import type { LoopHooks } from './loop.ts';
import type { AgentMetrics } from './metrics/agent.ts';
import type { Recheck } from './recheck.ts';

/** Connects the loop with log, metrics, and the judging of connections that policies may deny now. */
export function loopHooks(log: Log, metrics: AgentMetrics, recheck: Recheck): LoopHooks {
  return {
    later: afterwards,
    log: (level, message, fields) => log[level](fields, message),
    decided(target, decisions, milliseconds) {
      recheck.decided(target, decisions);
      let failures = 0;
      let slowest = 0;
      for (const { error, latency } of decisions) {
        if (error !== undefined) failures++;
        else slowest = Math.max(slowest, latency);
      }
      metrics.applied(target, milliseconds, decisions.length, failures);
      if (decisions.length > failures) metrics.eventToKernel(slowest);
    },
    torn(target, _error, rows) {
      recheck.torn(target);
      metrics.applied(target, 0, rows, rows);
    },
    observed: (target, milliseconds) => metrics.observed(target, milliseconds),
    drifted: ({ target, kind }) => metrics.drift(target, kind),
    planned(milliseconds, { changes, units, rows }) {
      recheck.planned();
      if (units > 0) log.debug({ ms: milliseconds, changes, units, rows }, 'planned');
    },
  };
}

/** One line whenever the state of the agent or of a source changes. A source that has not begun yet is no news. */
export function stateLog(log: Log, clock: Clock): (status: Pick<Status, 'state' | 'sources'>) => void {
  let state: Status['state'] | undefined;
  const told = new Map<string, string>();
  const wasReady = new Set<string>();
  return (status) => {
    for (const { name, ready, reason = 'not ready', objects, since } of status.sources) {
      const words = ready ? 'ready' : reason;
      if (told.get(name) === words) continue;
      told.set(name, words);
      if (ready) {
        wasReady.add(name);
        log.info({ source: name, objects }, `source ${name} is ready`);
      } else {
        const level = wasReady.has(name) ? 'warn' : 'debug';
        log[level]({ source: name, reason, ms: clock.wall() - since }, `source ${name} is away: ${reason}`);
      }
    }
    if (status.state === state) return;
    state = status.state;
    log.info({ state }, `agent is ${state}`);
  };
}
