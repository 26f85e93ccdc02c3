import type { Status } from '../../model/api.ts';
import type { Clock } from '../../model/clock.ts';
import type { Registry } from './registry.ts';

/** Seconds. One node's change reaches the kernel in some milliseconds; an API server that is away makes it minutes. */
const LATENCY = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60];

export interface AgentMetrics {
  /** From the moment when an event came in until the kernel had acknowledged all that followed from it; milliseconds. */
  eventToKernel(ms: number): void;
  applied(target: string, ms: number, changes: number, failures: number): void;
  observed(target: string, ms: number): void;
  drift(target: string, kind: string): void;
}

export interface MetricsInput {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly version: string;
  status(): Pick<Status, 'state' | 'sources' | 'targets' | 'problems'>;
}

/** The agent's own metrics. What has a state is read when it is scraped; what happens is counted when it happens. */
export function agentMetrics({ registry, clock, version, status }: MetricsInput): AgentMetrics {
  registry
    .gauge('fairlead_build_info', 'Version of the agent and of its Node.js; always 1.')
    .set(1, { version, node_version: process.version });
  stateGauges(registry, clock, status);
  const latency = registry.histogram(
    'fairlead_event_to_kernel_seconds',
    'Time from an event until the kernel had all that followed from it.',
    LATENCY,
  );
  const applies = registry.histogram(
    'fairlead_apply_seconds',
    'Duration of one batch of changes, by kind.',
    LATENCY,
  );
  const observes = registry.histogram(
    'fairlead_observe_seconds',
    'Duration of reading everything of one kind.',
    LATENCY,
  );
  const changes = registry.counter(
    'fairlead_changes_total',
    'Changes asked of the kernel, by kind and result.',
  );
  const drift = registry.counter(
    'fairlead_drift_total',
    'Things that somebody else altered, by kind: missing, altered or foreign.',
  );
  return {
    eventToKernel: (ms) => latency.observe(ms / 1000),
    applied(target, ms, total, failures) {
      applies.observe(ms / 1000, { target });
      if (total > failures) changes.add(total - failures, { target, result: 'ok' });
      if (failures > 0) changes.add(failures, { target, result: 'failed' });
    },
    observed: (target, ms) => observes.observe(ms / 1000, { target }),
    drift: (target, kind) => drift.add(1, { target, kind }),
  };
}

function stateGauges(registry: Registry, clock: Clock, status: MetricsInput['status']): void {
  const state = registry.gauge('fairlead_state', 'The state that the agent is in has 1, the others 0.');
  const rows = registry.gauge('fairlead_rows', 'Rows by kind and state.');
  const depth = registry.gauge('fairlead_queue_depth', 'Rows that are not yet as wanted.');
  const ready = registry.gauge('fairlead_source_ready', 'Whether a source is ready.');
  const age = registry.gauge(
    'fairlead_source_state_seconds',
    'For how long a source has been ready, or has not been.',
  );
  const objects = registry.gauge('fairlead_source_objects', 'Objects that a source has told of.');
  const observed = registry.gauge(
    'fairlead_observed_age_seconds',
    'How long ago everything of a kind was last read from the kernel.',
  );
  const problems = registry.gauge(
    'fairlead_problems',
    'Things that cannot be done as asked; status names them.',
  );
  registry.beforeScrape(() => {
    const now = status();
    for (const word of ['waiting', 'converging', 'ready', 'degraded'] as const) {
      state.set(now.state === word ? 1 : 0, { state: word });
    }
    let open = 0;
    for (const t of now.targets) {
      const pending = Math.max(0, t.wanted - t.done - t.waiting - t.failed);
      open += pending + t.waiting + t.failed + t.extra;
      const counts = { done: t.done, pending, waiting: t.waiting, failed: t.failed, removing: t.extra };
      for (const [word, count] of Object.entries(counts)) rows.set(count, { target: t.name, state: word });
      if (t.observed !== undefined) observed.set((clock.wall() - t.observed) / 1000, { target: t.name });
    }
    depth.set(open);
    for (const { name: source, ready: is, since, objects: count } of now.sources) {
      ready.set(is ? 1 : 0, { source });
      age.set((clock.wall() - since) / 1000, { source });
      objects.set(count, { source });
    }
    problems.set(now.problems.length);
  });
}
