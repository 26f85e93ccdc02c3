import type { Clock } from '../../model/clock.ts';
import { describe } from '../../model/errors.ts';
import { sha256 } from '../../model/sha256.ts';
import type { KubeClient } from '../../sources/kube/client.ts';
import { ApiError } from '../../sources/kube/errors.ts';
import type { Log } from '../../sources/kube/log.ts';

/** Something that an operator should see in `kubectl describe` of the object it is about. */
export interface Occurrence {
  readonly regarding: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
  };
  readonly type: 'Normal' | 'Warning';
  /** One word in CamelCase, stable. */
  readonly reason: string;
  readonly message: string;
  /** Agents of other nodes tell the same in the same words: it is one event, of whoever comes first. */
  readonly once?: boolean;
}

export interface EventRecorderOptions {
  readonly client: Pick<KubeClient, 'create' | 'patch'>;
  /** Name of the Node that this agent runs on. */
  readonly host: string;
  readonly clock: Pick<Clock, 'wall' | 'monotonic'>;
  readonly log: Pick<Log, 'debug'>;
}

interface Known {
  readonly name: string;
  /** How often it occurred. */
  count: number;
  /** How many of them the API server knows of; 0 = it has no such event yet. */
  told: number;
}

const EVENTS = { group: '', version: 'v1', resource: 'events' };
/** Distinct events remembered for counting; the API server keeps them for an hour anyway. */
const REMEMBERED = 256;
/** Requests at once, then one each `REFILL` milliseconds. */
const BURST = 20;
const REFILL = 10_000;
/** Of 253 that a name may have. */
const LONGEST_NAME = 200;
/** core/v1 validation refuses longer messages. */
const LONGEST_MESSAGE = 1024;

/**
 * Tells Kubernetes Events (core/v1, which every server and kubectl know). The same occurrence again only counts up the event that
 * is there. Never in the way: too many are dropped, a failed one is logged at debug level and forgotten.
 */
export class EventRecorder {
  readonly #o: EventRecorderOptions;
  readonly #known = new Map<string, Known>();
  #tokens = BURST;
  #refilled: number;
  #queue: Promise<void> = Promise.resolve();
  #serial = 0;

  constructor(options: EventRecorderOptions) {
    this.#o = options;
    this.#refilled = options.clock.monotonic();
  }

  record(occurrence: Occurrence): void {
    const known = this.#count(occurrence);
    if (known.told === known.count || !this.#mayTell()) return;
    // One after the other, so that a count never overtakes the event that it belongs to.
    this.#queue = this.#queue
      .then(() => this.#tell(known, occurrence))
      .catch((error: unknown) => {
        const { reason, regarding } = occurrence;
        const object = `${regarding.kind} ${regarding.name}`;
        this.#o.log.debug({ reason, object, error: describe(error) }, 'event not told');
      });
  }

  /** Resolves when everything recorded so far was told or given up. */
  async settled(): Promise<void> {
    await this.#queue;
  }

  #count({ regarding: r, type, reason, message, once }: Occurrence): Known {
    const identity = JSON.stringify([
      r.apiVersion,
      r.kind,
      r.namespace,
      r.name,
      r.uid,
      type,
      reason,
      message,
    ]);
    const known = this.#known.get(identity);
    if (known) {
      known.count++;
      return known;
    }
    const [oldest] = this.#known.keys();
    if (this.#known.size >= REMEMBERED && oldest !== undefined) this.#known.delete(oldest);
    // Unique among the agent's lives and threads, as kubelet names its own; or the same everywhere.
    const unique = `${Math.round(this.#o.clock.wall()).toString(16)}.${(this.#serial++).toString(16)}`;
    const name = `${r.name.slice(0, LONGEST_NAME).replace(/[^a-z0-9]+$/, '')}.${once ? sha256(identity).slice(0, 16) : unique}`;
    const fresh = { name, count: 1, told: 0 };
    this.#known.set(identity, fresh);
    return fresh;
  }

  async #tell(known: Known, occurrence: Occurrence): Promise<void> {
    const { count } = known;
    if (known.told === count) return;
    // Events about objects without a namespace live in "default", as kubelet's do.
    const namespace = occurrence.regarding.namespace ?? 'default';
    try {
      if (known.told === 0) {
        const event = this.#event(namespace, known.name, count, occurrence);
        await this.#o.client.create({ ...EVENTS, namespace }, event);
      } else {
        const body = { count, lastTimestamp: this.#now() };
        await this.#o.client.patch({ ...EVENTS, namespace, name: known.name }, 'merge', body);
      }
      known.told = count;
    } catch (error) {
      if (occurrence.once && error instanceof ApiError && error.status === 409) return;
      // Events expire after an hour: the next occurrence makes it anew.
      known.told = 0;
      throw error;
    }
  }

  #event(namespace: string, name: string, count: number, { regarding, type, reason, message }: Occurrence) {
    const now = this.#now();
    return {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { namespace, name },
      involvedObject: regarding,
      type,
      reason,
      message: message.slice(0, LONGEST_MESSAGE),
      count,
      firstTimestamp: now,
      lastTimestamp: now,
      source: { component: 'fairlead', host: this.#o.host },
      reportingComponent: 'fairlead',
      reportingInstance: this.#o.host,
    };
  }

  #mayTell(): boolean {
    const now = this.#o.clock.monotonic();
    const earned = Math.floor((now - this.#refilled) / REFILL);
    if (earned > 0) {
      this.#tokens = Math.min(BURST, this.#tokens + earned);
      this.#refilled += earned * REFILL;
    }
    if (this.#tokens === 0) return false;
    this.#tokens--;
    return true;
  }

  /** `metav1.Time`: whole seconds. */
  #now(): string {
    return new Date(this.#o.clock.wall()).toISOString().replace(/\.\d+Z$/, 'Z');
  }
}
