import type { DriftRecord, PlannedChange, RowStatus, Status, Why } from '../model/api.ts';
import type { Clock } from '../model/clock.ts';
import { FairleadError } from '../model/errors.ts';
import type { Closer } from '../reconcile/target.ts';
import type { LineWriter, Request, Routes } from './http.ts';

/** What the agent shows of itself. */
export interface AgentView {
  status(): Status;
  rows(target: string | undefined): readonly RowStatus[];
  drift(): readonly DriftRecord[];
  why(from: string, to: string, traffic: string | undefined): Promise<Why>;
  /** `config` is the text of a configuration file to plan for instead of the one in force. */
  plan(config: string | undefined): Promise<readonly PlannedChange[]>;
  onChange(callback: () => void): Closer;
  metrics(): string;
  /** Words for what is wrong; `undefined` = well. */
  unhealthy(): string | undefined;
  unready(): string | undefined;
}

/** A change is told at most this often: a burst of thousands of rows is one line. */
const WATCH_MS = 100;

/** What everyone on the machine may read over TCP: numbers and two words, no names of pods. */
export function healthRoutes(view: AgentView): Routes {
  const probe = (wrong: string | undefined) =>
    wrong === undefined ? { text: 'ok\n' } : { text: `${wrong}\n`, status: 503 };
  return {
    'GET /metrics': () => ({ text: view.metrics() }),
    'GET /healthz': () => probe(view.unhealthy()),
    'GET /readyz': () => probe(view.unready()),
  };
}

/** The socket API, version 1; its types are in model/api.ts. */
export function apiRoutes(view: AgentView, clock: Clock): Routes {
  return {
    ...healthRoutes(view),
    'GET /v1/status': () => ({ json: view.status() }),
    'GET /v1/rows': ({ query }) => ({ json: view.rows(query.get('target') ?? undefined) }),
    'GET /v1/drift': () => ({ json: view.drift() }),
    'GET /v1/why': async ({ query }) => ({
      json: await view.why(needed(query, 'from'), needed(query, 'to'), query.get('traffic') ?? undefined),
    }),
    'POST /v1/plan': async (request) => ({ json: await view.plan(await configOf(request)) }),
    'GET /v1/watch': () => ({ stream: (write) => follow(view, clock, write) }),
  };
}

function needed(query: URLSearchParams, name: string): string {
  const value = query.get(name);
  if (!value) throw new FairleadError('bad-request', `the query needs ${name}=`);
  return value;
}

async function configOf(request: Request): Promise<string | undefined> {
  const { config } = (await request.body()) as { config?: unknown };
  if (config === undefined || typeof config === 'string') return config;
  throw new FairleadError('bad-request', 'config must be the text of a configuration file');
}

function follow(view: AgentView, clock: Clock, write: LineWriter): Closer {
  let timer: { cancel(): void } | undefined;
  write(view.status());
  const source = view.onChange(() => {
    timer ??= clock.after(WATCH_MS, () => {
      timer = undefined;
      write(view.status());
    });
  });
  return {
    close() {
      source.close();
      timer?.cancel();
    },
  };
}
