import type { Random } from '../../model/clock.ts';
import type { Gate } from './http/watch.ts';
import { StatusError } from './status.ts';

/**
 * Which requests a fault meets. Parts left out match everything. Verbs as RBAC writes them, but that `list` also means the watch that
 * begins with a list (WatchList), because it stands in for one; resources by plural name.
 */
export interface FaultMatch {
  readonly verb?: string;
  readonly resource?: string;
  /** After so many hits the fault is over. */
  readonly times?: number;
}

/** An armed fault. A test in which one was never hit proves nothing: `hits` and `unused()` are there to be asserted. */
export interface Fault {
  readonly name: string;
  readonly hits: number;
  lift(): Promise<void>;
}

export interface RequestFacts {
  readonly verb: string;
  readonly resource: string;
  /** A watch that tells all objects first (`sendInitialEvents`). */
  readonly watchList: boolean;
}

/** What the server must be able to do to itself for faults. */
export interface FaultHands {
  /** Stops listening and cuts every connection; returns how many. */
  leave(): Promise<number>;
  comeBack(): Promise<void>;
  /** Cuts open connections; returns how many. */
  cut(): number;
  /** Forgets history and ends running watches with 410; returns how many. */
  forget(): number;
}

/** What a fault does to one request. `cut` drops the connection, `hold` answers nothing while it lasts. */
export type Verdict =
  | { readonly kind: 'pass' | 'cut' }
  | { readonly kind: 'hold'; readonly released: Promise<void> };

interface Armed extends Fault {
  count: number;
  match?: FaultMatch;
  act?: () => StatusError | 'cut' | undefined;
  delayMs?: number;
}

export class Faults implements Gate {
  readonly #hands: FaultHands;
  readonly #random: Random;
  readonly #after: (ms: number, callback: () => void) => void;
  readonly #armed = new Set<Armed>();
  readonly #all: Armed[] = [];
  readonly #openers = new Set<() => void>();
  #stalls = new Set<Armed>();
  #holdAll = new Set<Armed>();

  constructor(hands: FaultHands, random: Random, after: (ms: number, callback: () => void) => void) {
    this.#hands = hands;
    this.#random = random;
    this.#after = after;
  }

  /** The server is not there: connections are cut and new ones refused. A hit is a connection that was cut; see `reset` for counted attempts. */
  async away(): Promise<Fault> {
    const fault = this.#arm('away', () => this.#hands.comeBack());
    fault.count = await this.#hands.leave();
    return fault;
  }

  /** TCP stays open and no byte comes: watches are silent, bookmarks too; with `everything`, requests get no answer either. */
  stalled(scope: 'watches' | 'everything' = 'everything'): Fault {
    const fault = this.#arm('stalled', async () => {
      this.#stalls.delete(fault);
      this.#holdAll.delete(fault);
      if (this.#stalls.size === 0) for (const open of [...this.#openers]) open();
    });
    this.#stalls.add(fault);
    if (scope === 'everything') this.#holdAll.add(fault);
    return fault;
  }

  /** History is gone: running watches end with an ERROR 410, resuming from an older revision gets 410 too. */
  gone410(): Fault {
    const fault = this.#arm('gone410', async () => {});
    fault.count = this.#hands.forget();
    return fault;
  }

  /** A share of the requests, 0 to 1, fails with a 500. */
  error500(rate: number, match: FaultMatch = {}): Fault {
    const words = 'Internal error occurred: fault injected';
    return this.#answer('error500', match, () => (this.#random() < rate ? internal(words) : undefined));
  }

  /** Every answer waits this long. */
  slow(ms: number, match: FaultMatch = {}): Fault {
    const fault = this.#arm('slow', async () => {});
    fault.delayMs = ms;
    fault.match = match;
    return fault;
  }

  /** Open connections are cut now, and a share of the new requests with them. */
  reset(rate = 0, match: FaultMatch = {}): Fault {
    const fault = this.#answer('reset', match, () => (this.#random() < rate ? 'cut' : undefined));
    fault.count = this.#hands.cut();
    return fault;
  }

  /** 401 or 403 for a verb and resource. */
  denied(status: 401 | 403, match: FaultMatch = {}): Fault {
    return this.#answer(`denied ${status}`, match, () => deny(status, match));
  }

  /** 429 with Retry-After. */
  busy(retryAfterSeconds: number, match: FaultMatch = {}): Fault {
    return this.#answer('busy', match, () => tooMany(retryAfterSeconds));
  }

  /** Every fault armed so far, lifted ones too. */
  armed(): readonly Fault[] {
    return this.#all;
  }

  /** Names of faults that nothing ever ran into. */
  unused(): string[] {
    return this.#all.filter((fault) => fault.hits === 0).map((fault) => fault.name);
  }

  get silent(): boolean {
    for (const fault of this.#stalls) fault.count++;
    return this.#stalls.size > 0;
  }

  onOpen(callback: () => void): () => void {
    this.#openers.add(callback);
    return () => this.#openers.delete(callback);
  }

  /** Asked once for every request. Throws the StatusError that a fault wants answered. */
  async meet(request: RequestFacts): Promise<Verdict> {
    for (const fault of this.#holdAll) {
      fault.count++;
      return { kind: 'hold', released: new Promise((resolve) => this.#released(resolve)) };
    }
    for (const fault of this.#armed) {
      const { match, act, delayMs } = fault;
      if (!match || !fits(match, request) || (match.times !== undefined && fault.count >= match.times))
        continue;
      if (delayMs !== undefined) {
        fault.count++;
        await new Promise<void>((resolve) => this.#after(delayMs, resolve));
      }
      const result = act?.();
      if (result === undefined) continue;
      fault.count++;
      if (result === 'cut') return { kind: 'cut' };
      throw result;
    }
    return { kind: 'pass' };
  }

  #released(resolve: () => void): void {
    const stop = this.onOpen(() => {
      stop();
      resolve();
    });
  }

  #arm(name: string, lift: () => Promise<void>): Armed {
    const armed = this.#armed;
    const fault: Armed = {
      name,
      count: 0,
      get hits() {
        return this.count;
      },
      async lift() {
        if (armed.delete(fault)) await lift();
      },
    };
    armed.add(fault);
    this.#all.push(fault);
    return fault;
  }

  #answer(name: string, match: FaultMatch, act: () => StatusError | 'cut' | undefined): Armed {
    const fault = this.#arm(name, async () => {});
    fault.match = match;
    fault.act = act;
    return fault;
  }
}

const fits = (match: FaultMatch, request: RequestFacts): boolean =>
  (match.verb === undefined || match.verb === request.verb || (match.verb === 'list' && request.watchList)) &&
  (match.resource === undefined || match.resource === request.resource);

const internal = (message: string): StatusError => new StatusError(500, 'InternalError', message);

function deny(status: 401 | 403, { verb = '*', resource = '*' }: FaultMatch): StatusError {
  if (status === 401) return new StatusError(401, 'Unauthorized', 'Unauthorized');
  const words = `${resource} is forbidden: User "lab" cannot ${verb} resource "${resource}" in API group "" at the cluster scope`;
  return new StatusError(403, 'Forbidden', words, { kind: resource });
}

function tooMany(seconds: number): StatusError {
  const words = 'the server has received too many requests and has asked us to try again later';
  const details = { retryAfterSeconds: seconds };
  return new StatusError(429, 'TooManyRequests', words, details, { 'retry-after': String(seconds) });
}
